//! What a commit checks after it took its sequence: what it read, and what it relies on without having locked it.

use alloy_primitives::Address;

use super::{Batch, Nothing, conflict};
use crate::{
    StateKey,
    account::storage_of,
    commit::Failed,
    entry::{ABSENT, Busy, Cell, Layout, Lock},
    layout::SlotKey,
    read_set::{Seen, SlotRead},
    storages::StorageId,
    table::{PATIENCE, Table},
};

impl Batch<'_> {
    /// Checks that what was read is as it was.
    pub(crate) fn validate(&self) -> Result<(), Failed> {
        for read in &self.reads.accounts {
            let holds = match read.seen {
                Seen::Value { id, sequence } => self.is_account_as_seen(&read.address, id, sequence),
                Seen::Absent(Some(gap)) if self.tables.accounts.holds(gap) => true,
                Seen::Absent(_) => self.is_account_absent(&read.address)?,
            };
            if !holds {
                return Err(conflict(StateKey::Account(read.address)));
            }
        }
        let mut last: Option<(&SlotRead, StorageId)> = None;
        for read in &self.reads.slots {
            // Mostly it is one contract whose slots are read, one after the other.
            let storage = match last {
                Some((last, storage)) if last.account == read.account && last.address == read.address => {
                    storage
                }
                _ => self.storage_of_read(read)?,
            };
            last = Some((read, storage));
            if !self.holds_slot(read, storage)? {
                return Err(conflict(StateKey::Slot(read.address, read.slot)));
            }
        }
        Ok(())
    }

    /// Checks that what the commit relies on and has not locked is as it was: accounts whose slots are written have the
    /// storage the slots are of, and where there was nothing there is nothing. To be asked after the sequence was taken, as
    /// [`validate`](Self::validate) is: an earlier commit may have been about to write there.
    pub(crate) fn check_unlocked(&self) -> Result<(), Busy> {
        for owner in &self.held.owners {
            if self.storage_now(owner.account, &owner.address, owner.storage)? != owner.storage {
                return Err(Busy);
            }
        }
        for nothing in &self.held.nothing {
            let still = match nothing {
                Nothing::Account(address, gap) => {
                    self.tables.accounts.holds(*gap) || self.is_account_absent(address)?
                }
                Nothing::Storage(address) => self.storage_of_address(address, StorageId::NONE)?.is_none(),
                Nothing::Slot(key, gap) => self.tables.slots.holds(*gap) || self.is_slot_absent(key)?,
            };
            if !still {
                return Err(Busy);
            }
        }
        Ok(())
    }

    fn is_account_as_seen(&self, address: &Address, id: u32, seen: u64) -> bool {
        let held = || self.held.account(id).is_some();
        is_as_seen(self.tables.accounts.entries.sequence(id), seen, held)
            && self.tables.accounts.entries.key(id) == *address
    }

    /// The storage of the account that a slot was read of, as it was before this commit.
    fn storage_of_read(&self, read: &SlotRead) -> Result<StorageId, Busy> {
        match read.account {
            Some(account) => self.storage_now(account, &read.address, read.storage),
            None => self.storage_of_address(&read.address, read.storage),
        }
    }

    fn holds_slot(&self, read: &SlotRead, storage: StorageId) -> Result<bool, Busy> {
        match read.seen {
            Seen::Value { id, sequence } => {
                let held = || self.held.slot(id).is_some();
                Ok(storage == read.storage
                    && is_as_seen(self.tables.slots.entries.sequence(id), sequence, held)
                    && self.tables.slots.entries.key(id) == (read.storage, read.slot))
            }
            Seen::Absent(_) if storage.is_none() => Ok(true),
            Seen::Absent(Some(gap)) if storage == read.storage && self.tables.slots.holds(gap) => Ok(true),
            Seen::Absent(_) => self.is_slot_absent(&(storage, read.slot)),
        }
    }

    /// The storage of an address, as it was before this commit, which was found in this entry and had this one then.
    fn storage_now(&self, account: u32, address: &Address, known: StorageId) -> Result<StorageId, Busy> {
        let entries = &self.tables.accounts.entries;
        // Nearly always it is not locked, so not one of this commit's.
        let read = match entries.try_read(account, 1) {
            Ok(read) => read,
            Err(Busy) => match self.held.account(account) {
                Some(held) => Some((entries.key(account), held.cell)),
                None => entries.try_read(account, PATIENCE)?,
            },
        };
        match read {
            Some((found, cell)) if found == *address => self.storage_in(&cell, known),
            _ => self.storage_of_address(address, known),
        }
    }

    /// The storage of an address, as it was before this commit; it had the `known` one once.
    fn storage_of_address(&self, address: &Address, known: StorageId) -> Result<StorageId, Busy> {
        match self.account_before(address)? {
            Some(cell) => self.storage_in(&cell, known),
            None => Ok(StorageId::NONE),
        }
    }

    /// The storage of an account, which had the `known` one once. If it has that still, it had it all the time: one that has
    /// ended does not come back. That it has none, or another, may be the doing of a later commit, and what was there before
    /// that is no longer known.
    fn storage_in(&self, account: &Cell, known: StorageId) -> Result<StorageId, Busy> {
        match storage_of(&account.value) {
            storage if storage == known && !storage.is_none() => Ok(storage),
            _ if account.sequence > self.sequence => Err(Busy),
            storage => Ok(storage),
        }
    }

    fn is_account_absent(&self, address: &Address) -> Result<bool, Busy> {
        self.is_absent(self.account_before(address)?)
    }

    fn is_slot_absent(&self, key: &SlotKey) -> Result<bool, Busy> {
        let held = |id| self.held.slot(id).map(|held| held.cell);
        self.is_absent(before(&self.tables.slots, key, held)?)
    }

    /// Whether an entry has no value. As with [storages](Self::storage_in), only an earlier commit's word counts.
    fn is_absent(&self, cell: Option<Cell>) -> Result<bool, Busy> {
        match cell {
            None => Ok(true),
            Some(cell) if cell.sequence > self.sequence => Err(Busy),
            Some(cell) => Ok(cell.value == ABSENT),
        }
    }

    fn account_before(&self, address: &Address) -> Result<Option<Cell>, Busy> {
        let held = |id| self.held.account(id).map(|held| held.cell);
        before(&self.tables.accounts, address, held)
    }
}

/// What the entry of a key says, before this commit where it is one of the `held`; `None` if there is no entry.
fn before<L: Layout>(
    table: &Table<L>,
    key: &L::Key,
    held: impl FnOnce(u32) -> Option<Cell>,
) -> Result<Option<Cell>, Busy> {
    let Ok(id) = table.find_unread(key) else {
        return Ok(None);
    };
    // First what is held: nobody would unlock it while we wait.
    if let Some(cell) = held(id) {
        return Ok(Some(cell));
    }
    match table.entries.try_read(id, PATIENCE)? {
        Some((found, cell)) if found == *key => Ok(Some(cell)),
        // It has just ended.
        _ => Err(Busy),
    }
}

fn is_as_seen(now: Option<(u64, Lock)>, seen: u64, held: impl FnOnce() -> bool) -> bool {
    match now {
        Some((sequence, Lock::Free)) => sequence == seen,
        Some((sequence, Lock::Taken)) => sequence == seen && held(),
        None => false,
    }
}
