//! Where workers wait for each other.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

/// How long one worker waits for the others: long enough for one that sleeps to wake up.
const WAIT_MAX: Duration = Duration::from_micros(100);

/// Lets workers begin together. The transactions of tests are so short that otherwise one worker is done with all before the
/// others are awake, and nobody gets in anybody's way.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The thread that hands out, which waits only while it works.
    owner: ThreadId,
    owner_works: AtomicBool,
    /// How many begin together.
    party: usize,
    arrived: AtomicUsize,
}

impl Gate {
    /// A gate for so many workers at a time, owned by this thread.
    pub(crate) fn new(party: usize) -> Self {
        Self {
            owner: thread::current().id(),
            owner_works: AtomicBool::new(false),
            party: party.max(1),
            arrived: AtomicUsize::new(0),
        }
    }

    /// Whether the thread that hands out is a worker from now on, or is none.
    pub(crate) fn owner_works(&self, works: bool) {
        self.owner_works.store(works, Relaxed);
    }

    /// Whether this thread waits here now.
    pub(crate) fn is_for_this_thread(&self) -> bool {
        self.party > 1 && (self.owner_works.load(Relaxed) || thread::current().id() != self.owner)
    }

    /// Waits until the party is complete, but not for long.
    pub(crate) fn pass(&self) {
        let before = self.arrived.fetch_add(1, Relaxed);
        let complete = (before / self.party + 1) * self.party;
        let since = Instant::now();
        while self.arrived.load(Relaxed) < complete && since.elapsed() < WAIT_MAX {
            thread::yield_now();
        }
    }
}
