//! A long run of random account changes, with wipes, removals and forks, each batch compared with a full rebuild.

use alloy_primitives::U256;
use rapid_primitives::{AccountChange, Fate};

use crate::model::{Tracked, address};

/// Slot writes and account changes of a run; `RAPID_TRIE_OPERATIONS` sets another number.
const OPERATIONS: usize = 100_000;

/// Versions alive at once.
const VERSIONS: usize = 5;

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

    fn change(&mut self) -> AccountChange {
        let mut change = AccountChange::new(address(self.below(120) as u8));
        match self.below(24) {
            0 => {
                change.fate = Fate::Removed;
                return change;
            }
            1 => change.fate = Fate::Wiped,
            _ => {}
        }
        change.nonce = Some(self.below(40));
        change.balance = Some(U256::from(self.below(3)));
        // Few have many slots, and some lose all of them.
        let most = if self.below(8) == 0 { 60 } else { 4 };
        let zeroes = 1 + self.below(5);
        for slot in 0..self.below(most) {
            let value = if self.below(zeroes) > 0 {
                U256::ZERO
            } else {
                U256::from(1 + self.next() % 300)
            };
            change.storage.push((U256::from(slot), value));
        }
        change
    }
}

#[test]
fn a_long_run_equals_rebuilds() {
    let operations = std::env::var("RAPID_TRIE_OPERATIONS");
    let mut left: usize = operations.map_or(OPERATIONS, |count| count.parse().expect("a number"));
    let mut numbers = Numbers(left as u64);
    let mut versions = vec![Tracked::default()];
    while left > 0 {
        let most = [1, 8, 64, 200][numbers.below(4) as usize];
        let changes: Vec<_> = (0..=numbers.below(most)).map(|_| numbers.change()).collect();
        let count: usize = changes.iter().map(|change| 1 + change.storage.len()).sum();
        left = left.saturating_sub(count);
        let at = numbers.below(versions.len() as u64) as usize;
        let mut version = if numbers.below(2) == 0 {
            versions[at].clone()
        } else {
            versions.swap_remove(at)
        };
        version.apply(&changes);
        version.assert_root();
        versions.push(version);
        if versions.len() > VERSIONS {
            versions.swap_remove(numbers.below(VERSIONS as u64) as usize);
        }
    }
    versions.iter().for_each(Tracked::assert_root);
    let last = versions.swap_remove(0);
    drop(versions);
    last.forest.sweep();
    assert_eq!(
        last.forest.usage().used_bytes,
        last.rebuilt().forest.usage().used_bytes
    );
}
