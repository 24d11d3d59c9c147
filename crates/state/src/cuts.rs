//! Cuts: the sequences that are versions.

use std::collections::VecDeque;

use crate::sync::{
    Mutex,
    atomic::{
        AtomicU64,
        Ordering::{Acquire, Release},
    },
};

/// The versions from the floor on. One per mini-block, so bounded by what is retained.
#[derive(Debug)]
pub(crate) struct Cuts {
    all: Mutex<VecDeque<u64>>,
    newest: AtomicU64,
}

impl Default for Cuts {
    /// The empty state is version 0.
    fn default() -> Self {
        Self {
            all: Mutex::new(VecDeque::from([0])),
            newest: AtomicU64::new(0),
        }
    }
}

impl Cuts {
    /// The newest version. It changes only while no commit is in flight, so a commit that asks is told by its writer's lock; others
    /// acquire what a cut released.
    pub(crate) fn newest(&self) -> u64 {
        self.newest.load(Acquire)
    }

    /// Adds a version; none above it is there.
    pub(crate) fn note(&self, sequence: u64) {
        let mut all = self.all.lock();
        if all.back().is_none_or(|newest| *newest < sequence) {
            all.push_back(sequence);
            self.newest.store(sequence, Release);
        }
    }

    pub(crate) fn contains(&self, sequence: u64) -> bool {
        self.all.lock().binary_search(&sequence).is_ok()
    }

    /// The oldest version from `sequence` on.
    pub(crate) fn from(&self, sequence: u64) -> Option<u64> {
        let all = self.all.lock();
        all.get(all.partition_point(|cut| *cut < sequence)).copied()
    }

    pub(crate) fn forget_below(&self, floor: u64) {
        let mut all = self.all.lock();
        let gone = all.partition_point(|cut| *cut < floor);
        all.drain(..gone);
    }
}
