//! What one commit writes: every entry locked, with what it was and what it will be.

use alloy_primitives::{Address, U256};
use rapid_primitives::{AccountChange, Fate};

use crate::{
    Conflict, ReadSet, StateKey,
    account::{AccountRecord, storage_of},
    commit::{Failed, account_after, has_values},
    entry::{ABSENT, Busy, Cell, Lock},
    index::Gap,
    layout::SlotKey,
    read_set::{Seen, SlotRead},
    storages::StorageId,
    table::{Lookup, PATIENCE, Table},
    tables::Tables,
};

/// A locked account.
#[derive(Clone, Debug)]
pub(crate) struct HeldAccount {
    pub(crate) id: u32,
    pub(crate) cell: Cell,
    pub(crate) before: Option<AccountRecord>,
    pub(crate) after: Option<AccountRecord>,
}

/// A locked slot.
#[derive(Clone, Debug)]
pub(crate) struct HeldSlot {
    pub(crate) id: u32,
    pub(crate) cell: Cell,
    pub(crate) after: U256,
}

/// Everything a commit writes, locked. Unlocked as it was if the commit fails.
pub(crate) struct Batch<'a> {
    tables: &'a Tables,
    floor: u64,
    /// Of the commit, from when it is taken on.
    sequence: u64,
    accounts: Vec<HeldAccount>,
    slots: Vec<HeldSlot>,
    /// Storages begun by this commit.
    made: Vec<StorageId>,
    /// Accounts that are not locked because only slots of theirs are written, and the storage they have.
    owners: Vec<(u32, StorageId)>,
    /// What is not locked because there was nothing to change.
    nothing: Vec<Nothing>,
}

/// What was not there when a commit came to end it, or to write to it.
#[derive(Clone, Copy, Debug)]
enum Nothing {
    Account(Address, Gap),
    /// The account had no storage, if it was there.
    Storage(Address),
    Slot(SlotKey, Gap),
}

impl<'a> Batch<'a> {
    pub(crate) const fn new(tables: &'a Tables, floor: u64) -> Self {
        Self {
            tables,
            floor,
            sequence: 0,
            accounts: Vec::new(),
            slots: Vec::new(),
            made: Vec::new(),
            owners: Vec::new(),
            nothing: Vec::new(),
        }
    }

