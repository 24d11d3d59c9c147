//! Storages: one life of an account's storage each, and who it belongs to.

use std::collections::HashMap;

use crate::{
    entry::IDS_MAX,
    region::{OutOfMemory, Region},
    sync::{
        Mutex,
        atomic::{
            AtomicU32,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

/// Names the slots of one life of an account's storage. A wiped storage is another one, with another id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageId(pub(crate) u32);

impl StorageId {
    /// No slot was written yet.
    pub const NONE: Self = Self(0);

    /// As a number, to be stored; 0 for none.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// From the number that [`get`](Self::get) gave.
    #[must_use]
    pub const fn from_stored(number: u32) -> Self {
        Self(number)
    }

    /// Whether there is no storage.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// A storage that somebody committed: its id is given back by trimming, not by the draft that made it.
const COMMITTED: u64 = 1 << 63;

/// All storages. 8 bytes each.
#[derive(Debug)]
pub(crate) struct Storages {
    /// Id of the account it belongs to.
    owners: Region,
    next: AtomicU32,
    free: Mutex<Vec<u32>>,
    /// How many drafts know a storage that one of them made. Bounded by what the drafts alive have written.
    held: Mutex<HashMap<StorageId, u32>>,
}

impl Storages {
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        Ok(Self {
            owners: Region::reserve(IDS_MAX as usize)?,
            next: AtomicU32::new(1),
            free: Mutex::default(),
            held: Mutex::default(),
        })
    }

    /// Makes a storage for an account.
    ///
    /// # Panics
    /// If there are as many storages as ids.
    pub(crate) fn make(&self, account: u32) -> StorageId {
        let id = {
            let mut free = self.free.lock();
            free.pop().unwrap_or_else(|| {
                let id = self.next.load(Relaxed);
                assert!(id < IDS_MAX, "the state has as many storages as there are ids");
                self.next.store(id + 1, Relaxed);
                id
            })
        };
        self.owners.words()[id as usize].store(u64::from(account), Release);
        StorageId(id)
    }

    /// Id of the account a storage belongs to. Who has the storage from an entry sees its owner with the entry; who scans
    /// may have it from a relaxed word, so the owner is released and acquired by itself.
    pub(crate) fn owner(&self, storage: StorageId) -> u32 {
        self.owners.words()[storage.0 as usize].load(Acquire) as u32
    }

    /// Notes that the storage is part of the state; `true` if it was not before.
    pub(crate) fn commit(&self, storage: StorageId) -> bool {
        self.owners.words()[storage.0 as usize].fetch_or(COMMITTED, Release) & COMMITTED == 0
    }

    /// Keeps the id of a storage from being given to another.
    pub(crate) fn hold(&self, storage: StorageId) {
        *self.held.lock().entry(storage).or_default() += 1;
    }

    pub(crate) fn is_held(&self, storage: StorageId) -> bool {
        self.held.lock().contains_key(&storage)
    }

    /// Ends a hold, and with the last one the storage, if it never became part of the state.
    pub(crate) fn release(&self, storage: StorageId) {
        let mut held = self.held.lock();
        let Some(count) = held.get_mut(&storage) else {
            return;
        };
        *count -= 1;
        if *count > 0 {
            return;
        }
        held.remove(&storage);
        drop(held);
        if self.owners.words()[storage.0 as usize].load(Acquire) & COMMITTED == 0 {
            self.free(storage);
        }
    }

    /// Gives an id back. No account may have it any more.
    ///
    /// # Panics
    /// If it was given back already: two accounts would have one storage.
    pub(crate) fn free(&self, storage: StorageId) {
        let owner = self.owners.words()[storage.0 as usize].swap(0, Release);
        assert_ne!(owner, 0, "storage {storage:?} ends once");
        self.free.lock().push(storage.0);
    }
}
