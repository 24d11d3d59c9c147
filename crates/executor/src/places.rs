//! Where keys are in a sorted array, by their first bits.
//!
//! Addresses and most slots are hashes, so they are spread evenly: a key's first bits say within one or two places where it
//! is. That takes one look at a small table, where a hash map of the same keys takes several at a large one. Keys that are not
//! spread are searched for among those with the same first bits.

use std::{cmp::Ordering, ops::Range};

use alloy_primitives::U256;

/// The bits of a number from a certain one on, where there are no more than a word of them.
#[derive(Clone, Copy, Debug, Default)]
struct FirstBits {
    limb: usize,
    bit: u32,
}

impl FirstBits {
    const fn from_bit(bit: usize) -> Self {
        Self {
            limb: bit / 64,
            bit: (bit % 64) as u32,
        }
    }

    /// The number without the bits below. Much faster than shifting all of it.
    fn of(self, number: &U256) -> Option<usize> {
        let limbs = number.as_limbs();
        let (low, above) = (limbs[self.limb], &limbs[self.limb + 1..]);
        let (next, rest) = above
            .split_first()
            .map_or((0, above), |(next, rest)| (*next, rest));
        let fits = next >> self.bit == 0 && rest.iter().all(|limb| *limb == 0);
        let both = (u128::from(next) << 64 | u128::from(low)) >> self.bit;
        fits.then_some(both as usize)
    }
}

/// The table of a sorted array without equal keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    least: U256,
    first_bits: FirstBits,
    /// For each value of the first bits, and one more, how many keys have lower ones. Empty without keys.
    first: Vec<u32>,
}

impl Places {
    /// The table of keys in ascending order.
    pub(crate) fn of(keys: impl ExactSizeIterator<Item = U256> + DoubleEndedIterator + Clone) -> Self {
        let mut places = Self::default();
        let (Some(least), Some(most)) = (keys.clone().next(), keys.clone().next_back()) else {
            return places;
        };
        let bits = keys.len().next_power_of_two().ilog2() as usize;
        places.least = least;
        places.first_bits = FirstBits::from_bit((most - least).bit_len().saturating_sub(bits));
        places.first = vec![0; (1 << bits) + 1];
        for key in keys {
            let bits = places.first_bits.of(&(key - least));
            places.first[bits.expect("not above the last key") + 1] += 1;
        }
        let mut sum = 0;
        for first in &mut places.first {
            sum += *first;
            *first = sum;
        }
        places
    }

    /// Where a key is, if it is there; `compare` compares what is at a place with it.
    pub(crate) fn find(&self, key: &U256, compare: impl Fn(u32) -> Ordering) -> Option<u32> {
        let Range { mut start, mut end } = self.range(key)?;
        while start < end {
            let middle = start + (end - start) / 2;
            match compare(middle) {
                Ordering::Equal => return Some(middle),
                Ordering::Less => start = middle + 1,
                Ordering::Greater => end = middle,
            }
        }
        None
    }

    /// Where a key is if it is anywhere.
    fn range(&self, key: &U256) -> Option<Range<u32>> {
        let bits = self.first_bits.of(&key.checked_sub(self.least)?)?;
        Some(*self.first.get(bits)?..*self.first.get(bits + 1)?)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, keccak256};

    use super::*;

    fn check(mut keys: Vec<U256>, others: &[U256]) {
        keys.sort_unstable();
        keys.dedup();
        let places = Places::of(keys.iter().copied());
        let find = |key: &U256| places.find(key, |place| keys[place as usize].cmp(key));
        for (place, key) in keys.iter().enumerate() {
            assert_eq!(find(key), Some(place as u32), "{key}");
        }
        for key in others.iter().filter(|key| keys.binary_search(key).is_err()) {
            assert_eq!(find(key), None, "{key}");
        }
    }

    #[test]
    fn first_bits_are_what_a_shift_gives() {
        let hash = |seed: u64| U256::from_be_bytes(keccak256(seed.to_be_bytes()).0);
        let powers = (0..256).map(|bit| U256::ONE << bit);
        let spread = (0..256).map(|bit| hash(bit as u64) >> bit);
        for number in powers.chain(spread).chain([U256::ZERO, U256::MAX]) {
            for bit in 0..256 {
                let shifted = usize::try_from(number >> bit).ok();
                assert_eq!(
                    FirstBits::from_bit(bit).of(&number),
                    shifted,
                    "{number} from {bit}"
                );
            }
        }
    }

    #[test]
    fn every_key_is_found_and_no_other() {
        let hashed = |seed: u64| U256::from_be_bytes(keccak256(seed.to_be_bytes()).0);
        let small = |key: u64| U256::from(key);
        let others = [
            U256::ZERO,
            U256::MAX,
            small(3),
            small(1 << 40),
            hashed(9_999),
            U256::from_be_bytes(B256::repeat_byte(1).0),
        ];
        for count in [0, 1, 2, 8, 9, 100, 1_000] {
            check((0..count).map(hashed).collect(), &others);
            check((5..5 + count).map(small).collect(), &others);
            check((0..count).map(|key| small(key * key)).collect(), &others);
            let both = (0..count).map(small).chain((0..count).map(hashed));
            check(both.chain([U256::MAX]).collect(), &others);
        }
    }
}
