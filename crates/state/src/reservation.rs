//! What a draft keeps from ending: entries of keys that nobody has committed, and storages.

use std::sync::Arc;

use alloy_primitives::{Address, U256};

use crate::{state::Shared, storages::StorageId};

/// Entries and storages that exist for the sake of a draft. They end with the last draft that knows them, unless somebody
/// committed them.
///
/// So a key has one id, whether it is canonical or not, and whoever refers to it by its id, as tries do, need not change
/// when the draft is adopted.
#[derive(Debug)]
pub(crate) struct Reservations {
    shared: Arc<Shared>,
    accounts: Vec<u32>,
    slots: Vec<u32>,
    storages: Vec<StorageId>,
}

impl Reservations {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            accounts: Vec::new(),
            slots: Vec::new(),
            storages: Vec::new(),
        }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The entry of an account, made if there is none.
    pub(crate) fn account(&mut self, address: &Address) -> u32 {
        let id = self.shared.tables.accounts.reserve(address, &self.shared.leases);
        self.accounts.push(id);
        id
    }

    /// The entry of a slot, made if there is none.
    pub(crate) fn slot(&mut self, storage: StorageId, slot: &U256) -> u32 {
        let id = self
            .shared
            .tables
            .slots
            .reserve(&(storage, *slot), &self.shared.leases);
        self.slots.push(id);
        id
    }

    /// A new storage for an account.
    pub(crate) fn storage(&mut self, account: u32) -> StorageId {
        let storage = self.shared.tables.storages.make(account);
        self.shared.tables.storages.hold(storage);
        self.storages.push(storage);
        storage
    }

    /// Takes over what others reserved in the same state.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        self.accounts.append(&mut other.accounts);
        self.slots.append(&mut other.slots);
        self.storages.append(&mut other.storages);
    }

    /// Whether nothing was reserved.
    pub(crate) const fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.slots.is_empty() && self.storages.is_empty()
    }

    /// The storages that were made.
    pub(crate) fn storages(&self) -> &[StorageId] {
        &self.storages
    }
}

impl Clone for Reservations {
    fn clone(&self) -> Self {
        let tables = &self.shared.tables;
        self.accounts
            .iter()
            .for_each(|id| tables.accounts.note_reserved(*id));
        self.slots.iter().for_each(|id| tables.slots.note_reserved(*id));
        self.storages
            .iter()
            .for_each(|storage| tables.storages.hold(*storage));
        Self {
            shared: Arc::clone(&self.shared),
            accounts: self.accounts.clone(),
            slots: self.slots.clone(),
            storages: self.storages.clone(),
        }
    }
}

impl Drop for Reservations {
    fn drop(&mut self) {
        let (tables, leases) = (&self.shared.tables, &self.shared.leases);
        self.slots.iter().for_each(|id| tables.slots.release(*id, leases));
        self.accounts
            .iter()
            .for_each(|id| tables.accounts.release(*id, leases));
        self.storages
            .iter()
            .for_each(|storage| tables.storages.release(*storage));
    }
}
