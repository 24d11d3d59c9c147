//! Keeping threads on their cores.

use std::{num::NonZeroUsize, thread::available_parallelism};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::PinningMode;

/// Where workers may run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pinning {
    /// Wherever the system puts them.
    #[default]
    Free,
    /// Each worker on a core of its own: the first takes the first, and so on; when there are more workers than cores the
    /// cores are taken again from the first.
    Cores(Vec<usize>),
}

impl Pinning {
    /// What this mode says on this machine. The cores are those that the calling thread may use. Where there are more of them
    /// than it may use at a time, as in a container with a quota, they are shared with others, and `Auto` pins nobody.
    #[must_use]
    pub fn of(mode: PinningMode) -> Self {
        let at_a_time = available_parallelism().map_or(1, NonZeroUsize::get);
        let Ok(allowed) = sched_getaffinity(None) else {
            return Self::Free;
        };
        let cores: Vec<_> = (0..CpuSet::MAX_CPU)
            .filter(|core| allowed.is_set(*core))
            .collect();
        let are_shared = cores.len() > at_a_time;
        match mode.pins(at_a_time) && !(are_shared && mode == PinningMode::Auto) {
            true => Self::Cores(cores),
            false => Self::Free,
        }
    }

    /// Puts the calling thread on the core of this worker. A worker that cannot be pinned works nevertheless.
    pub(crate) fn pin(&self, worker: usize) {
        let Self::Cores(cores) = self else { return };
        let Some(core) = cores.get(worker % cores.len().max(1)) else {
            return;
        };
        let mut set = CpuSet::new();
        if *core < CpuSet::MAX_CPU {
            set.set(*core);
        }
        if let Err(error) = sched_setaffinity(None, &set) {
            tracing::warn!(target: "executor", worker, core, %error, "A worker could not be pinned to its core");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores() -> Vec<usize> {
        let allowed = sched_getaffinity(None).expect("a set of cores");
        (0..CpuSet::MAX_CPU)
            .filter(|core| allowed.is_set(*core))
            .collect()
    }

    #[test]
    fn each_worker_has_its_core() {
        let Pinning::Cores(all) = Pinning::of(PinningMode::On) else {
            panic!("they are pinned");
        };
        assert_eq!(all, cores());
        assert_eq!(Pinning::of(PinningMode::Off), Pinning::Free);
        for worker in 0..2 * all.len() {
            let pinning = Pinning::Cores(all.clone());
            let pinned = std::thread::spawn(move || {
                pinning.pin(worker);
                cores()
            });
            assert_eq!(pinned.join().expect("no panic"), [all[worker % all.len()]]);
        }
    }

    #[test]
    fn a_core_that_is_not_there_stops_nobody() {
        let pinning = Pinning::Cores(vec![CpuSet::MAX_CPU + 1]);
        let before = cores();
        pinning.pin(0);
        Pinning::Cores(Vec::new()).pin(0);
        assert_eq!(cores(), before);
    }
}
