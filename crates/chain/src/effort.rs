//! Where the time goes: wall and CPU time of the steps of an import.

use std::{
    ops::{Add, AddAssign, Sub},
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

/// Time that a step took. With several threads at work, the CPU time of the one that measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Time that passed.
    pub wall: Duration,
    /// Time on a core.
    pub cpu: Duration,
}

/// What an importer has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportWork {
    /// Checking blocks under their parents and running them, receipts root included.
    pub execution: Effort,
    /// Folding what they changed into the trie, and the state root.
    pub root: Effort,
    /// Making them canonical: the record, the log, the state, the view.
    pub commit: Effort,
    /// Storing them, on the thread `chain-history`.
    pub history: Effort,
    /// Accounts that blocks changed, each counted once per block.
    pub changes: u64,
    /// Blocks that all workers executed at once, with a hint.
    pub hinted_blocks: u64,
    /// Those of them whose hint was proven to be all true.
    pub proven_hints: u64,
}

/// Measures one step of this thread.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

impl Stopwatch {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: thread_cpu_time(),
        }
    }

    /// The time since the start; call it on the thread that started.
    #[must_use]
    pub fn stop(self) -> Effort {
        Effort {
            wall: self.wall.elapsed(),
            cpu: thread_cpu_time().saturating_sub(self.cpu),
        }
    }
}

/// Time this thread has spent on a core.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    cpu_time(ClockId::ThreadCPUTime)
}

/// Time all threads of this process have spent on a core.
#[must_use]
pub fn process_cpu_time() -> Duration {
    cpu_time(ClockId::ProcessCPUTime)
}

fn cpu_time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

impl Add for Effort {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            wall: self.wall + other.wall,
            cpu: self.cpu + other.cpu,
        }
    }
}

impl AddAssign for Effort {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Effort {
    type Output = Self;

    /// Never below zero: parts of a step are measured with clocks of their own.
    fn sub(self, other: Self) -> Self {
        Self {
            wall: self.wall.saturating_sub(other.wall),
            cpu: self.cpu.saturating_sub(other.cpu),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_cpu_time_and_waiting_is_not() {
        let watch = Stopwatch::start();
        let mut sum = 0_u64;
        while watch.stop().cpu < Duration::from_millis(5) {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
        }
        let waiting = Stopwatch::start();
        let (sender, receiver) = crossbeam_channel::bounded::<()>(0);
        let _ = receiver.recv_timeout(Duration::from_millis(20));
        drop(sender);
        let waited = waiting.stop();
        assert!(
            waited.wall >= Duration::from_millis(20) && waited.cpu < waited.wall,
            "{waited:?}"
        );
    }
}
