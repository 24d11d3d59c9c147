//! What one commit writes: every entry locked, with what it was and what it will be.

use alloy_primitives::{Address, KECCAK256_EMPTY, U256};
use rapid_primitives::{Account, AccountChange, Fate};

#[cfg(test)]
mod tests;
mod validation;

use crate::{
    Conflict, Credit, ReadSet, StateKey,
    account::{AccountRecord, storage_of},
    commit::{Failed, account_after, has_values},
    entry::{Busy, Cell, Layout},
    index::Gap,
    layout::SlotKey,
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

/// What a commit has locked and notes on the way, in memory that the next commit uses again.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) accounts: Vec<HeldAccount>,
    pub(crate) slots: Vec<HeldSlot>,
    /// Storages begun by this commit.
    pub(crate) made: Vec<StorageId>,
    /// Accounts that are not locked because only slots of theirs are written, and the storage they have.
    owners: Vec<Owner>,
    /// What is not locked because there was nothing to change.
    nothing: Vec<Nothing>,
}

/// Entries of each kind that memory is kept for between commits: more than transactions write, and 100 KiB.
const KEPT: usize = 256;

/// An account whose storage is written, and not the account.
#[derive(Clone, Copy, Debug)]
struct Owner {
    account: u32,
    address: Address,
    storage: StorageId,
}

/// What was not there when a commit came to end it, or to write to it.
#[derive(Clone, Copy, Debug)]
enum Nothing {
    Account(Address, Gap),
    /// The account had no storage, if it was there.
    Storage(Address),
    Slot(SlotKey, Gap),
}

/// Everything a commit writes, locked. Unlocked as it was if the commit fails.
pub(crate) struct Batch<'a> {
    tables: &'a Tables,
    floor: u64,
    /// Of the commit, from when it is taken on.
    sequence: u64,
    reads: &'a ReadSet,
    held: &'a mut Held,
}

impl<'a> Batch<'a> {
    pub(crate) const fn new(tables: &'a Tables, floor: u64, reads: &'a ReadSet, held: &'a mut Held) -> Self {
        Self {
            tables,
            floor,
            sequence: 0,
            reads,
            held,
        }
    }

    /// Notes the sequence that was taken once everything was locked.
    pub(crate) fn sequenced(&mut self, sequence: u64) {
        self.sequence = sequence;
        self.held.sort_many();
    }

    /// What is locked, for who writes it now and unlocks it.
    pub(crate) const fn held(&mut self) -> &mut Held {
        self.held
    }

    /// Locks what a change writes, and notes what it makes of it.
    pub(crate) fn add(&mut self, change: &AccountChange) -> Result<(), Busy> {
        if is_storage_only(change) && self.add_storage_only(change)? {
            return Ok(());
        }
        let made = || change.apply_to(None).is_some();
        let Some(position) = self.hold_account(&change.address, made)? else {
            return Ok(());
        };
        let held = &mut self.held.accounts[position];
        let mut after = account_after(change, held.after.as_ref());
        if let Some(after) = &mut after
            && after.storage.is_none()
            && has_values(change)
        {
            after.storage = self.tables.storages.make(held.id);
            self.held.made.push(after.storage);
        }
        held.after = after;
        match after {
            Some(after) => self.hold_slots(after.storage, change),
            None => Ok(()),
        }
    }

    /// Adds wei to an account that nothing has to be known of but that it has no code; returns what it has then.
    ///
    /// # Errors
    /// A conflict if it has code, or would have 2^256 wei.
    pub(crate) fn credit(&mut self, credit: &Credit) -> Result<U256, Failed> {
        let Credit { address, wei } = *credit;
        let Some(position) = self.hold_account(&address, || !wei.is_zero())? else {
            return Ok(U256::ZERO);
        };
        let held = &mut self.held.accounts[position];
        let codeless = |before: AccountRecord| before.account.code_hash == KECCAK256_EMPTY;
        if !held.before.is_none_or(codeless) {
            return Err(conflict(StateKey::Account(address)));
        }
        let balance = held.balance_after();
        let Some(balance) = balance.checked_add(wei) else {
            return Err(conflict(StateKey::Account(address)));
        };
        held.set_balance_after(balance);
        Ok(balance)
    }

