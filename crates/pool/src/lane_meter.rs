//! What became of one lane's transactions: counted by the consumer on its way, read by whoever asks.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use crate::turns::Turn;

/// Upper ends of the ranges that waits are counted in; a last one has no end. Steps of two to two and a half from less than
/// a pop takes to more than any lane should wait.
pub(crate) const WAIT_BOUNDS: [Duration; 19] = [
    Duration::from_micros(10),
    Duration::from_micros(20),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(200),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Counts of one lane. The consumer alone writes, so an addition is a load and a store.
#[derive(Debug, Default)]
pub(crate) struct LaneMeter {
    served: AtomicU64,
    by_share: AtomicU64,
    by_age: AtomicU64,
    passed_over: AtomicU64,
    /// Transactions that the consumer itself keeps before those of the queue.
    in_front: AtomicUsize,
    waits: [AtomicU64; WAIT_BOUNDS.len() + 1],
    waited_us: AtomicU64,
    longest_us: AtomicU64,
}

/// Times from the moment a transaction could be taken to the moment it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneWaits {
    /// How many waited how long: those of range `i` longer than the bound before and no longer than bound `i`, the last
    /// longer than all bounds.
    pub(crate) counts: [u64; WAIT_BOUNDS.len() + 1],
    pub(crate) total: Duration,
    pub(crate) longest: Duration,
}

impl LaneMeter {
    /// Consumer: a transaction was taken.
    pub(crate) fn serve(&self, turn: Turn, waited: Duration) {
        add(&self.served, 1);
        match turn {
            Turn::Rank => {}
            Turn::Share => add(&self.by_share, 1),
            Turn::Age => add(&self.by_age, 1),
        }
        add(&self.waits[range_of(waited)], 1);
        let waited_us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        add(&self.waited_us, waited_us);
        if waited_us > self.longest_us.load(Relaxed) {
            self.longest_us.store(waited_us, Relaxed);
        }
    }

    /// Consumer: another lane was served although this one had something.
    pub(crate) fn pass_over(&self) {
        add(&self.passed_over, 1);
    }

    /// Consumer: so many are before those of the queue.
    pub(crate) fn set_in_front(&self, count: usize) {
        self.in_front.store(count, Relaxed);
    }

    pub(crate) fn in_front(&self) -> usize {
        self.in_front.load(Relaxed)
    }

    pub(crate) fn served(&self) -> u64 {
        self.served.load(Relaxed)
    }

    pub(crate) fn served_by_share(&self) -> u64 {
        self.by_share.load(Relaxed)
    }

    pub(crate) fn served_by_age(&self) -> u64 {
        self.by_age.load(Relaxed)
    }

    pub(crate) fn passed_over(&self) -> u64 {
        self.passed_over.load(Relaxed)
    }

    pub(crate) fn waits(&self) -> LaneWaits {
        LaneWaits {
            counts: std::array::from_fn(|range| self.waits[range].load(Relaxed)),
            total: Duration::from_micros(self.waited_us.load(Relaxed)),
            longest: Duration::from_micros(self.longest_us.load(Relaxed)),
        }
    }
}

impl LaneWaits {
    /// How many transactions were taken.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The longest wait.
    #[must_use]
    pub const fn longest(&self) -> Duration {
        self.longest
    }

    /// A time that at least `percent` of the waits were not longer than: the upper end of a range, or the longest wait if
    /// that is shorter. Zero if there were none.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Duration {
        let wanted = (u128::from(self.count()) * u128::from(percent.min(100))).div_ceil(100);
        let mut seen = 0u128;
        for (range, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= wanted {
                return WAIT_BOUNDS
                    .get(range)
                    .map_or(self.longest, |bound| self.longest.min(*bound));
            }
        }
        self.longest
    }
}

fn range_of(waited: Duration) -> usize {
    WAIT_BOUNDS.partition_point(|bound| *bound < waited)
}

fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).saturating_add(more), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_counted_in_the_range_that_ends_at_or_above_it() {
        assert_eq!(range_of(Duration::ZERO), 0);
        assert_eq!(range_of(Duration::from_micros(10)), 0);
        assert_eq!(range_of(Duration::from_nanos(10_001)), 1);
        assert_eq!(range_of(Duration::from_secs(10)), WAIT_BOUNDS.len() - 1);
        assert_eq!(range_of(Duration::from_secs(11)), WAIT_BOUNDS.len());
    }

    #[test]
    fn percentiles_are_upper_ends_and_no_more_than_the_longest() {
        let meter = LaneMeter::default();
        assert_eq!(meter.waits().percentile(99), Duration::ZERO);
        for _ in 0..99 {
            meter.serve(Turn::Rank, Duration::from_micros(15));
        }
        meter.serve(Turn::Age, Duration::from_millis(1_100));
        let waits = meter.waits();
        assert_eq!(waits.count(), 100);
        assert_eq!(waits.percentile(50), Duration::from_micros(20));
        assert_eq!(waits.percentile(99), Duration::from_micros(20));
        assert_eq!(waits.percentile(100), Duration::from_millis(1_100));
        assert_eq!(waits.longest(), Duration::from_millis(1_100));
        assert_eq!((meter.served(), meter.served_by_age()), (100, 1));
    }
}
