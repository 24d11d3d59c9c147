//! How transactions are executed: one after the other or many at once, on how many threads, and how that is checked.

use std::{num::NonZeroUsize, thread::available_parallelism};

/// Most workers there may be. More than the largest machines have cores, and little enough that what each of them keeps
/// (an EVM, a ring of old values) stays small beside the state.
pub const WORKERS_MAX: usize = 256;

/// Cores from which threads are pinned unless the operator says otherwise. With fewer, the threads of a node outnumber
/// the cores, and one that may not move waits for another's turn to end.
const PINNED_CORES_MIN: usize = 4;

/// How transactions are executed. The results are the same whatever it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecutorConfig {
    /// One after the other, or many at once.
    pub mode: ExecutorMode,
    /// Threads that execute, the one that needs the results among them. Of no effect in [`ExecutorMode::Sequential`].
    pub workers: WorkerCount,
    /// How many of the mini-blocks a sequencer published are executed again to compare.
    pub shadow: MiniBlockShadow,
    /// Whether workers stay on their cores.
    pub pinning: PinningMode,
}

/// Whether transactions are executed one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExecutorMode {
    /// One after the other, on the thread that needs the results: the reference that the other mode must equal.
    Sequential,
    /// Many at once, where that is faster.
    #[default]
    Parallel,
}

/// A number of workers between one and [`WORKERS_MAX`]. May be above the number of cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerCount(NonZeroUsize);

impl WorkerCount {
    /// So many workers; `None` if there are none or more than [`WORKERS_MAX`].
    #[must_use]
    pub const fn new(workers: usize) -> Option<Self> {
        match NonZeroUsize::new(workers) {
            Some(workers) if workers.get() <= WORKERS_MAX => Some(Self(workers)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0.get()
    }

    /// The default on a machine of so many cores: all but one, which is left to those who seal, answer and compute roots.
    const fn beside_others(cores: usize) -> Self {
        let workers = cores.saturating_sub(1);
        match Self::new(if workers > WORKERS_MAX {
            WORKERS_MAX
        } else {
            workers
        }) {
            Some(count) => count,
            None => Self(NonZeroUsize::MIN),
        }
    }
}

impl Default for WorkerCount {
    /// One less than there are cores, and at least one.
    fn default() -> Self {
        Self::beside_others(available_parallelism().map_or(1, NonZeroUsize::get))
    }
}

/// Of how many published mini-blocks one is executed again, sequentially and by the interpreter, and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MiniBlockShadow(u64);

impl MiniBlockShadow {
    /// None is executed again.
    pub const NEVER: Self = Self(0);

    /// One in so many; zero is [`Self::NEVER`].
    #[must_use]
    pub const fn one_in(mini_blocks: u64) -> Self {
        Self(mini_blocks)
    }

    /// Whether any is.
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.0 != 0
    }

    /// Whether the mini-block with this number is.
    #[must_use]
    pub const fn takes(self, number: u64) -> bool {
        self.0 != 0 && number.is_multiple_of(self.0)
    }
}

impl Default for MiniBlockShadow {
    /// One in a hundred costs about a hundredth of the time that execution takes, and at ten milliseconds looks at one
    /// mini-block each second.
    fn default() -> Self {
        Self(100)
    }
}

/// Whether workers stay on one core each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PinningMode {
    /// Where there are four cores or more.
    Auto,
    /// Whatever there is.
    On,
    /// They go where the system puts them. The default of the library: who has many executors in one process should not have
    /// all of them on the same cores.
    #[default]
    Off,
}

impl PinningMode {
    /// Whether threads are pinned on a machine of so many cores.
    #[must_use]
    pub const fn pins(self, cores: usize) -> bool {
        match self {
            Self::Auto => cores >= PINNED_CORES_MIN,
            Self::On => true,
            Self::Off => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_left_to_others_and_there_is_a_worker() {
        for (cores, workers) in [(0, 1), (1, 1), (2, 1), (8, 7), (257, 256), (512, 256)] {
            assert_eq!(WorkerCount::beside_others(cores).get(), workers, "{cores} cores");
        }
        assert_eq!(WorkerCount::new(0), None);
        assert_eq!(WorkerCount::new(WORKERS_MAX + 1), None);
        assert_eq!(
            WorkerCount::new(WORKERS_MAX).map(WorkerCount::get),
            Some(WORKERS_MAX)
        );
    }

    #[test]
    fn one_in_so_many_is_taken() {
        let taken = |shadow: MiniBlockShadow| (1..=12).filter(|number| shadow.takes(*number)).count();
        assert_eq!(taken(MiniBlockShadow::one_in(4)), 3);
        assert_eq!(taken(MiniBlockShadow::one_in(1)), 12);
        assert_eq!(taken(MiniBlockShadow::NEVER), 0);
        assert!(!MiniBlockShadow::NEVER.is_on());
    }

    #[test]
    fn few_cores_are_shared() {
        assert!(!PinningMode::Auto.pins(2) && !PinningMode::Auto.pins(3) && PinningMode::Auto.pins(4));
        assert!(PinningMode::On.pins(1) && !PinningMode::Off.pins(64));
    }
}
