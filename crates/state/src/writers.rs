//! Writers: each committing thread has a lock, and under it a ring of old values, the memory of its commits, and the fees
//! that they withhold.

use crate::{
    batch::Held,
    sync::{
        CHECKED, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering::Relaxed},
        thread_number,
    },
    undo::Ring,
    withheld::Withheld,
};

/// Writers that a state tells apart; more threads than that share them.
const WRITERS: usize = if CHECKED { 4 } else { 32 };

/// What a writer has to itself.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    pub(crate) ring: Ring,
    pub(crate) held: Held,
    pub(crate) withheld: Withheld,
}

#[repr(align(128))]
#[derive(Debug, Default)]
struct Place(Mutex<Workspace>);

/// All writers. A commit holds one from before it takes a sequence until it is complete; whoever holds all of
/// them sees no commit in flight.
#[derive(Debug)]
pub(crate) struct Writers {
    places: Box<[Place]>,
    /// Numbers given to [handles](Self::number).
    given: AtomicUsize,
}

/// All writers, held: no commit is in flight.
#[derive(Debug)]
pub(crate) struct AllWriters<'a>(Vec<MutexGuard<'a, Workspace>>);

impl Writers {
    pub(crate) fn new() -> Self {
        Self {
            places: (0..WRITERS).map(|_| Place::default()).collect(),
            given: AtomicUsize::new(0),
        }
    }

    /// The calling thread's.
    pub(crate) fn mine(&self) -> MutexGuard<'_, Workspace> {
        self.get(thread_number() % WRITERS)
    }

    /// A number for somebody who commits often. Numbers go down, those of threads go up: they seldom meet.
    pub(crate) fn number(&self) -> usize {
        WRITERS - 1 - self.given.fetch_add(1, Relaxed) % WRITERS
    }

    /// All, taken in order.
    pub(crate) fn all(&self) -> AllWriters<'_> {
        AllWriters(self.iter().collect())
    }

    pub(crate) const fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn get(&self, writer: usize) -> MutexGuard<'_, Workspace> {
        self.places[writer].0.lock()
    }

    /// One after the other.
    pub(crate) fn iter(&self) -> impl Iterator<Item = MutexGuard<'_, Workspace>> {
        self.places.iter().map(|place| place.0.lock())
    }
}

impl AllWriters<'_> {
    /// One of them, to commit with.
    pub(crate) fn first(&mut self) -> &mut Workspace {
        &mut self.0[0]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Workspace> {
        self.0.iter().map(|workspace| &**workspace)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Workspace> {
        self.0.iter_mut().map(|workspace| &mut **workspace)
    }
}
