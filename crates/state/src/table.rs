//! One table: entries, the index that finds them, and who has reserved them.

use std::collections::HashMap;

use crate::{
    entry::{ABSENT, Arena, Busy, Cell, Layout},
    hash::Secret,
    index::{Gap, Index, KeyHash},
    lease::Leases,
    region::OutOfMemory,
    sync::{
        CHECKED, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Locks of the reservations, so that drafts of several threads seldom meet.
const RESERVATION_SHARDS: usize = if CHECKED { 2 } else { 64 };

/// Attempts at an entry that another writer has locked, before a writer who has locks itself gives them up: two could
/// wait for each other. Longer than any commit of one transaction takes.
pub(crate) const PATIENCE: u32 = if CHECKED { 2 } else { 256 };

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    Entry(u32, Cell),
    /// No entry, so no value at any retained version.
    Absent(Gap),
}

/// Accounts or slots.
///
/// An entry exists while a retained version has a value for its key, or while somebody has reserved it.
#[derive(Debug)]
pub(crate) struct Table<L> {
    pub(crate) entries: Arena<L>,
    index: Index,
    /// How often each entry is reserved. Bounded by what the drafts alive have written.
    reserved: Box<[Mutex<HashMap<u32, u32>>]>,
    /// Entries that exist: a statistic, relaxed.
    count: AtomicUsize,
    secret: Secret,
}

impl<L: Layout> Table<L> {
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        Ok(Self {
            entries: Arena::new()?,
            index: Index::new()?,
            reserved: (0..RESERVATION_SHARDS).map(|_| Mutex::default()).collect(),
            count: AtomicUsize::new(0),
            secret: Secret::default(),
        })
    }

    fn hash(&self, key: &L::Key) -> KeyHash {
        L::hash(&self.secret, key)
    }

    /// Finds a key and what its entry says now.
    #[inline]
    pub(crate) fn lookup(&self, key: &L::Key) -> Lookup {
        let found = self.index.search(self.hash(key), |id| {
            let (found, cell) = self.entries.read(id)?;
            (found == *key).then_some((id, cell))
        });
        match found {
            Ok((id, cell)) => Lookup::Entry(id, cell),
            Err(gap) => Lookup::Absent(gap),
        }
    }

    /// [Finds](Self::lookup) a key, but does not wait long for a writer who has its entry locked.
    ///
    /// It does not wait for other keys' entries at all: the caller may have locked one whose hash is the same, and would
    /// wait for itself.
    pub(crate) fn try_lookup(&self, key: &L::Key) -> Result<Lookup, Busy> {
        let found = self.index.search(self.hash(key), |id| {
            // As in `find_unread`: the key of an entry that is in the index all the time is there all the time.
            if self.entries.key(id) != *key {
                return None;
            }
            match self.entries.try_read(id, PATIENCE) {
                Err(Busy) => Some(Err(Busy)),
                Ok(read) => read
                    .filter(|(found, _)| found == key)
                    .map(|(_, cell)| Ok((id, cell))),
            }
        });
        match found {
            Ok(Ok((id, cell))) => Ok(Lookup::Entry(id, cell)),
            Ok(Err(busy)) => Err(busy),
            Err(gap) => Ok(Lookup::Absent(gap)),
        }
    }

    /// Finds the entry of a key.
    #[inline]
    pub(crate) fn find(&self, key: &L::Key) -> Option<u32> {
        match self.lookup(key) {
            Lookup::Entry(id, _) => Some(id),
            Lookup::Absent(_) => None,
        }
    }

    /// Finds the entry that has a key, or had it a moment ago, without a look at what it says.
    ///
    /// # Errors
    /// Where it was not.
    pub(crate) fn find_unread(&self, key: &L::Key) -> Result<u32, Gap> {
        let is_key = |id| (self.entries.key(id) == *key).then_some(id);
        self.index.search(self.hash(key), is_key)
    }

    /// Whether nothing was added where a key was not found.
    pub(crate) fn holds(&self, gap: Gap) -> bool {
        self.index.holds(gap)
    }

    /// Asks for what finding a key reads first to be in the cache soon.
    #[inline]
    pub(crate) fn prefetch_index(&self, key: &L::Key) {
        self.index.prefetch(self.hash(key));
    }

    /// Asks for the entry that a key seems to have to be in the cache soon.
    #[inline]
    pub(crate) fn prefetch_entry(&self, key: &L::Key) {
        let _ = self.index.search(self.hash(key), |id| {
            self.entries.prefetch(id);
            Some(())
        });
    }

    /// Makes a locked entry for a key that has none.
    ///
    /// # Errors
    /// The entry it has, if it has one.
    pub(crate) fn insert_locked(&self, key: &L::Key) -> Result<u32, u32> {
        let id = self.entries.make_locked(key);
        // An entry in the index keeps its key while the stripe is locked, so the bare key is enough to compare.
        let inserted = self
            .index
            .insert(self.hash(key), id, |other| self.entries.key(other) == *key);
        if let Err(known) = inserted {
            self.entries.free_locked(id);
            return Err(known);
        }
        self.count.fetch_add(1, Relaxed);
        Ok(id)
    }

    /// Unlocks an entry, and ends it if it says nothing more than its absence would to any version from `floor` on.
    pub(crate) fn unlock_or_free(&self, id: u32, floor: u64) {
        let cell = self.entries.read_locked(id);
        if cell.value == ABSENT && cell.undo == 0 && cell.sequence <= floor {
            let reserved = self.reserved(id).lock();
            if !reserved.contains_key(&id) {
                let removed = self.index.remove(self.hash(&self.entries.key(id)), id);
                debug_assert!(removed, "an entry that exists is in the index");
                self.entries.free_locked(id);
                self.count.fetch_sub(1, Relaxed);
                return;
            }
        }
        self.entries.unlock_unchanged(id);
    }

    /// Keeps the entry of a key from ending until it is [released](Self::release); makes one if there is none.
    pub(crate) fn reserve(&self, key: &L::Key, leases: &Leases) -> u32 {
        loop {
            let id = match self.lookup(key) {
                Lookup::Entry(id, _) => id,
                Lookup::Absent(_) => match self.insert_locked(key) {
                    Ok(id) => {
                        self.note_reserved(id);
                        self.entries.unlock_unchanged(id);
                        return id;
                    }
                    Err(known) => known,
                },
            };
            self.note_reserved(id);
            // It may have ended between the two; from here on it does not.
            if self.entries.read(id).is_some_and(|(found, _)| found == *key) {
                return id;
            }
            // Whoever was to end the entry that has the id now may have left that to us.
            self.release(id, leases);
        }
    }

    /// Reserves an entry once more.
    pub(crate) fn note_reserved(&self, id: u32) {
        *self.reserved(id).lock().entry(id).or_default() += 1;
    }

    fn forget_reserved(&self, id: u32) -> bool {
        let mut reserved = self.reserved(id).lock();
        let Some(count) = reserved.get_mut(&id) else {
            return false;
        };
        *count -= 1;
        let last = *count == 0;
        if last {
            reserved.remove(&id);
        }
        last
    }

    /// Ends a reservation, and with the last one the entry, if nobody has committed a value since.
    ///
    /// The floor is asked for after that: who raised it before may have come by and left the entry to us.
    pub(crate) fn release(&self, id: u32, leases: &Leases) {
        if self.forget_reserved(id) && self.entries.lock(id) {
            self.unlock_or_free(id, leases.floor());
        }
    }

    fn reserved(&self, id: u32) -> &Mutex<HashMap<u32, u32>> {
        &self.reserved[id as usize % RESERVATION_SHARDS]
    }

    /// Makes room for this many entries more.
    pub(crate) fn make_room(&self, entries: usize) -> Result<(), OutOfMemory> {
        self.entries.reserve(u32::try_from(entries).unwrap_or(u32::MAX))?;
        self.index.reserve(self.count() + entries)
    }

    /// Entries that exist.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Bytes of memory that the table uses: entries ever used at once, and the index.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.end() as usize * L::WORDS * size_of::<u64>() + self.index.bytes()
    }
}

