//! Stripes: each committing thread has its own lock and its own list of what it wrote.

use std::{
    cell::Cell,
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use alloy_primitives::{Address, U256};
use parking_lot::{Mutex, MutexGuard};

use crate::cell::{AccountRecord, Old, StorageId};

/// Stripes of a state; more threads than that share them.
const STRIPES: usize = 32;

/// A cell that has an old value to forget one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Touched {
    Account(Address),
    Slot(Address, StorageId, U256),
    /// A storage that was replaced in the commit that made it: no version ever refers to it.
    Orphan(Address, StorageId),
}

impl Touched {
    /// What keeping the write costs: the list entry, and the old value with the list it is in.
    pub(crate) const fn retained_bytes(&self) -> usize {
        let old = match self {
            Self::Account(_) => size_of::<Old<Option<AccountRecord>>>(),
            Self::Slot(..) => size_of::<Old<U256>>(),
            Self::Orphan(..) => 0,
        };
        size_of::<(u64, Self)>() + old + size_of::<VecDeque<()>>()
    }
}

/// Writes in one chunk of a ring: 80 KiB, so that growing never moves much while a writer waits.
const CHUNK: usize = 1024;

/// What was written, in commit order. The undo ring of one stripe.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    /// None of them is empty.
    chunks: VecDeque<VecDeque<(u64, Touched)>>,
    /// Bytes added since the total was last told.
    pub(crate) untold_bytes: usize,
}

impl Ring {
    pub(crate) fn push(&mut self, sequence: u64, touched: Touched) {
        let last = self.chunks.back().and_then(|chunk| chunk.back());
        debug_assert!(
            last.is_none_or(|(last, _)| *last <= sequence),
            "ring is in commit order"
        );
        self.untold_bytes += touched.retained_bytes();
        match self.chunks.back_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => chunk.push_back((sequence, touched)),
            None => self.chunks.push_back(VecDeque::from([(sequence, touched)])),
        }
    }

    /// Sequence of the oldest write.
    pub(crate) fn first(&self) -> Option<u64> {
        self.nth(0)
    }

    /// Sequence of the write `count` after the oldest, or of the last in its chunk.
    pub(crate) fn nth(&self, count: usize) -> Option<u64> {
        let chunk = self.chunks.front()?;
        chunk
            .get(count)
            .or_else(|| chunk.back())
            .map(|(sequence, _)| *sequence)
    }

    /// Moves some of the writes at or below `floor` into `out`, at most `limit`; at least one if there are any.
    pub(crate) fn take_until(&mut self, floor: u64, limit: usize, out: &mut Vec<Touched>) {
        let Some(chunk) = self.chunks.front_mut() else {
            return;
        };
        let taken = chunk
            .iter()
            .take(limit)
            .take_while(|(sequence, _)| *sequence <= floor)
            .count();
        out.extend(chunk.drain(..taken).map(|(_, touched)| touched));
        if chunk.is_empty() {
            self.chunks.pop_front();
        }
    }

    /// What was written after `version`, newest first.
    pub(crate) fn since(&self, version: u64) -> impl Iterator<Item = Touched> + '_ {
        let newest_first = self.chunks.iter().rev().flat_map(|chunk| chunk.iter().rev());
        newest_first
            .take_while(move |(sequence, _)| *sequence > version)
            .map(|(_, touched)| *touched)
    }
}

#[repr(align(128))]
#[derive(Debug, Default)]
struct Stripe(Mutex<Ring>);

/// All stripes. A commit holds its thread's stripe from before it takes a sequence until it is complete; whoever
/// holds all of them sees no commit in flight.
#[derive(Debug)]
pub(crate) struct Stripes(Box<[Stripe]>);

static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static STRIPE: Cell<usize> = Cell::new(NEXT_THREAD.fetch_add(1, Relaxed) % STRIPES);
}

impl Stripes {
    pub(crate) fn new() -> Self {
        Self((0..STRIPES).map(|_| Stripe::default()).collect())
    }

    /// The calling thread's stripe.
    pub(crate) fn mine(&self) -> MutexGuard<'_, Ring> {
        self.0[STRIPE.get()].0.lock()
    }

    /// All stripes, taken in order.
    pub(crate) fn all(&self) -> Vec<MutexGuard<'_, Ring>> {
        self.iter().collect()
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// One stripe.
    pub(crate) fn get(&self, stripe: usize) -> MutexGuard<'_, Ring> {
        self.0[stripe].0.lock()
    }

    /// One stripe after the other.
    pub(crate) fn iter(&self) -> impl Iterator<Item = MutexGuard<'_, Ring>> {
        self.0.iter().map(|stripe| stripe.0.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_gives_back_what_was_pushed() {
        let mut ring = Ring::default();
        let touched = |sequence| Touched::Orphan(Address::ZERO, sequence);
        let count = CHUNK as u64 * 3 + 7;
        (1..=count).for_each(|sequence| ring.push(sequence, touched(sequence)));
        assert!(
            ring.since(count - 2000)
                .eq((count - 1999..=count).rev().map(touched))
        );
        let floor = CHUNK as u64 * 2 + 3;
        let mut taken = Vec::new();
        while ring.first().is_some_and(|first| first <= floor) {
            let before = taken.len();
            ring.take_until(floor, 100, &mut taken);
            assert!((1..=100).contains(&(taken.len() - before)));
        }
        assert!(taken.into_iter().eq((1..=floor).map(touched)));
        assert_eq!(ring.first(), Some(floor + 1));
    }
}
