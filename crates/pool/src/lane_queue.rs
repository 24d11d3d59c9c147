//! The ready queue of one lane: lock-free as long as it fits, in arrival order always.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crossbeam_queue::ArrayQueue;
use parking_lot::Mutex;

use crate::slot::Slot;

/// Slots of one lane in arrival order, many producers, one consumer.
///
/// When the lock-free part is full, slots wait in `overflow`, and everything that comes later waits behind them. Only
/// slots of admitted transactions are there, so its length is bounded by the lane's limit and, for slots that were
/// withdrawn meanwhile, by purging them when they are more than the live ones.
#[derive(Debug)]
pub(crate) struct LaneQueue {
    ready: ArrayQueue<Arc<Slot>>,
    overflow: Mutex<VecDeque<Arc<Slot>>>,
    /// Length of `overflow`; written under its lock. Zero lets producers pass it by.
    overflow_len: AtomicUsize,
    /// Overflow length from which dead slots are purged.
    purge_len: usize,
}

impl LaneQueue {
    pub(crate) fn new(ready_len: usize, count_max: usize) -> Self {
        Self {
            ready: ArrayQueue::new(ready_len.max(1)),
            overflow: Mutex::default(),
            overflow_len: AtomicUsize::new(0),
            purge_len: count_max.saturating_mul(2).max(64),
        }
    }

    /// Producer: files a slot behind everything filed before.
    ///
    /// Calls for one sender are serialised by the lock of its shard, so its slots keep their order even if the
    /// overflow drains between the look at its length and the push.
    pub(crate) fn push(&self, slot: Arc<Slot>) {
        let slot = if self.overflow_len.load(Ordering::SeqCst) == 0 {
            match self.ready.push(slot) {
                Ok(()) => return,
                Err(slot) => slot,
            }
        } else {
            slot
        };
        let mut overflow = self.overflow.lock();
        if overflow.len() >= self.purge_len {
            overflow.retain(|slot| slot.newest().is_queued());
        }
        overflow.push_back(slot);
        self.overflow_len.store(overflow.len(), Ordering::SeqCst);
    }

    /// Consumer: takes the oldest slot. `None` if there is none, or if it is behind a lock that a producer holds at
    /// this moment ([`LaneQueue::is_empty`] tells).
    pub(crate) fn pop(&self) -> Option<Arc<Slot>> {
        if self.overflow_len.load(Ordering::SeqCst) > 0 && self.ready.len() <= self.ready.capacity() / 2 {
            self.refill();
        }
        self.ready.pop()
    }

    fn refill(&self) {
        let Some(mut overflow) = self.overflow.try_lock() else {
            return;
        };
        while let Some(slot) = overflow.pop_front() {
            if let Err(slot) = self.ready.push(slot) {
                overflow.push_front(slot);
                break;
            }
        }
        self.overflow_len.store(overflow.len(), Ordering::SeqCst);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Slots, including those whose transaction was replaced or withdrawn.
    pub(crate) fn len(&self) -> usize {
        // In this order: a refill moves slots from the second to the first, and must not make them vanish.
        let waiting = self.overflow_len.load(Ordering::SeqCst);
        waiting + self.ready.len()
    }
}
