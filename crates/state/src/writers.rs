//! Writers: each committing thread has a lock and a ring of old values of its own.

use crate::{
    sync::{Mutex, MutexGuard, thread_number},
    undo::Ring,
};

/// Writers that a state tells apart; more threads than that share them.
const WRITERS: usize = if cfg!(shuttle) { 4 } else { 32 };

#[repr(align(128))]
#[derive(Debug, Default)]
struct Writer(Mutex<Ring>);

/// All writers. A commit holds its thread's from before it takes a sequence until it is complete; whoever holds all of
/// them sees no commit in flight.
#[derive(Debug)]
pub(crate) struct Writers(Box<[Writer]>);

impl Writers {
    pub(crate) fn new() -> Self {
        Self((0..WRITERS).map(|_| Writer::default()).collect())
    }

    /// The calling thread's.
    pub(crate) fn mine(&self) -> MutexGuard<'_, Ring> {
        self.0[thread_number() % WRITERS].0.lock()
    }

    /// All, taken in order.
    pub(crate) fn all(&self) -> Vec<MutexGuard<'_, Ring>> {
        self.iter().collect()
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, writer: usize) -> MutexGuard<'_, Ring> {
        self.0[writer].0.lock()
    }

    /// One after the other.
    pub(crate) fn iter(&self) -> impl Iterator<Item = MutexGuard<'_, Ring>> {
        self.0.iter().map(|writer| writer.0.lock())
    }
}
