//! Counting what the pool holds against its limits.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{Lane, PoolConfig, SubPoolLimit, lane::LANES};

/// Where an admitted transaction is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Executable, or executed and not yet published.
    Pending(Lane),
    /// Next in order, but its fee cap is below the base fee.
    BaseFee,
    /// Waits for a nonce, for balance, or for room in its lane.
    Queued,
}

/// Transactions and bytes in one place.
#[derive(Debug)]
pub(crate) struct SubPool {
    count: AtomicUsize,
    bytes: AtomicUsize,
    /// Senders whose next transaction is admitted and waits for room here. While there are any, newcomers are
    /// refused, so that they cannot take the room away for ever.
    waiters: AtomicUsize,
    limit: SubPoolLimit,
}

impl SubPool {
    const fn new(limit: SubPoolLimit) -> Self {
        Self {
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            waiters: AtomicUsize::new(0),
            limit,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn waiters(&self) -> usize {
        self.waiters.load(Ordering::Relaxed)
    }

    /// Counts a transaction if it fits.
    pub(crate) fn try_add(&self, bytes: usize) -> bool {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let total = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let fits = count <= self.limit.count_max && total <= self.limit.bytes_max;
        if !fits {
            self.remove(bytes);
        }
        fits
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, bytes: usize) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_waiter(&self) {
        self.waiters.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove_waiter(&self) {
        self.waiters.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All sub-pools.
#[derive(Debug)]
pub(crate) struct Tally {
    lanes: [SubPool; LANES],
    base_fee: SubPool,
    queued: SubPool,
}

impl Tally {
    pub(crate) fn new(config: &PoolConfig) -> Self {
        Self {
            lanes: std::array::from_fn(|_| SubPool::new(config.pending)),
            base_fee: SubPool::new(config.base_fee),
            queued: SubPool::new(config.queued),
        }
    }

    pub(crate) const fn lane(&self, lane: Lane) -> &SubPool {
        &self.lanes[lane.index()]
    }

    pub(crate) const fn at(&self, place: Place) -> &SubPool {
        match place {
            Place::Pending(lane) => self.lane(lane),
            Place::BaseFee => &self.base_fee,
            Place::Queued => &self.queued,
        }
    }

    pub(crate) fn pending_count(&self) -> usize {
        self.lanes.iter().map(SubPool::count).sum()
    }

    pub(crate) fn pending_bytes(&self) -> usize {
        self.lanes.iter().map(SubPool::bytes).sum()
    }

    pub(crate) fn any_waiters(&self) -> bool {
        self.lanes.iter().any(|lane| lane.waiters() > 0)
    }
}
