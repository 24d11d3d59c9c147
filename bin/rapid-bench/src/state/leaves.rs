//! The leaves of a state in the order of their hashed keys, as a full rebuild wants them.

use super::world::{World, word};
use alloy_primitives::{Address, B256, U256, keccak256};
use rapid_primitives::{Account, AccountChange};
use std::collections::BTreeMap;

/// How many accounts and slots, and how they are spread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// What the state looks like.
    pub(crate) name: &'static str,
    /// Accounts.
    pub(crate) accounts: u64,
    /// Slots.
    pub(crate) slots: u64,
    /// Accounts that have storage.
    pub(crate) storages: u64,
}

impl Shape {
    /// All slots in one storage.
    pub(crate) const fn one_storage(leaves: u64) -> Self {
        Self {
            name: "one storage",
            accounts: 1,
            slots: leaves - 1,
            storages: 1,
        }
    }

    /// Two accounts for three slots; one account of forty has storage.
    pub(crate) const fn many_storages(leaves: u64) -> Self {
        let accounts = leaves * 2 / 5;
        Self {
            name: "many storages",
            accounts,
            slots: leaves - accounts,
            storages: accounts.div_ceil(40),
        }
    }

    /// The world that accounts and slots are from.
    pub(crate) fn world(self, seed: u64) -> World {
        World::new(seed, self.storages)
    }

    /// Accounts and slots.
    pub(crate) const fn leaves(self) -> u64 {
        self.accounts + self.slots
    }
}

/// A slot that is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotLeaf {
    /// Hash of the key.
    pub(crate) hashed: B256,
    /// The key.
    pub(crate) key: U256,
    /// The value.
    pub(crate) value: U256,
}

/// An account with its storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountLeaves {
    /// Hash of the address.
    pub(crate) hashed: B256,
    /// The address.
    pub(crate) address: Address,
    /// The fields.
    pub(crate) account: Account,
    /// The slots in the order of their hashes.
    pub(crate) slots: Vec<SlotLeaf>,
}

/// All accounts in the order of their hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaves(Vec<AccountLeaves>);

impl Leaves {
    /// The accounts and slots of a shape.
    pub(crate) fn of(world: World, shape: Shape) -> Self {
        let mut slots: Vec<Vec<SlotLeaf>> = vec![Vec::new(); shape.storages as usize];
        for slot in 0..shape.slots {
            let leaf = slot_leaf(world.key(slot), world.value(slot, 0));
            slots[world.owner(slot) as usize].push(leaf);
        }
        let mut slots = slots.into_iter();
        let mut accounts: Vec<_> = (0..shape.accounts)
            .map(|account| {
                let mut slots = slots.next().unwrap_or_default();
                slots.shrink_to_fit();
                slots.sort_unstable_by_key(|slot| slot.hashed);
                let address = world.address(account);
                AccountLeaves {
                    hashed: keccak256(address),
                    address,
                    account: world.account(account, 0),
                    slots,
                }
            })
            .collect();
        accounts.sort_unstable_by_key(|account| account.hashed);
        Self(accounts)
    }

    /// In the order of their hashes.
    pub(crate) fn accounts(&self) -> &[AccountLeaves] {
        &self.0
    }

    /// Accounts and slots.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len() + self.0.iter().map(|account| account.slots.len()).sum::<usize>()
    }

    /// The same in the order of the keys themselves, in which only
    /// [`hashed_and_sorted`](Self::hashed_and_sorted) can be done to them.
    pub(crate) fn by_keys(&self) -> Self {
        let mut accounts = self.0.clone();
        accounts.sort_unstable_by_key(|account| account.address);
        for account in &mut accounts {
            account.slots.sort_unstable_by_key(|slot| slot.key);
        }
        Self(accounts)
    }

    /// Hashes all keys and sorts by the hashes.
    pub(crate) fn hashed_and_sorted(mut self) -> Self {
        for account in &mut self.0 {
            account.hashed = keccak256(account.address);
            for slot in &mut account.slots {
                slot.hashed = keccak256(word(slot.key));
            }
            account.slots.sort_unstable_by_key(|slot| slot.hashed);
        }
        self.0.sort_unstable_by_key(|account| account.hashed);
        self
    }

    /// Applies changes, one of each account at most.
    pub(crate) fn apply(&mut self, changes: &[AccountChange]) {
        let mut added = Vec::new();
        let mut removed = Vec::new();
        for change in changes {
            let hashed = keccak256(change.address);
            match self.0.binary_search_by_key(&hashed, |account| account.hashed) {
                Ok(place) => {
                    let before = &mut self.0[place];
                    match change.apply_to(Some(before.account)) {
                        None => removed.push(hashed),
                        Some(account) => {
                            before.account = account;
                            merge_slots(&mut before.slots, &change.storage);
                        }
                    }
                }
                Err(_) => added.extend(change.apply_to(None).map(|account| {
                    let mut slots = Vec::new();
                    merge_slots(&mut slots, &change.storage);
                    AccountLeaves {
                        hashed,
                        address: change.address,
                        account,
                        slots,
                    }
                })),
            }
        }
        if !removed.is_empty() {
            removed.sort_unstable();
            self.0
                .retain(|account| removed.binary_search(&account.hashed).is_err());
        }
        if !added.is_empty() {
            self.0.extend(added);
            // Runs that are in order already cost one pass.
            self.0.sort_by_key(|account| account.hashed);
        }
    }
}

fn slot_leaf(key: U256, value: U256) -> SlotLeaf {
    SlotLeaf {
        hashed: keccak256(word(key)),
        key,
        value,
    }
}

fn merge_slots(slots: &mut Vec<SlotLeaf>, changes: &[(U256, U256)]) {
    let mut changes: BTreeMap<B256, SlotLeaf> = changes
        .iter()
        .map(|&(key, value)| slot_leaf(key, value))
        .map(|slot| (slot.hashed, slot))
        .collect();
    if changes.is_empty() {
        return;
    }
    let mut cleared = false;
    changes.retain(|hashed, changed| {
        let Ok(place) = slots.binary_search_by_key(hashed, |slot| slot.hashed) else {
            return !changed.value.is_zero();
        };
        slots[place].value = changed.value;
        cleared |= changed.value.is_zero();
        false
    });
    if cleared {
        slots.retain(|slot| !slot.value.is_zero());
    }
    if !changes.is_empty() {
        slots.extend(changes.into_values());
        slots.sort_by_key(|slot| slot.hashed);
    }
}
