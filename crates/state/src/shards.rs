//! The tables: shards of accounts and slots, found by keyed hash.

use std::{
    hash::BuildHasher,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use alloy_primitives::{
    Address, U256,
    map::{AddressMap, FbBuildHasher, HashMap, U256Map},
};
use parking_lot::RwLock;

use crate::cell::{AccountRecord, Cell, StorageId};

/// Shards of each table. Many more than writers, so that two commits seldom meet by chance.
pub(crate) const SHARDS: usize = 256;

/// Shards over which the slots of one account are spread, so that writers to one busy contract seldom meet.
pub(crate) const SLOT_SPREAD: usize = 16;

pub(crate) type AccountShard = AddressMap<Cell<Option<AccountRecord>>>;
pub(crate) type SlotCells = U256Map<Cell<U256>>;
pub(crate) type SlotShard = HashMap<StorageId, SlotCells>;

/// Keeps the locks of neighbouring shards out of each other's cache lines (pairs of lines are fetched together).
#[repr(align(128))]
#[derive(Debug, Default)]
pub(crate) struct Shard<T>(pub(crate) RwLock<T>);

/// Both tables.
///
/// The hashers carry secrets of the process, so nobody outside can choose keys that meet in a shard.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) accounts: Box<[Shard<AccountShard>]>,
    pub(crate) slots: Box<[Shard<SlotShard>]>,
    /// Cells of accounts, for the metrics.
    pub(crate) account_cells: AtomicUsize,
    /// Cells of slots, for the metrics.
    pub(crate) slot_cells: AtomicUsize,
    address_hasher: FbBuildHasher<20>,
    slot_hasher: FbBuildHasher<32>,
}

impl Tables {
    pub(crate) fn new() -> Self {
        Self {
            accounts: (0..SHARDS).map(|_| Shard::default()).collect(),
            slots: (0..SHARDS).map(|_| Shard::default()).collect(),
            account_cells: AtomicUsize::new(0),
            slot_cells: AtomicUsize::new(0),
            address_hasher: FbBuildHasher::default(),
            slot_hasher: FbBuildHasher::default(),
        }
    }

    /// Shard of an account.
    pub(crate) fn account_shard(&self, address: &Address) -> usize {
        middle_byte(self.address_hasher.hash_one(address))
    }

    /// Shard of a slot. It depends on the address and not on the storage id, so that a commit knows its locks before
    /// it has read anything.
    pub(crate) fn slot_shard(&self, address: &Address, slot: &U256) -> usize {
        let part = middle_byte(self.slot_hasher.hash_one(slot)) % SLOT_SPREAD;
        self.slot_shard_of_part(address, part)
    }

    /// Shard of one of the [`SLOT_SPREAD`] parts of an account's storage.
    pub(crate) fn slot_shard_of_part(&self, address: &Address, part: usize) -> usize {
        (self.account_shard(address) + part) % SHARDS
    }

    /// The newest value of an account.
    pub(crate) fn newest_account(&self, address: &Address) -> Option<(u64, AccountRecord)> {
        let shard = self.accounts[self.account_shard(address)].0.read();
        let cell = shard.get(address)?;
        cell.value().map(|record| (cell.sequence(), record))
    }

    /// The newest value of a slot that is not zero.
    ///
    /// The account stays locked until the slot is read: otherwise its storage could be wiped and reclaimed between.
    pub(crate) fn newest_slot(&self, address: &Address, slot: &U256) -> Option<(u64, U256)> {
        let accounts = self.accounts[self.account_shard(address)].0.read();
        let storage_id = accounts.get(address)?.value()?.storage_id;
        if storage_id == 0 {
            return None;
        }
        let slots = self.slots[self.slot_shard(address, slot)].0.read();
        let cell = slots.get(&storage_id)?.get(slot)?;
        (!cell.value().is_zero()).then(|| (cell.sequence(), cell.value()))
    }

    /// Removes all slots of a storage that no retained version refers to.
    pub(crate) fn reclaim_storage(&self, address: &Address, storage_id: StorageId) {
        for part in 0..SLOT_SPREAD {
            let cells = self.slots[self.slot_shard_of_part(address, part)]
                .0
                .write()
                .remove(&storage_id);
            if let Some(cells) = cells {
                self.slot_cells.fetch_sub(cells.len(), Relaxed);
            }
        }
    }
}

/// Bits that the hash tables inside the shards use neither for the bucket (low bits) nor for the tag (top bits).
const fn middle_byte(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}
