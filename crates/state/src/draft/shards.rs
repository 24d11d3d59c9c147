//! What a draft has changed, in shards: many threads fill it at once, and each shard is one thread's at a time.

use std::{
    collections::HashMap as StdMap,
    hash::{BuildHasher, Hash},
};

use alloy_primitives::{
    Address,
    map::{AddressMap, Entry, HashMap},
};

use super::{DraftAccount, DraftSlot};

/// Shards of a draft. Whoever fills it locks each for a few insertions at a time.
pub(super) const SHARDS: usize = 32;

/// Accounts and slots that a draft has touched.
#[derive(Clone, Debug)]
pub(super) struct Shards([Shard; SHARDS]);

/// Some of them. Slots are there by id; those of storages that were dropped since stay, and nobody asks for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Shard {
    pub(super) accounts: AddressMap<DraftAccount>,
    pub(super) slots: HashMap<u32, DraftSlot>,
}

/// The shard that an account is in. Addresses are hashes; one that is made to fall into a certain shard slows down nobody but
/// those who wait for its lock.
pub(super) const fn shard_of_account(address: &Address) -> usize {
    address.0.0[19] as usize % SHARDS
}

/// The shard that a slot is in.
pub(super) const fn shard_of_slot(id: u32) -> usize {
    id as usize % SHARDS
}

impl Default for Shards {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Shard::default()))
    }
}

impl Shards {
    pub(super) fn account(&self, address: &Address) -> Option<&DraftAccount> {
        self.0[shard_of_account(address)].accounts.get(address)
    }

    /// An account; if it is not there it is put there as `untouched` says.
    pub(super) fn account_or_try_insert<E>(
        &mut self,
        address: Address,
        untouched: impl FnOnce() -> Result<DraftAccount, E>,
    ) -> Result<&mut DraftAccount, E> {
        match self.0[shard_of_account(&address)].accounts.entry(address) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(untouched()?)),
        }
    }

    pub(super) fn slot(&self, id: u32) -> Option<&DraftSlot> {
        self.0[shard_of_slot(id)].slots.get(&id)
    }

    pub(super) fn slot_mut(&mut self, id: u32) -> Option<&mut DraftSlot> {
        self.0[shard_of_slot(id)].slots.get_mut(&id)
    }

    pub(super) fn insert_slot(&mut self, id: u32, slot: DraftSlot) {
        self.0[shard_of_slot(id)].slots.insert(id, slot);
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = (&Address, &DraftAccount)> {
        self.0.iter().flat_map(|shard| &shard.accounts)
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = (&u32, &DraftSlot)> {
        self.0.iter().flat_map(|shard| &shard.slots)
    }

    pub(super) fn is_empty(&self) -> bool {
        let empty = |shard: &Shard| shard.accounts.is_empty() && shard.slots.is_empty();
        self.0.iter().all(empty)
    }

    /// Takes newer values over, a shard each.
    pub(super) fn update(&mut self, newer: impl Iterator<Item = Shard>) {
        self.0
            .iter_mut()
            .zip(newer)
            .for_each(|(shard, newer)| shard.update(newer));
    }
}

impl Shard {
    fn update(&mut self, newer: Self) {
        update(&mut self.accounts, newer.accounts);
        update(&mut self.slots, newer.slots);
    }
}

/// Takes newer values over: the fewer are moved to the more.
fn update<K: Eq + Hash, V, S: BuildHasher>(map: &mut StdMap<K, V, S>, mut newer: StdMap<K, V, S>) {
    if newer.len() < map.len() {
        map.extend(newer);
        return;
    }
    for (key, value) in map.drain() {
        newer.entry(key).or_insert(value);
    }
    *map = newer;
}
