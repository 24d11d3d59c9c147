//! Asking for what will be read soon: the searches of many keys overlap in memory, where one read after the other waits for
//! each.

use crate::{
    DraftReader, Newest, Recording, StateKey,
    account::storage_of,
    storages::StorageId,
    table::Lookup,
    tables::{TOGETHER, Tables},
};

impl Tables {
    /// Asks for the entries of keys to be in the cache soon. Says nothing about them: a guess that is wrong costs time only.
    pub(crate) fn prefetch(&self, keys: &[StateKey]) {
        for keys in keys.chunks(TOGETHER) {
            self.prefetch_together(keys);
        }
    }

    fn prefetch_together(&self, keys: &[StateKey]) {
        // Keys of one account mostly stand together; it is asked for once.
        let owners = || keys.chunk_by(|one, other| one.address() == other.address());
        owners().for_each(|keys| self.accounts.prefetch_index(keys[0].address()));
        owners().for_each(|keys| self.accounts.prefetch_entry(keys[0].address()));
        let mut storages = [StorageId::NONE; TOGETHER];
        let mut places = storages.iter_mut();
        for keys in owners() {
            let storage = self.storage_for(keys);
            for (key, place) in keys.iter().zip(&mut places) {
                *place = storage;
                if let (StateKey::Slot(_, slot), false) = (key, storage.is_none()) {
                    self.slots.prefetch_index(&(storage, *slot));
                }
            }
        }
        for (key, storage) in keys.iter().zip(storages) {
            if let (StateKey::Slot(_, slot), false) = (key, storage.is_none()) {
                self.slots.prefetch_entry(&(storage, *slot));
            }
        }
    }

    /// The storage of the account of these keys, if slots are among them.
    fn storage_for(&self, keys: &[StateKey]) -> StorageId {
        if !keys.iter().any(|key| matches!(key, StateKey::Slot(..))) {
            return StorageId::NONE;
        }
        match self.accounts.lookup(keys[0].address()) {
            Lookup::Entry(_, cell) => storage_of(&cell.value),
            Lookup::Absent(_) => StorageId::NONE,
        }
    }
}

impl Newest {
    /// Asks for keys that will be read soon to be in the cache, as [`Recording::prefetch`] does.
    pub fn prefetch(&self, keys: &[StateKey]) {
        self.tables().prefetch(keys);
    }
}

impl DraftReader {
    /// Asks for keys that will be read soon to be in the cache, as [`Recording::prefetch`] does.
    pub fn prefetch(&self, keys: &[StateKey]) {
        self.tables().prefetch(keys);
    }
}

impl Recording {
    /// Asks for keys that will be read soon to be in the cache; keys of one account stand together. Nothing is
    /// remembered as read.
    ///
    /// Worth it for a dozen keys or more at a time of a state that is larger than the caches: then a read that misses
    /// them takes a third of the time or less.
    pub fn prefetch(&self, keys: &[StateKey]) {
        self.tables().prefetch(keys);
    }
}
