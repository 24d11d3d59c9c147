//! Time of this thread, and time that passed.

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::{Duration, Instant};

/// Time that a piece of work took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elapsed {
    /// CPU time of the thread.
    pub(crate) cpu: Duration,
    /// Wall time.
    pub(crate) wall: Duration,
}

/// Does a piece of work and takes its time.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Elapsed) {
    let wall = Instant::now();
    let cpu = now(ClockId::ThreadCPUTime);
    let value = work();
    let cpu = now(ClockId::ThreadCPUTime).saturating_sub(cpu);
    let wall = wall.elapsed();
    (value, Elapsed { cpu, wall })
}

/// As [`timed`] for work that other threads share: its CPU time is that of all threads of the process, so nothing else may
/// be under way.
pub(crate) fn timed_with_others<T>(work: impl FnOnce() -> T) -> (T, Elapsed) {
    let wall = Instant::now();
    let cpu = now(ClockId::ProcessCPUTime);
    let value = work();
    let cpu = now(ClockId::ProcessCPUTime).saturating_sub(cpu);
    let wall = wall.elapsed();
    (value, Elapsed { cpu, wall })
}

/// What a clock shows.
pub(crate) fn now(clock: ClockId) -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    Duration::new(tv_sec.unsigned_abs(), tv_nsec as u32)
}
