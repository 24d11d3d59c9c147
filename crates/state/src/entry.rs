//! Entries: the words of one account or slot, locked by its writer, read by everybody else without a lock.
//!
//! Every entry ends in its state, `live 1 | fresh 1 | number 61 | locked 1`. The number is the sequence of the commit that
//! wrote the value or, while the entry is fresh because none did, that of the life that the entry has. A writer locks it,
//! writes, and unlocks it with its own sequence; a reader takes the words between two looks at the state and starts over
//! if it was locked or has changed. Neither number repeats and a free entry is not live, so a reader cannot take one
//! entry's words for another's, however long it stops between two of them.

use crate::{
    hash::Secret,
    index::KeyHash,
    region::{OutOfMemory, Region},
    sync::{
        Mutex,
        atomic::{
            AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
            fence,
        },
        pause,
    },
};

/// A value of an entry: absent if all words are zero.
pub(crate) type Value = [u64; 4];

/// No value.
pub(crate) const ABSENT: Value = [0; 4];

/// Ids of a table at most: one bit is left to whoever stores ids with a mark.
pub(crate) const IDS_MAX: u32 = 1 << 31;

/// In an entry's state: somebody writes it.
const LOCKED: u64 = 1;

/// In an entry's state: it has a key.
const LIVE: u64 = 1 << 63;

/// In an entry's state: no commit wrote its value.
const FRESH: u64 = 1 << 62;

/// Entries that get their memory at a time, at most: for slots 2.5 MiB, which takes a fraction of a millisecond.
const POPULATED_MAX: u32 = 1 << 15;

/// Entries that get their memory first.
const POPULATED_MIN: u32 = 1 << 6;

/// What a table's entries look like.
pub(crate) trait Layout {
    /// Words of an entry.
    const WORDS: usize;
    /// Where the four words of the value begin.
    const VALUE_AT: usize;
    /// The word whose low half is the reference to the newest old value; the high half belongs to the key.
    const UNDO_AT: usize;
    type Key: Copy + PartialEq + std::fmt::Debug;

    /// Where a key is in the index.
    fn hash(secret: &Secret, key: &Self::Key) -> KeyHash;
    /// Writes a key with no old value.
    fn write_key(words: &[AtomicU64], key: &Self::Key);
    /// The key.
    fn key(words: &[AtomicU64]) -> Self::Key;
}

/// What an entry said at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// Commit that wrote the value; 0 if none ever did.
    pub(crate) sequence: u64,
    /// The newest old value; 0 if there is none.
    pub(crate) undo: u32,
    pub(crate) value: Value,
}

/// Somebody else has had an entry locked for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// Whether somebody writes an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    Free,
    Taken,
}

/// Entries with stable ids. Id 0 is nobody's.
#[derive(Debug)]
pub(crate) struct Arena<L> {
    region: Region,
    /// Ids given out for the first time are below it.
    next: AtomicU32,
    free: Mutex<FreeIds>,
    layout: std::marker::PhantomData<fn() -> L>,
}

#[derive(Debug)]
struct FreeIds {
    ids: Vec<u32>,
    /// Ids below it have memory.
    populated: u32,
    /// Lives begun.
    lives: u64,
}

