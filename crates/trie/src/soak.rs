//! A long run of random batches on several versions, each compared with a full rebuild.

use alloy_primitives::{B256, U256, keccak256};

use crate::model::{Trie, Writes, assert_no_leak};

/// Operations of a run; `RAPID_TRIE_OPERATIONS` sets another number.
const OPERATIONS: usize = 100_000;

/// Keys there can be: few enough to rebuild all of it after each batch.
const KEYS: u64 = 1_500;

/// Versions alive at once.
const VERSIONS: usize = 6;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ mixed >> 29
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Half of the keys are as hashes are; the others share a prefix of any length with one of eight.
    fn key(&mut self) -> B256 {
        let number = self.below(KEYS);
        let own = keccak256(number.to_be_bytes());
        if number.is_multiple_of(2) {
            return own;
        }
        let mut mined = keccak256((number % 8).to_le_bytes());
        let shared = (number / 16 % 64) as usize;
        mined[shared / 2] ^= 1 + (number % 15) as u8;
        mined[shared / 2 + 1..].copy_from_slice(&own[shared / 2 + 1..]);
        mined
    }

    fn value(&mut self) -> U256 {
        match self.below(10) {
            0..3 => U256::ZERO,
            3..6 => U256::from(1 + self.below(120)),
            6..8 => U256::from(self.next()),
            _ => U256::MAX >> self.below(255) as usize,
        }
    }

    fn writes(&mut self) -> Writes {
        let most = [1, 10, 100, 1_000][self.below(4) as usize];
        let count = 1 + self.below(most);
        let removes = self.below(12) == 0;
        let value = |numbers: &mut Self| if removes { U256::ZERO } else { numbers.value() };
        (0..count).map(|_| (self.key(), value(self))).collect()
    }
}

#[test]
fn a_long_run_equals_rebuilds() {
    let operations = std::env::var("RAPID_TRIE_OPERATIONS");
    let mut left = operations.map_or(OPERATIONS, |count| count.parse().expect("a number"));
    let mut numbers = Numbers(left as u64);
    let mut versions = vec![Trie::empty()];
    for batch in 0.. {
        let writes = numbers.writes();
        let at = numbers.below(versions.len() as u64) as usize;
        if numbers.below(3) == 0 || !versions[at].write(&writes) {
            let fork = versions[at].fork(&writes);
            versions.push(fork);
        } else {
            let last = versions.len() - 1;
            versions.swap(at, last);
        }
        if versions.len() > VERSIONS {
            versions.swap_remove(numbers.below(VERSIONS as u64) as usize);
        }
        let newest = versions.last().expect("at least one");
        newest.assert_root();
        if batch % 16 == 0 {
            newest.assert_sound();
            assert_no_leak(&versions.iter().collect::<Vec<_>>());
        }
        left = match left.checked_sub(writes.len()) {
            Some(left) => left,
            None => break,
        };
    }
    versions.iter().for_each(Trie::assert_root);
}
