//! All tables together, and what they say of an address or a slot.

use alloy_primitives::{Address, U256};

use crate::{
    account::{AccountParts, AccountRecord, is_wide, storage_of},
    entry::{Cell, Value},
    guesses::{Guess, Guesses},
    layout::{Accounts, Slots},
    region::OutOfMemory,
    storages::{StorageId, Storages},
    table::{Lookup, Table},
    undo::UndoArena,
};

#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) accounts: Table<Accounts>,
    pub(crate) slots: Table<Slots>,
    pub(crate) storages: Storages,
    pub(crate) undo: UndoArena,
    pub(crate) parts: AccountParts,
    guesses: Guesses,
}

impl Tables {
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        Ok(Self {
            accounts: Table::new()?,
            slots: Table::new()?,
            storages: Storages::new()?,
            undo: UndoArena::new()?,
            parts: AccountParts::new()?,
            guesses: Guesses::default(),
        })
    }

    /// An account as it is now, and what was found of it.
    #[inline]
    pub(crate) fn newest_account(&self, address: &Address) -> (Lookup, Option<AccountRecord>) {
        loop {
            let found = self.accounts.lookup(address);
            let Lookup::Entry(id, cell) = found else {
                return (found, None);
            };
            let record = self.parts.decode(&cell.value);
            // A wide balance is read after the entry was: it counts if the entry is still the same.
            if !is_wide(&cell.value) || self.accounts.entries.read(id).is_some_and(|(_, now)| now == cell) {
                return (found, record);
            }
        }
    }

    /// Which storage an account has now. The slot will be searched for next.
    #[inline]
    pub(crate) fn newest_storage(&self, address: &Address, slot: &U256) -> (Lookup, StorageId) {
        let guess = self.begin_search(address, slot);
        let found = self.accounts.lookup(address);
        let (account, storage) = match &found {
            Lookup::Entry(id, cell) => (*id, storage_of(&cell.value)),
            Lookup::Absent(_) => (0, StorageId::NONE),
        };
        self.guesses.correct(address, guess, Guess { account, storage });
        (found, storage)
    }

    /// Which storage an account had at a version. The slot will be searched for next. The caller checks afterwards that the
    /// version is still retained.
    #[inline]
    pub(crate) fn storage_at(&self, address: &Address, slot: &U256, version: u64) -> StorageId {
        let guess = self.begin_search(address, slot);
        let (account, storage) = match self.accounts.lookup(address) {
            Lookup::Entry(id, cell) => (id, storage_of(&self.undo.value_at(&cell, version))),
            Lookup::Absent(_) => (0, StorageId::NONE),
        };
        self.guesses.correct(address, guess, Guess { account, storage });
        storage
    }

    fn begin_search(&self, address: &Address, slot: &U256) -> Guess {
        let guess = self.guesses.guess(address);
        if !guess.storage.is_none() {
            self.accounts.entries.prefetch(guess.account);
            self.slots.prefetch_index(&(guess.storage, *slot));
        }
        guess
    }

    /// The words of an account at a version. The caller checks afterwards that the version is still retained.
    #[inline]
    pub(crate) fn account_value_at(&self, address: &Address, version: u64) -> Value {
        self.value_at(self.accounts.lookup(address), version)
    }

    /// The value of a slot at a version. The caller checks afterwards that the version is still retained.
    #[inline]
    pub(crate) fn slot_at(&self, storage: StorageId, slot: &U256, version: u64) -> U256 {
        if storage.is_none() {
            return U256::ZERO;
        }
        U256::from_limbs(self.value_at(self.slots.lookup(&(storage, *slot)), version))
    }

    fn value_at(&self, found: Lookup, version: u64) -> Value {
        match found {
            Lookup::Entry(_, cell) => self.undo.value_at(&cell, version),
            Lookup::Absent(_) => crate::entry::ABSENT,
        }
    }

    /// The words of an entry of either table at a version; absent if the entry is free.
    pub(crate) fn cell_at(&self, cell: Option<Cell>, version: u64) -> Value {
        cell.map_or(crate::entry::ABSENT, |cell| self.undo.value_at(&cell, version))
    }
}

/// Slots searched for at once: as many as a core can have cache misses under way, and some.
pub(crate) const TOGETHER: usize = 32;

impl Tables {
    /// The values of many slots at a version. The caller checks afterwards that the version is still retained.
    pub(crate) fn slots_many_at(&self, keys: &[(Address, U256)], version: u64) -> Vec<U256> {
        let mut values = Vec::with_capacity(keys.len());
        for keys in keys.chunks(TOGETHER) {
            // Accounts whose slots stand together are asked for once.
            let owners: Vec<_> = keys.chunk_by(|(one, _), (other, _)| one == other).collect();
            let addresses = || owners.iter().map(|keys| &keys[0].0);
            addresses().for_each(|address| self.accounts.prefetch_index(address));
            addresses().for_each(|address| self.accounts.prefetch_entry(address));
            let mut storages = Vec::with_capacity(keys.len());
            for keys in &owners {
                let storage = storage_of(&self.account_value_at(&keys[0].0, version));
                storages.extend(keys.iter().map(|_| storage));
            }
            let slots = || {
                keys.iter()
                    .zip(&storages)
                    .map(|((_, slot), storage)| (*storage, *slot))
            };
            slots().for_each(|key| self.slots.prefetch_index(&key));
            slots().for_each(|key| self.slots.prefetch_entry(&key));
            values.extend(slots().map(|(storage, slot)| self.slot_at(storage, &slot, version)));
        }
        values
    }
}