impl<L: Layout> Arena<L> {
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        Ok(Self {
            region: Region::reserve(IDS_MAX as usize * L::WORDS)?,
            next: AtomicU32::new(1),
            free: Mutex::new(FreeIds {
                ids: Vec::new(),
                populated: 1,
                lives: 0,
            }),
            layout: std::marker::PhantomData,
        })
    }

    /// Makes an entry that is locked, has no value, and was never committed.
    ///
    /// # Panics
    /// If the system has no memory left, or all ids are taken: the limits on memory stop production long before.
    pub(crate) fn make_locked(&self, key: &L::Key) -> u32 {
        let (id, life) = self.take_id();
        let words = self.words(id);
        // Whoever freed the id did so before this thread got it: a reader that sees a word of the new key sees that too.
        fence(Release);
        L::write_key(words, key);
        for word in &words[L::VALUE_AT..L::VALUE_AT + 4] {
            word.store(0, Relaxed);
        }
        Self::state(words).store(LIVE | FRESH | life << 1 | LOCKED, Release);
        id
    }

    /// An id, and the number of its life.
    fn take_id(&self) -> (u32, u64) {
        let mut free = self.free.lock();
        free.lives += 1;
        let life = free.lives;
        if let Some(id) = free.ids.pop() {
            return (id, life);
        }
        let id = self.next.load(Relaxed);
        assert!(id < IDS_MAX, "the state has as many entries as there are ids");
        if id >= free.populated {
            let populated = id + id.clamp(POPULATED_MIN, POPULATED_MAX);
            self.region
                .populate(id as usize * L::WORDS..populated as usize * L::WORDS)
                .expect("the limits on memory stop production before the system has none left");
            free.populated = populated;
        }
        self.next.store(id + 1, Release);
        (id, life)
    }

    /// Ends a locked entry; its id goes to another key. The caller has removed it from the index.
    pub(crate) fn free_locked(&self, id: u32) {
        let words = self.words(id);
        debug_assert!(Self::state(words).load(Relaxed) & LOCKED != 0);
        words[..L::WORDS - 1]
            .iter()
            .for_each(|word| word.store(0, Relaxed));
        Self::state(words).store(0, Release);
        self.free.lock().ids.push(id);
    }

    /// Takes the value of a locked entry away without a commit, as if none had ever written one.
    pub(crate) fn renew_locked(&self, id: u32) {
        self.write_locked(id, &ABSENT, 0);
        let life = {
            let mut free = self.free.lock();
            free.lives += 1;
            free.lives
        };
        Self::state(self.words(id)).store(LIVE | FRESH | life << 1 | LOCKED, Relaxed);
    }

    /// Ids that may be in use are below it.
    pub(crate) fn end(&self) -> u32 {
        self.next.load(Acquire)
    }

    /// Gives this many entries memory now.
    pub(crate) fn reserve(&self, entries: u32) -> Result<(), OutOfMemory> {
        let mut free = self.free.lock();
        let to = self.next.load(Relaxed).saturating_add(entries).min(IDS_MAX);
        if to > free.populated {
            self.region
                .populate(free.populated as usize * L::WORDS..to as usize * L::WORDS)?;
            free.populated = to;
        }
        Ok(())
    }

    /// Asks for an entry to be in the cache soon.
    #[inline]
    pub(crate) fn prefetch(&self, id: u32) {
        let first = id as usize * L::WORDS;
        self.region.prefetch(first);
        self.region.prefetch(first + L::WORDS - 1);
    }

    /// The key of an entry.
    #[inline]
    pub(crate) fn key(&self, id: u32) -> L::Key {
        L::key(self.words(id))
    }

    /// Key and content of an entry at one moment; `None` if it is free.
    #[inline]
    pub(crate) fn read(&self, id: u32) -> Option<(L::Key, Cell)> {
        loop {
            if let Ok(read) = self.try_read(id, u32::MAX) {
                return read;
            }
        }
    }

    /// [Reads](Self::read) an entry, in `patience` attempts.
    #[inline]
    pub(crate) fn try_read(&self, id: u32, patience: u32) -> Result<Option<(L::Key, Cell)>, Busy> {
        let words = self.words(id);
        let mut spins = 0;
        while spins < patience {
            let before = Self::state(words).load(Acquire);
            if before & LOCKED == 0 {
                let key = L::key(words);
                let cell = Self::cell(words, before);
                fence(Acquire);
                if Self::state(words).load(Relaxed) == before {
                    return Ok((before & LIVE != 0).then_some((key, cell)));
                }
            }
            pause(&mut spins);
        }
        Err(Busy)
    }

    /// Content of an entry that the caller has locked, or that nobody writes now.
    pub(crate) fn read_locked(&self, id: u32) -> Cell {
        let words = self.words(id);
        Self::cell(words, Self::state(words).load(Relaxed))
    }

    fn cell(words: &[AtomicU64], state: u64) -> Cell {
        Cell {
            sequence: sequence_of(state),
            undo: words[L::UNDO_AT].load(Relaxed) as u32,
            value: std::array::from_fn(|word| words[L::VALUE_AT + word].load(Relaxed)),
        }
    }

    /// Commit that wrote the value, and whether somebody writes it now; `None` if the entry is free.
    ///
    /// One word, so it is right for one moment. A commit asks after it took its sequence, and so sees every lock that an
    /// earlier commit had when that took its own.
    #[inline]
    pub(crate) fn sequence(&self, id: u32) -> Option<(u64, Lock)> {
        let state = Self::state(self.words(id)).load(Acquire);
        let lock = if state & LOCKED == 0 {
            Lock::Free
        } else {
            Lock::Taken
        };
        (state & LIVE != 0).then_some((sequence_of(state), lock))
    }

    /// Locks an entry, in `patience` attempts; `false` if it stayed locked by somebody else, or is free.
    pub(crate) fn try_lock(&self, id: u32, patience: u32) -> bool {
        let state = Self::state(self.words(id));
        let mut spins = 0;
        for _ in 0..=patience {
            let seen = state.load(Relaxed);
            if seen & LIVE == 0 {
                return false;
            }
            let taken = seen | LOCKED;
            if taken != seen && state.compare_exchange_weak(seen, taken, Acquire, Relaxed).is_ok() {
                // Nothing written under the lock is seen before the lock is.
                fence(Release);
                return true;
            }
            pause(&mut spins);
        }
        false
    }

    /// Locks an entry, however long that takes; `false` if it is free.
    pub(crate) fn lock(&self, id: u32) -> bool {
        loop {
            if self.try_lock(id, 1 << 10) {
                return true;
            }
            if self.sequence(id).is_none() {
                return false;
            }
        }
    }

    /// Writes a locked entry.
    pub(crate) fn write_locked(&self, id: u32, value: &Value, undo: u32) {
        let words = self.words(id);
        for (word, value) in words[L::VALUE_AT..].iter().zip(value) {
            word.store(*value, Relaxed);
        }
        self.set_undo_locked(id, undo);
    }

    /// Replaces the reference to the newest old value of a locked entry.
    pub(crate) fn set_undo_locked(&self, id: u32, undo: u32) {
        let word = &self.words(id)[L::UNDO_AT];
        word.store(
            word.load(Relaxed) & !u64::from(u32::MAX) | u64::from(undo),
            Relaxed,
        );
    }

    /// Unlocks an entry whose value is as it was.
    pub(crate) fn unlock_unchanged(&self, id: u32) {
        let state = Self::state(self.words(id));
        state.store(state.load(Relaxed) & !LOCKED, Release);
    }

    /// Unlocks an entry, whose value is now that of commit `sequence`.
    pub(crate) fn unlock(&self, id: u32, sequence: u64) {
        Self::state(self.words(id)).store(LIVE | sequence << 1, Release);
    }

    #[inline]
    fn words(&self, id: u32) -> &[AtomicU64] {
        let first = id as usize * L::WORDS;
        &self.region.words()[first..first + L::WORDS]
    }

    #[inline]
    fn state(words: &[AtomicU64]) -> &AtomicU64 {
        &words[L::WORDS - 1]
    }
}

/// The commit that wrote an entry's value; 0 if none did.
const fn sequence_of(state: u64) -> u64 {
    if state & FRESH == 0 {
        (state & !LIVE) >> 1
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Address;

    use super::*;
    use crate::layout::Accounts;

    #[test]
    fn no_two_keys_that_an_entry_had_have_the_same_state() {
        let arena = Arena::<Accounts>::new().unwrap();
        let states = [1, 2].map(|byte| {
            let id = arena.make_locked(&Address::repeat_byte(byte));
            arena.unlock_unchanged(id);
            let state = Arena::<Accounts>::state(arena.words(id)).load(Relaxed);
            assert_eq!(arena.sequence(id), Some((0, Lock::Free)));
            assert!(arena.lock(id));
            arena.free_locked(id);
            (id, state)
        });
        assert_eq!(states[0].0, states[1].0, "ids are used again");
        assert_ne!(states[0].1, states[1].1);
    }
}