    /// Notes the sequence that was taken once everything was locked.
    pub(crate) const fn sequenced(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    pub(crate) fn take_accounts(&mut self) -> Vec<HeldAccount> {
        std::mem::take(&mut self.accounts)
    }

    pub(crate) fn take_slots(&mut self) -> Vec<HeldSlot> {
        std::mem::take(&mut self.slots)
    }

    pub(crate) fn take_made(&mut self) -> Vec<StorageId> {
        std::mem::take(&mut self.made)
    }

    /// Whether an account has this storage at the end of the commit.
    pub(crate) fn ends_with(&self, storage: StorageId) -> bool {
        self.accounts
            .iter()
            .rev()
            .any(|held| held.after.is_some_and(|after| after.storage == storage))
    }

    /// Locks what a change writes, and notes what it makes of it.
    pub(crate) fn add(&mut self, change: &AccountChange) -> Result<(), Busy> {
        if is_storage_only(change) && self.add_storage_only(change)? {
            return Ok(());
        }
        let Some(position) = self.hold_account(change)? else {
            return Ok(());
        };
        let held = &mut self.accounts[position];
        let mut after = account_after(change, held.after.as_ref());
        if let Some(after) = &mut after
            && after.storage.is_none()
            && has_values(change)
        {
            after.storage = self.tables.storages.make(held.id);
            self.made.push(after.storage);
        }
        held.after = after;
        match after {
            Some(after) => self.hold_slots(after.storage, change),
            None => Ok(()),
        }
    }

    /// Locks the slots of a change that writes nothing else, and not their account, so that writers to one contract do
    /// not meet there; `false` if the account is to be written, because it has no storage yet.
    fn add_storage_only(&mut self, change: &AccountChange) -> Result<bool, Busy> {
        let (account, storage) = match self.tables.accounts.try_lookup(&change.address) {
            Ok(Lookup::Entry(id, cell)) => (id, storage_of(&cell.value)),
            Ok(Lookup::Absent(gap)) => {
                self.nothing.push(Nothing::Account(change.address, gap));
                return Ok(true);
            }
            // Locked by somebody else, or by this commit.
            Err(Busy) => return Ok(false),
        };
        if storage.is_none() {
            if has_values(change) {
                return Ok(false);
            }
            self.nothing.push(Nothing::Storage(change.address));
            return Ok(true);
        }
        self.owners.push((account, storage));
        self.hold_slots(storage, change)?;
        Ok(true)
    }

    fn hold_slots(&mut self, storage: StorageId, change: &AccountChange) -> Result<(), Busy> {
        if storage.is_none() {
            return Ok(());
        }
        for (slot, value) in &change.storage {
            self.hold_slot(storage, slot, *value)?;
        }
        Ok(())
    }

    /// Locks the account of a change; `None` if it does not exist and the change makes nothing of it.
    fn hold_account(&mut self, change: &AccountChange) -> Result<Option<usize>, Busy> {
        let table = &self.tables.accounts;
        let id = match lock_existing(table, &change.address)? {
            Found::Locked(id) => id,
            Found::Taken(id) => {
                if let Some(position) = self.accounts.iter().position(|held| held.id == id) {
                    return Ok(Some(position));
                }
                wait_for(table, id, &change.address)?
            }
            Found::Absent(gap) if change.apply_to(None).is_none() => {
                self.nothing.push(Nothing::Account(change.address, gap));
                return Ok(None);
            }
            Found::Absent(_) => make(table, &change.address)?,
        };
        let cell = table.entries.read_locked(id);
        let before = self.tables.parts.decode(&cell.value);
        self.accounts.push(HeldAccount {
            id,
            cell,
            before,
            after: before,
        });
        Ok(Some(self.accounts.len() - 1))
    }

    fn hold_slot(&mut self, storage: StorageId, slot: &U256, value: U256) -> Result<(), Busy> {
        let (table, key) = (&self.tables.slots, (storage, *slot));
        let id = match lock_existing(table, &key)? {
            Found::Locked(id) => id,
            Found::Taken(id) => {
                if let Some(held) = self.slots.iter_mut().find(|held| held.id == id) {
                    held.after = value;
                    return Ok(());
                }
                wait_for(table, id, &key)?
            }
            Found::Absent(gap) if value.is_zero() => {
                self.nothing.push(Nothing::Slot(key, gap));
                return Ok(());
            }
            Found::Absent(_) => make(table, &key)?,
        };
        let cell = table.entries.read_locked(id);
        self.slots.push(HeldSlot {
            id,
            cell,
            after: value,
        });
        Ok(())
    }

    /// Checks that what the commit relies on and has not locked is as it was: accounts whose slots are written have the
    /// storage the slots are of, and where there was nothing there is nothing. To be asked after the sequence was taken, as
    /// [`validate`](Self::validate) is: an earlier commit may have been about to write there.
    pub(crate) fn check_unlocked(&self) -> Result<(), Busy> {
        for (account, storage) in &self.owners {
            if self.storage_now(*account)? != *storage {
                return Err(Busy);
            }
        }
        for nothing in &self.nothing {
            let still = match nothing {
                Nothing::Account(address, gap) => {
                    self.tables.accounts.holds(*gap) || self.is_account_absent(address)?
                }
                Nothing::Storage(address) => self.storage_of_address(address)?.is_none(),
                Nothing::Slot(key, gap) => self.tables.slots.holds(*gap) || self.is_slot_absent(key)?,
            };
            if !still {
                return Err(Busy);
            }
        }
        Ok(())
    }

    /// The storage of an account, as it was before this commit.
    fn storage_now(&self, account: u32) -> Result<StorageId, Busy> {
        let entries = &self.tables.accounts.entries;
        // Nearly always it is not locked, so not one of this commit's, of which there may be thousands.
        let read = match entries.try_read(account, 1) {
            Ok(read) => read,
            Err(Busy) => match self.accounts.iter().find(|held| held.id == account) {
                Some(held) => return Ok(storage_of(&held.cell.value)),
                None => entries.try_read(account, PATIENCE)?,
            },
        };
        match read {
            Some((_, cell)) => self.storage_in(&cell),
            None => Ok(StorageId::NONE),
        }
    }

    /// The storage of an account that is not locked. One storage stays the same; that there is none may be the doing of a
    /// later commit, and what was there before it is no longer known.
    fn storage_in(&self, account: &Cell) -> Result<StorageId, Busy> {
        match storage_of(&account.value) {
            StorageId::NONE if account.sequence > self.sequence => Err(Busy),
            storage => Ok(storage),
        }
    }

    /// Whether an entry that is not locked has no value. As with [storages](Self::storage_in), only an earlier commit's word
    /// counts.
    fn is_absent(&self, cell: &Cell) -> Result<bool, Busy> {
        if cell.sequence > self.sequence {
            Err(Busy)
        } else {
            Ok(cell.value == ABSENT)
        }
    }

    /// The storage of an address, as it was before this commit.
    fn storage_of_address(&self, address: &Address) -> Result<StorageId, Busy> {
        match self.tables.accounts.try_lookup(address) {
            Ok(Lookup::Entry(_, cell)) => self.storage_in(&cell),
            Ok(Lookup::Absent(_)) => Ok(StorageId::NONE),
            Err(Busy) => {
                let entries = &self.tables.accounts.entries;
                let held = self.accounts.iter().find(|held| entries.key(held.id) == *address);
                held.map(|held| storage_of(&held.cell.value)).ok_or(Busy)
            }
        }
    }

    /// Checks that what was read is as it was.
    pub(crate) fn validate(&self, reads: &ReadSet) -> Result<(), Failed> {
        for read in &reads.accounts {
            let holds = match read.seen {
                Seen::Value { id, sequence } => self.is_account_as_seen(&read.address, id, sequence),
                Seen::Absent(Some(gap)) if self.tables.accounts.holds(gap) => true,
                Seen::Absent(_) => self.is_account_absent(&read.address)?,
            };
            if !holds {
                return Err(conflict(StateKey::Account(read.address)));
            }
        }
        for read in &reads.slots {
            if !self.holds_slot(read)? {
                return Err(conflict(StateKey::Slot(read.address, read.slot)));
            }
        }
        Ok(())
    }

    fn is_account_as_seen(&self, address: &Address, id: u32, seen: u64) -> bool {
        let held = || self.accounts.iter().any(|held| held.id == id);
        is_as_seen(self.tables.accounts.entries.sequence(id), seen, held)
            && self.tables.accounts.entries.key(id) == *address
    }

    fn is_account_absent(&self, address: &Address) -> Result<bool, Busy> {
        match self.tables.accounts.try_lookup(address) {
            Ok(Lookup::Absent(_)) => Ok(true),
            Ok(Lookup::Entry(_, cell)) => self.is_absent(&cell),
            Err(Busy) => {
                let entries = &self.tables.accounts.entries;
                let held = self.accounts.iter().find(|held| entries.key(held.id) == *address);
                held.map(|held| held.before.is_none()).ok_or(Busy)
            }
        }
    }

    fn holds_slot(&self, read: &SlotRead) -> Result<bool, Busy> {
        let storage = match read.account {
            Some(account) if self.tables.accounts.entries.key(account) == read.address => {
                self.storage_now(account)?
            }
            _ => self.storage_of_address(&read.address)?,
        };
        match read.seen {
            Seen::Value { id, sequence } => {
                let held = || self.slots.iter().any(|held| held.id == id);
                Ok(storage == read.storage
                    && is_as_seen(self.tables.slots.entries.sequence(id), sequence, held)
                    && self.tables.slots.entries.key(id) == (read.storage, read.slot))
            }
            Seen::Absent(_) if storage.is_none() => Ok(true),
            Seen::Absent(Some(gap)) if storage == read.storage && self.tables.slots.holds(gap) => Ok(true),
            Seen::Absent(_) => self.is_slot_absent(&(storage, read.slot)),
        }
    }

    fn is_slot_absent(&self, key: &SlotKey) -> Result<bool, Busy> {
        match self.tables.slots.try_lookup(key) {
            Ok(Lookup::Absent(_)) => Ok(true),
            Ok(Lookup::Entry(_, cell)) => self.is_absent(&cell),
            Err(Busy) => {
                let entries = &self.tables.slots.entries;
                let held = self.slots.iter().find(|held| entries.key(held.id) == *key);
                held.map(|held| held.cell.value == ABSENT).ok_or(Busy)
            }
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for held in self.slots.drain(..) {
            self.tables.slots.unlock_or_free(held.id, self.floor);
        }
        for held in self.accounts.drain(..) {
            self.tables.accounts.unlock_or_free(held.id, self.floor);
        }
        for storage in self.made.drain(..) {
            self.tables.storages.free(storage);
        }
    }
}

/// Whether a change touches slots and nothing else.
fn is_storage_only(change: &AccountChange) -> bool {
    change.fate == Fate::Kept && change.nonce.is_none() && change.balance.is_none() && change.code.is_none()
}

fn is_as_seen(now: Option<(u64, Lock)>, seen: u64, held: impl FnOnce() -> bool) -> bool {
    match now {
        Some((sequence, Lock::Free)) => sequence == seen,
        Some((sequence, Lock::Taken)) => sequence == seen && held(),
        None => false,
    }
}

const fn conflict(key: StateKey) -> Failed {
    Failed::Conflict(Conflict { key })
}

enum Found {
    Locked(u32),
    /// Somebody has it locked, perhaps this commit.
    Taken(u32),
    Absent(Gap),
}

/// Locks the entry of a key if there is one and nobody else has.
fn lock_existing<L: crate::entry::Layout>(table: &Table<L>, key: &L::Key) -> Result<Found, Busy> {
    let id = match table.find_unread(key) {
        Ok(id) => id,
        Err(gap) => return Ok(Found::Absent(gap)),
    };
    if table.entries.try_lock(id, 0) {
        return confirm(table, id, key).map(Found::Locked);
    }
    Ok(Found::Taken(id))
}

fn wait_for<L: crate::entry::Layout>(table: &Table<L>, id: u32, key: &L::Key) -> Result<u32, Busy> {
    if table.entries.try_lock(id, PATIENCE) {
        confirm(table, id, key)
    } else {
        Err(Busy)
    }
}

fn make<L: crate::entry::Layout>(table: &Table<L>, key: &L::Key) -> Result<u32, Busy> {
    table
        .insert_locked(key)
        .or_else(|known| wait_for(table, known, key))
}

/// A locked entry may be another key's by now.
fn confirm<L: crate::entry::Layout>(table: &Table<L>, id: u32, key: &L::Key) -> Result<u32, Busy> {
    if table.entries.key(id) == *key {
        Ok(id)
    } else {
        table.entries.unlock_unchanged(id);
        Err(Busy)
    }
}

#[cfg(test)]
mod tests;
