//! The keys that a block changes.

use super::{leaves::Shape, world::World};
use alloy_primitives::{Address, U256};
use rapid_primitives::{AccountChange, Fate};
use std::collections::{BTreeMap, HashSet};

/// Of a hundred changed slots so many are new,
const NEW_PERCENT: u64 = 20;
/// and so many become zero. The others get another value.
const CLEARED_PERCENT: u64 = 10;

/// What a block changes, and how to undo it.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// One change of each account.
    pub(crate) changes: Vec<AccountChange>,
    /// What makes the state the one before.
    pub(crate) undo: Vec<AccountChange>,
    /// Accounts whose leaf changes, be it by the root of their storage, and slots.
    pub(crate) keys: u64,
}

impl Batch {
    /// Draws the block of a round. Accounts and slots are changed in the proportion in which there are any; no account
    /// goes, as none has since self-destruction was ended.
    pub(crate) fn draw(world: World, shape: Shape, round: u64, changed: u64) -> Self {
        let mut drawing = Drawing {
            world,
            stream: round,
            draws: 0,
            changes: BTreeMap::new(),
            undo: BTreeMap::new(),
        };
        let accounts = match shape.accounts {
            1 => 0,
            accounts => changed * accounts / shape.leaves(),
        };
        let slots = changed - accounts;
        drawing.accounts(shape, accounts, round * changed);
        drawing.slots(shape, slots, round * changed);
        let changes: Vec<_> = drawing.changes.into_values().collect();
        let changed_slots: usize = changes.iter().map(|change| change.storage.len()).sum();
        Self {
            keys: (changes.len() + changed_slots) as u64,
            changes,
            undo: drawing.undo.into_values().collect(),
        }
    }
}

struct Drawing {
    world: World,
    stream: u64,
    draws: u64,
    changes: BTreeMap<Address, AccountChange>,
    undo: BTreeMap<Address, AccountChange>,
}

impl Drawing {
    fn accounts(&mut self, shape: Shape, changed: u64, first_new: u64) {
        let new = changed * NEW_PERCENT / 100;
        for account in self.distinct(changed - new, shape.accounts) {
            self.put_account(account, 1);
            let before = self.world.account(account, 0);
            let undo = entry(&mut self.undo, self.world.address(account));
            (undo.nonce, undo.balance) = (Some(before.nonce), Some(before.balance));
        }
        for account in (0..new).map(|number| shape.accounts + first_new + number) {
            self.put_account(account, 1);
            entry(&mut self.undo, self.world.address(account)).fate = Fate::Removed;
        }
    }

    fn put_account(&mut self, account: u64, generation: u64) {
        let after = self.world.account(account, generation);
        let change = entry(&mut self.changes, self.world.address(account));
        (change.nonce, change.balance) = (Some(after.nonce), Some(after.balance));
    }

    fn slots(&mut self, shape: Shape, changed: u64, first_new: u64) {
        let new = changed * NEW_PERCENT / 100;
        let cleared = changed * CLEARED_PERCENT / 100;
        for (number, slot) in (0..).zip(self.distinct(changed - new, shape.slots)) {
            let after = if number < cleared {
                U256::ZERO
            } else {
                self.world.value(slot, 1)
            };
            self.put_slot(slot, after, self.world.value(slot, 0));
        }
        for slot in (0..new).map(|number| shape.slots + first_new + number) {
            self.put_slot(slot, self.world.value(slot, 1), U256::ZERO);
        }
    }

    fn put_slot(&mut self, slot: u64, after: U256, before: U256) {
        let (address, key) = self.world.slot(slot);
        entry(&mut self.changes, address).storage.push((key, after));
        entry(&mut self.undo, address).storage.push((key, before));
    }

    /// So many different numbers below a bound.
    fn distinct(&mut self, count: u64, bound: u64) -> Vec<u64> {
        let mut seen = HashSet::new();
        let mut numbers = Vec::with_capacity(count as usize);
        while (numbers.len() as u64) < count {
            let number = self.world.draw(self.stream, self.draws, bound);
            self.draws += 1;
            if seen.insert(number) {
                numbers.push(number);
            }
        }
        numbers
    }
}

fn entry(changes: &mut BTreeMap<Address, AccountChange>, address: Address) -> &mut AccountChange {
    changes
        .entry(address)
        .or_insert_with(|| AccountChange::new(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::leaves::Leaves;

    #[test]
    fn undoing_brings_back_the_leaves() {
        for shape in [Shape::one_storage(1_000), Shape::many_storages(1_000)] {
            let world = shape.world(3);
            let before = Leaves::of(world, shape);
            assert_eq!(before.len(), 1_000);
            for round in 0..3 {
                let batch = Batch::draw(world, shape, round, 100);
                assert!((100..=200).contains(&batch.keys), "{}", batch.keys);
                let mut leaves = before.clone();
                leaves.apply(&batch.changes);
                assert_ne!(leaves, before);
                let grown = 1_000 + 20 - leaves.len();
                assert!((6..=10).contains(&grown), "{grown} slots were cleared");
                leaves.apply(&batch.undo);
                assert_eq!(leaves, before);
            }
        }
    }
}