    /// Adds wei to an account, whatever it is.
    pub(crate) fn pay(&mut self, address: Address, wei: U256) -> Result<(), Failed> {
        if let Some(position) = self.hold_account(&address, || true)? {
            let held = &mut self.held.accounts[position];
            // There are not 2^256 wei, unless a genesis says so; revm pays like that.
            held.set_balance_after(held.balance_after().saturating_add(wei));
        }
        Ok(())
    }

    /// Locks the slots of a change that writes nothing else, and not their account, so that writers to one contract do
    /// not meet there; `false` if the account is to be written, because it has no storage yet.
    fn add_storage_only(&mut self, change: &AccountChange) -> Result<bool, Busy> {
        let (account, storage) = match self.find_owner(&change.address) {
            Ok(Lookup::Entry(id, cell)) => (id, storage_of(&cell.value)),
            Ok(Lookup::Absent(gap)) => {
                self.held.nothing.push(Nothing::Account(change.address, gap));
                return Ok(true);
            }
            // Locked by somebody else, or by this commit.
            Err(Busy) => return Ok(false),
        };
        if storage.is_none() {
            if has_values(change) {
                return Ok(false);
            }
            self.held.nothing.push(Nothing::Storage(change.address));
            return Ok(true);
        }
        self.held.owners.push(Owner {
            account,
            address: change.address,
            storage,
        });
        self.hold_slots(storage, change)?;
        Ok(true)
    }

    /// Finds an account, where it was read from if it was.
    fn find_owner(&self, address: &Address) -> Result<Lookup, Busy> {
        let accounts = &self.tables.accounts;
        if let Some(id) = self.reads.entry_of_owner(address)
            && let Ok(Some((found, cell))) = accounts.entries.try_read(id, 1)
            && found == *address
        {
            return Ok(Lookup::Entry(id, cell));
        }
        accounts.try_lookup(address)
    }

    fn hold_slots(&mut self, storage: StorageId, change: &AccountChange) -> Result<(), Busy> {
        if storage.is_none() {
            return Ok(());
        }
        for (slot, value) in &change.storage {
            let read = self.reads.entry_of_slot(&change.address, slot);
            self.hold_slot((storage, *slot), *value, read)?;
        }
        Ok(())
    }

    /// Locks an account; `None` if it does not exist and is not to be `made`.
    fn hold_account(
        &mut self,
        address: &Address,
        made: impl FnOnce() -> bool,
    ) -> Result<Option<usize>, Busy> {
        let table = &self.tables.accounts;
        let read = self.reads.entry_of_account(address);
        let id = match lock_existing(table, address, read)? {
            Found::Locked(id) => id,
            Found::Taken(id) => {
                if let Some(position) = self.held.accounts.iter().position(|held| held.id == id) {
                    return Ok(Some(position));
                }
                wait_for(table, id, address)?
            }
            Found::Absent(gap) if !made() => {
                self.held.nothing.push(Nothing::Account(*address, gap));
                return Ok(None);
            }
            Found::Absent(_) => make(table, address)?,
        };
        let cell = table.entries.read_locked(id);
        let before = self.tables.parts.decode(&cell.value);
        self.held.accounts.push(HeldAccount {
            id,
            cell,
            before,
            after: before,
        });
        Ok(Some(self.held.accounts.len() - 1))
    }

    fn hold_slot(&mut self, key: SlotKey, value: U256, read: Option<u32>) -> Result<(), Busy> {
        let table = &self.tables.slots;
        let id = match lock_existing(table, &key, read)? {
            Found::Locked(id) => id,
            Found::Taken(id) => {
                if let Some(held) = self.held.slots.iter_mut().find(|held| held.id == id) {
                    held.after = value;
                    return Ok(());
                }
                wait_for(table, id, &key)?
            }
            Found::Absent(gap) if value.is_zero() => {
                self.held.nothing.push(Nothing::Slot(key, gap));
                return Ok(());
            }
            Found::Absent(_) => make(table, &key)?,
        };
        let cell = table.entries.read_locked(id);
        self.held.slots.push(HeldSlot {
            id,
            cell,
            after: value,
        });
        Ok(())
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let held = &mut *self.held;
        for slot in held.slots.drain(..) {
            self.tables.slots.unlock_or_free(slot.id, self.floor);
        }
        for account in held.accounts.drain(..) {
            self.tables.accounts.unlock_or_free(account.id, self.floor);
        }
        for storage in held.made.drain(..) {
            self.tables.storages.free(storage);
        }
        held.owners.clear();
        held.nothing.clear();
        held.shrink();
    }
}

