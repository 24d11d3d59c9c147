//! The accounts and slots of a made-up chain, each a function of its number and a seed, so that no list is kept.

use alloy_primitives::{Address, B256, U256};
use rapid_primitives::Account;

/// Of a full mantissa.
const UNIT: f64 = 1.0 / (1u64 << 53) as f64;

/// The accounts and slots of a made-up chain.
///
/// Keys are random, as hashed mappings make them. Values have the lengths that values have: flags, amounts, addresses,
/// hashes, a quarter each. Slots are spread over `storages` accounts so that few hold many: the largest has the share
/// `storages^(-1/4)` of all, and half of the slots are in a sixteenth of the storages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    seed: u64,
    storages: u64,
}

impl World {
    /// A world whose slots are in the first `storages` accounts.
    pub(crate) fn new(seed: u64, storages: u64) -> Self {
        Self {
            seed: mix(seed),
            storages,
        }
    }

    /// The address of an account.
    pub(crate) fn address(self, account: u64) -> Address {
        let words: [u64; 3] = self.words(1, account);
        let mut bytes = [0; 24];
        for (part, word) in bytes.chunks_exact_mut(8).zip(words) {
            part.copy_from_slice(&word.to_le_bytes());
        }
        Address::from_slice(&bytes[..20])
    }

    /// The fields of an account when it was written for the `generation`th time.
    pub(crate) fn account(self, account: u64, generation: u64) -> Account {
        let [random, amount] = self.words(2, account);
        Account {
            nonce: (random >> 56) + generation,
            balance: U256::from(u128::from(amount) << (random & 31)),
            ..Account::default()
        }
    }

    /// The account that a slot is of.
    pub(crate) fn owner(self, slot: u64) -> u64 {
        let [random] = self.words(3, slot);
        let unit = (random >> 11) as f64 * UNIT;
        ((self.storages as f64 * unit.powi(4)) as u64).min(self.storages - 1)
    }

    /// The key of a slot in its account.
    pub(crate) fn key(self, slot: u64) -> U256 {
        U256::from_limbs(self.words(4, slot))
    }

    /// Account and key of a slot.
    pub(crate) fn slot(self, slot: u64) -> (Address, U256) {
        (self.address(self.owner(slot)), self.key(slot))
    }

    /// The value of a slot when it was written for the `generation`th time; never zero.
    pub(crate) fn value(self, slot: u64, generation: u64) -> U256 {
        let words: [u64; 4] = self.words(5, slot ^ mix(generation));
        let value = U256::from_limbs(words);
        let bits = match words[0] & 3 {
            0 => 8,
            1 => 72,
            2 => 160,
            _ => 256,
        };
        // The lowest bit makes it not zero, and the second one keeps a generation apart from the next.
        let low_bits = 1 + 2 * (generation & 1);
        ((value >> (258 - bits)) << 2) | U256::from(low_bits)
    }

    /// A random number below `bound`, the `draw`th of a stream.
    pub(crate) fn draw(self, stream: u64, draw: u64, bound: u64) -> u64 {
        let [random] = self.words(6 ^ mix(stream), draw);
        scale(random, bound)
    }

    fn words<const N: usize>(self, kind: u64, number: u64) -> [u64; N] {
        let start = mix(self.seed ^ kind.wrapping_mul(0xd6e8_feb8_6659_fd93) ^ number);
        std::array::from_fn(|place| mix(start.wrapping_add(place as u64)))
    }
}

/// Maps a random word to a number below `bound`.
pub(crate) fn scale(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

/// A bijection whose results look random (splitmix64's finaliser).
pub(crate) const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The bytes of a key or value, most significant first, as hashes and databases want them.
pub(crate) const fn word(number: U256) -> B256 {
    B256::new(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn numbers_decide_everything() {
        let world = World::new(7, 100);
        assert_eq!(world.slot(3), World::new(7, 100).slot(3));
        assert_ne!(world.slot(3), World::new(8, 100).slot(3));
        assert_ne!(world.value(3, 0), world.value(3, 1));
        assert_ne!(world.account(3, 0), world.account(3, 1));
        let keys: HashSet<_> = (0..10_000).map(|slot| world.slot(slot)).collect();
        assert_eq!(keys.len(), 10_000);
    }

    #[test]
    fn few_storages_hold_many_slots() {
        let world = World::new(7, 10_000);
        let mut sizes = HashMap::<u64, u64>::new();
        for slot in 0..100_000 {
            *sizes.entry(world.owner(slot)).or_default() += 1;
        }
        let largest = sizes.values().max().unwrap();
        assert!((8_000..12_000).contains(largest), "{largest}");
        let in_first: u64 = (0..625).filter_map(|owner| sizes.get(&owner)).sum();
        assert!((48_000..52_000).contains(&in_first), "{in_first}");
    }

    #[test]
    fn values_are_of_all_lengths() {
        let world = World::new(7, 1);
        let mut lengths = HashMap::<usize, u32>::new();
        for slot in 0..4_000 {
            let value = world.value(slot, slot);
            assert!(!value.is_zero());
            *lengths.entry(value.byte_len()).or_default() += 1;
        }
        assert!(lengths[&1] > 900 && lengths[&20] > 900 && lengths[&32] > 900);
    }
}
