//! Walking over a whole version, for checkpoints: shard by shard, while others commit.

use std::vec;

use alloy_primitives::{Address, U256};
use rapid_primitives::{Account, CommitSequence};
use revm::bytecode::Bytecode;

use crate::{
    Snapshot, VersionGone,
    cell::{AccountRecord, StorageId},
    shards::{SHARDS, SLOT_SPREAD},
};

impl Snapshot {
    /// All accounts of the version, in no particular order.
    ///
    /// A shard (1 in 256 accounts) is copied under its lock and given out without it, so commits go on meanwhile.
    #[must_use]
    pub fn accounts(&self) -> AccountScan<'_> {
        AccountScan {
            snapshot: self,
            next_shard: 0,
            loaded: Vec::new().into_iter(),
        }
    }

    /// All slots of an account that are not zero, in no particular order; none if it does not exist.
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot is overrun.
    pub fn account_storage(&self, address: &Address) -> Result<StorageScan<'_>, VersionGone> {
        let storage_id = self.record(address)?.map_or(0, |record| record.storage_id);
        Ok(StorageScan::new(self, *address, storage_id))
    }

    /// Calls `visit` with every account of the version, in no particular order. See [`accounts`](Self::accounts).
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot is overrun on the way, and whatever `visit` fails with.
    pub fn for_each_account<E: From<VersionGone>>(
        &self,
        mut visit: impl FnMut(ScannedAccount<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.accounts().try_for_each(|account| visit(account?))
    }
}

/// Iterator over the accounts of a snapshot. Ends after the first error.
#[derive(Debug)]
pub struct AccountScan<'a> {
    snapshot: &'a Snapshot,
    next_shard: usize,
    loaded: vec::IntoIter<(Address, AccountRecord)>,
}

impl<'a> Iterator for AccountScan<'a> {
    type Item = Result<ScannedAccount<'a>, VersionGone>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((address, record)) = self.loaded.next() {
                return Some(Ok(ScannedAccount {
                    snapshot: self.snapshot,
                    address,
                    record,
                }));
            }
            if self.next_shard == SHARDS {
                return None;
            }
            let CommitSequence(version) = self.snapshot.sequence();
            let shard = self.snapshot.read_accounts(self.next_shard, |cells| {
                let present = cells
                    .iter()
                    .filter_map(|(address, cell)| Some((*address, cell.at(version)?)));
                present.collect::<Vec<_>>()
            });
            self.next_shard = if shard.is_ok() {
                self.next_shard + 1
            } else {
                SHARDS
            };
            match shard {
                Ok(accounts) => self.loaded = accounts.into_iter(),
                Err(gone) => return Some(Err(gone)),
            }
        }
    }
}

/// An account met while scanning.
#[derive(Debug)]
pub struct ScannedAccount<'a> {
    snapshot: &'a Snapshot,
    address: Address,
    record: AccountRecord,
}

impl<'a> ScannedAccount<'a> {
    /// Its address.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Its fields.
    #[must_use]
    pub const fn account(&self) -> Account {
        self.record.account
    }

    /// Its code; `None` if it has none. The raw bytes are `original_bytes()`.
    #[must_use]
    pub fn code(&self) -> Option<Bytecode> {
        let code = self.snapshot.shared().codes.get(&self.record.account.code_hash);
        code.filter(|code| !code.is_empty())
    }

    /// Its slots that are not zero, in no particular order.
    #[must_use]
    pub fn storage(&self) -> StorageScan<'a> {
        StorageScan::new(self.snapshot, self.address, self.record.storage_id)
    }
}

/// Iterator over the slots of an account that are not zero. Loads a sixteenth of them at a time. Ends after the first
/// error.
#[derive(Debug)]
pub struct StorageScan<'a> {
    snapshot: &'a Snapshot,
    address: Address,
    storage_id: StorageId,
    next_part: usize,
    loaded: vec::IntoIter<(U256, U256)>,
}

impl<'a> StorageScan<'a> {
    fn new(snapshot: &'a Snapshot, address: Address, storage_id: StorageId) -> Self {
        let next_part = if storage_id == 0 { SLOT_SPREAD } else { 0 };
        Self {
            snapshot,
            address,
            storage_id,
            next_part,
            loaded: Vec::new().into_iter(),
        }
    }
}

impl Iterator for StorageScan<'_> {
    type Item = Result<(U256, U256), VersionGone>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(slot) = self.loaded.next() {
                return Some(Ok(slot));
            }
            if self.next_part == SLOT_SPREAD {
                return None;
            }
            let CommitSequence(version) = self.snapshot.sequence();
            let shard = self
                .snapshot
                .shared()
                .tables
                .slot_shard_of_part(&self.address, self.next_part);
            let part = self.snapshot.read_slots(shard, self.storage_id, |cells| {
                let values = cells.iter().map(|(slot, cell)| (*slot, cell.at(version)));
                values.filter(|(_, value)| !value.is_zero()).collect::<Vec<_>>()
            });
            self.next_part = if part.is_ok() {
                self.next_part + 1
            } else {
                SLOT_SPREAD
            };
            match part {
                Ok(slots) => self.loaded = slots.unwrap_or_default().into_iter(),
                Err(gone) => return Some(Err(gone)),
            }
        }
    }
}