impl HeldAccount {
    fn balance_after(&self) -> U256 {
        self.after.map_or(U256::ZERO, |after| after.account.balance)
    }

    /// An account that does not exist is made, unless it would be empty.
    fn set_balance_after(&mut self, balance: U256) {
        match &mut self.after {
            Some(after) => after.account.balance = balance,
            None if balance.is_zero() => {}
            None => {
                let account = Account {
                    balance,
                    ..Account::default()
                };
                self.after = Some(AccountRecord {
                    account,
                    storage: StorageId::NONE,
                });
            }
        }
    }
}

impl Held {
    /// Puts what is held in the order of ids, so that looking for one of thousands is no walk over them.
    fn sort_many(&mut self) {
        if self.accounts.len() > FEW {
            self.accounts.sort_unstable_by_key(|held| held.id);
        }
        if self.slots.len() > FEW {
            self.slots.sort_unstable_by_key(|held| held.id);
        }
    }

    /// A locked account. Only after everything was locked.
    fn account(&self, id: u32) -> Option<&HeldAccount> {
        find(&self.accounts, id, |held| held.id)
    }

    /// A locked slot. Only after everything was locked.
    fn slot(&self, id: u32) -> Option<&HeldSlot> {
        find(&self.slots, id, |held| held.id)
    }

    fn shrink(&mut self) {
        self.accounts.shrink_to(KEPT);
        self.slots.shrink_to(KEPT);
        self.made.shrink_to(KEPT);
        self.owners.shrink_to(KEPT);
        self.nothing.shrink_to(KEPT);
    }
}

/// Entries that are looked through one by one.
const FEW: usize = 16;

fn find<T>(held: &[T], id: u32, id_of: impl Fn(&T) -> u32) -> Option<&T> {
    if held.len() <= FEW {
        return held.iter().find(|held| id_of(held) == id);
    }
    let place = held.binary_search_by_key(&id, id_of).ok()?;
    Some(&held[place])
}

/// Whether a change touches slots and nothing else.
fn is_storage_only(change: &AccountChange) -> bool {
    change.fate == Fate::Kept && change.nonce.is_none() && change.balance.is_none() && change.code.is_none()
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

/// Locks the entry of a key if there is one and nobody else has. What was `read` is the entry it had then.
fn lock_existing<L: Layout>(table: &Table<L>, key: &L::Key, read: Option<u32>) -> Result<Found, Busy> {
    // One that has ended since looks like the key of zeros; it cannot be locked.
    if let Some(id) = read
        && table.entries.key(id) == *key
        && table.entries.try_lock(id, 0)
    {
        return confirm(table, id, key).map(Found::Locked);
    }
    let id = match table.find_unread(key) {
        Ok(id) => id,
        Err(gap) => return Ok(Found::Absent(gap)),
    };
    if table.entries.try_lock(id, 0) {
        return confirm(table, id, key).map(Found::Locked);
    }
    Ok(Found::Taken(id))
}

fn wait_for<L: Layout>(table: &Table<L>, id: u32, key: &L::Key) -> Result<u32, Busy> {
    if table.entries.try_lock(id, PATIENCE) {
        confirm(table, id, key)
    } else {
        Err(Busy)
    }
}

fn make<L: Layout>(table: &Table<L>, key: &L::Key) -> Result<u32, Busy> {
    table
        .insert_locked(key)
        .or_else(|known| wait_for(table, known, key))
}

/// A locked entry may be another key's by now.
fn confirm<L: Layout>(table: &Table<L>, id: u32, key: &L::Key) -> Result<u32, Busy> {
    if table.entries.key(id) == *key {
        Ok(id)
    } else {
        table.entries.unlock_unchanged(id);
        Err(Busy)
    }
}