#[cfg(test)]
mod tests {
    use crate::sync::atomic::AtomicU64;

    use alloy_primitives::Address;

    use super::*;
    use crate::layout::Accounts;

    /// Accounts whose hashes are all the same.
    struct Meeting;

    impl Layout for Meeting {
        const WORDS: usize = Accounts::WORDS;
        const VALUE_AT: usize = Accounts::VALUE_AT;
        const UNDO_AT: usize = Accounts::UNDO_AT;
        type Key = Address;

        fn hash(_: &Secret, _: &Address) -> KeyHash {
            KeyHash::new(7)
        }

        fn write_key(words: &[AtomicU64], key: &Address) {
            Accounts::write_key(words, key);
        }

        fn key(words: &[AtomicU64]) -> Address {
            Accounts::key(words)
        }
    }

    #[test]
    fn a_locked_entry_is_in_nobodys_way_but_its_own_keys() {
        let table = Table::<Meeting>::new().unwrap();
        let (locked, other) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let id = table.insert_locked(&locked).unwrap();
        assert_eq!(table.try_lookup(&locked), Err(Busy));
        assert!(matches!(table.try_lookup(&other), Ok(Lookup::Absent(_))));
        table.unlock_or_free(id, 0);
        assert!(matches!(table.try_lookup(&locked), Ok(Lookup::Absent(_))));
    }
}
