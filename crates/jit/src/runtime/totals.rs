//! What the runtime has done so far.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::refused::FailureKind;
use crate::{ExitReason, RunCounts, Tier};

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Total(AtomicU64);

impl Total {
    pub(super) fn add(&self, count: u64) {
        if count > 0 {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts since the start of the process. Sessions add theirs when the epoch turns and when they end.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) hits: Total,
    pub(super) misses: Total,
    pub(super) entered: Total,
    pub(super) exits: [Total; ExitReason::COUNT],
    pub(super) compiled: [Total; 2],
    compile_nanoseconds: [Total; 2],
    pub(super) evicted_full: Total,
    pub(super) evicted_idle: Total,
    pub(super) dropped: Total,
    pub(super) simple: Total,
    failures: [Total; FailureKind::ALL.len()],
    pub(super) machine_failures: Total,
}

impl Totals {
    pub(super) fn failed(&self, kind: FailureKind) {
        self.failures[kind as usize].add(1);
    }

    pub(super) fn failures(&self, kind: FailureKind) -> u64 {
        self.failures[kind as usize].get()
    }

    pub(super) fn ran(&self, counts: &RunCounts) {
        self.entered.add(counts.entered);
        for (total, &count) in self.exits.iter().zip(&counts.exits) {
            total.add(count);
        }
    }

    /// Adds the time of a compilation, whatever came of it.
    pub(super) fn took(&self, tier: Tier, time: Duration) {
        self.compile_nanoseconds[index(tier)].add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn compile_time(&self, tier: Tier) -> Duration {
        Duration::from_nanos(self.compile_nanoseconds[index(tier)].get())
    }

    pub(super) const fn compiled(&self, tier: Tier) -> &Total {
        &self.compiled[index(tier)]
    }
}

/// Both tiers, in the order of their indices.
pub(super) const TIERS: [Tier; 2] = [Tier::Fast, Tier::Optimising];

pub(super) const fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Fast => "fast",
        Tier::Optimising => "optimising",
    }
}

const fn index(tier: Tier) -> usize {
    match tier {
        Tier::Fast => 0,
        Tier::Optimising => 1,
    }
}
