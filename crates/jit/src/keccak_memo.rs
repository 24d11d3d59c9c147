//! Hashes of one and two words that were computed before: where a contract's arrays and mappings lie.
//!
//! A contract hashes the same key of the same mapping again for each access, and again in the next transaction. The
//! table is the thread's own and keys are compared in full, so results are exact and nothing is shared.

use std::cell::RefCell;

use alloy_primitives::{B256, keccak256};

/// Entries per length and thread: 96 KiB for two words and 64 KiB for one, which stays in the second-level cache. When
/// two inputs want the same entry the later one takes it.
const ENTRIES: usize = 1024;

/// Bits that select an entry.
const INDEX_BITS: u32 = ENTRIES.ilog2();

const _: () = assert!(ENTRIES.is_power_of_two());

/// Misses that are counted before the metrics learn of them.
const COUNTED_TOGETHER: u64 = 4096;

/// An odd number without pattern (the golden ratio), for multiplicative hashing.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

thread_local! {
    static MEMO: RefCell<Memo> = RefCell::new(Memo::new());
}

/// Keccak-256, from the thread's memo where the input has one or two words.
#[inline]
#[must_use]
pub fn keccak_memo(input: &[u8]) -> B256 {
    if let Ok(words) = <&[u8; 64]>::try_from(input) {
        MEMO.with_borrow_mut(|memo| memo.two_words.hash(words, &mut memo.counts))
    } else if let Ok(word) = <&[u8; 32]>::try_from(input) {
        MEMO.with_borrow_mut(|memo| memo.one_word.hash(word, &mut memo.counts))
    } else {
        keccak256(input)
    }
}

#[derive(Debug)]
struct Memo {
    one_word: Table<32>,
    two_words: Table<64>,
    counts: Counts,
}

impl Memo {
    fn new() -> Self {
        Self {
            one_word: Table::new(),
            two_words: Table::new(),
            counts: Counts::default(),
        }
    }
}

/// A direct-mapped table. Every entry is true at any time: those never written hold the hash of zeros.
#[derive(Debug)]
struct Table<const LEN: usize> {
    entries: Box<[Entry<LEN>]>,
}

#[derive(Clone, Copy, Debug)]
struct Entry<const LEN: usize> {
    input: [u8; LEN],
    hash: B256,
}

impl<const LEN: usize> Table<LEN> {
    fn new() -> Self {
        let zeros = Entry {
            input: [0; LEN],
            hash: keccak256([0; LEN]),
        };
        Self {
            entries: vec![zeros; ENTRIES].into_boxed_slice(),
        }
    }

    #[inline]
    fn hash(&mut self, input: &[u8; LEN], counts: &mut Counts) -> B256 {
        let entry = &mut self.entries[index(input)];
        counts.asked += 1;
        if entry.input != *input {
            counts.missed();
            *entry = Entry {
                input: *input,
                hash: keccak256(input),
            };
        }
        entry.hash
    }
}

/// Where an input belongs. The ends of its words vary most: addresses, numbers and hashes are right-aligned.
#[inline]
fn index<const LEN: usize>(input: &[u8; LEN]) -> usize {
    let mut mixed = 0_u64;
    let (words, _) = input.as_chunks::<32>();
    for word in words {
        let (limbs, _) = word.as_chunks::<8>();
        mixed = mixed.rotate_left(29) ^ u64::from_be_bytes(limbs[3]) ^ u64::from_be_bytes(limbs[2]);
        mixed = mixed.wrapping_mul(SPREAD);
    }
    (mixed >> (u64::BITS - INDEX_BITS)) as usize
}

#[derive(Debug, Default)]
struct Counts {
    asked: u64,
    missed: u64,
}

impl Counts {
    #[inline]
    fn missed(&mut self) {
        self.missed += 1;
        if self.missed == COUNTED_TOGETHER {
            self.publish();
        }
    }

    #[cold]
    fn publish(&mut self) {
        let Self { asked, missed } = std::mem::take(self);
        metrics::counter!("rapid_reth_jit_keccak_memo_lookups_total").increment(asked);
        metrics::counter!("rapid_reth_jit_keccak_memo_misses_total").increment(missed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_exact_when_asked_again_and_when_entries_are_taken() {
        let inputs = |seed: u64| {
            let mut two = [0; 64];
            two[24..32].copy_from_slice(&seed.wrapping_mul(SPREAD).to_be_bytes());
            two[56..].copy_from_slice(&(seed % 3).to_be_bytes());
            two
        };
        let asked = 8 * ENTRIES as u64;
        for round in 0..2 {
            for seed in 0..asked {
                let two = inputs(seed);
                assert_eq!(keccak_memo(&two), keccak256(two), "{round} {seed}");
                assert_eq!(keccak_memo(&two), keccak256(two), "{round} {seed}, from the memo");
                assert_eq!(keccak_memo(&two[..32]), keccak256(&two[..32]));
            }
        }
    }

    #[test]
    fn inputs_that_differ_in_one_bit_are_different() {
        let mut input = [0x5a; 64];
        let _ = keccak_memo(&input);
        for bit in 0..64 * 8 {
            input[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(keccak_memo(&input), keccak256(input), "bit {bit}");
            input[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn other_lengths_are_hashed_too() {
        for len in [0, 1, 31, 33, 63, 65, 136, 200] {
            let input = vec![7; len];
            assert_eq!(keccak_memo(&input), keccak256(&input), "{len}");
        }
        assert_eq!(keccak_memo(&[0; 64]), keccak256([0; 64]));
        assert_eq!(keccak_memo(&[0; 32]), keccak256([0; 32]));
    }

    #[test]
    fn the_keys_of_one_mapping_spread_over_the_table() {
        let mut used = vec![0_usize; ENTRIES];
        for key in 0..ENTRIES as u64 {
            let mut input = [0; 64];
            input[24..32].copy_from_slice(&key.to_be_bytes());
            input[63] = 3;
            used[index(&input)] += 1;
        }
        let taken = used.iter().filter(|&&count| count > 0).count();
        assert!(taken > ENTRIES / 2, "{taken}");
    }
}
