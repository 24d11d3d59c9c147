//! How blocks from elsewhere are executed, from the configuration.

use std::{num::NonZeroUsize, sync::Arc, thread::available_parallelism};

use rapid_chain::ExecutionMode;
use rapid_executor::{ExecutorConfig, ExecutorMode, Pinning, PinningMode, Workers, WorkersError};
use rustix::thread::{CpuSet, sched_getaffinity};

use crate::Role;

/// What the chain is opened with. A sequencer takes no blocks from elsewhere; its workers are its own.
///
/// # Errors
/// [`WorkersError`] if the system gives no threads.
pub(crate) fn execution_mode(config: &ExecutorConfig, role: &Role) -> Result<ExecutionMode, WorkersError> {
    let follows = matches!(role, Role::Engine);
    let workers = NonZeroUsize::new(config.workers.get()).filter(|workers| workers.get() > 1);
    match (config.mode, workers) {
        (ExecutorMode::Parallel, Some(workers)) if follows => {
            let workers = Workers::start(workers, &pinning(config.pinning))?;
            Ok(ExecutionMode::Parallel(Arc::new(workers)))
        }
        _ => Ok(ExecutionMode::Sequential),
    }
}

fn pinning(mode: PinningMode) -> Pinning {
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    if !mode.pins(cores) {
        return Pinning::Free;
    }
    // Those that the process may use, which need not be the first ones.
    sched_getaffinity(None).map_or(Pinning::Free, |allowed| {
        Pinning::Cores(
            (0..CpuSet::MAX_CPU)
                .filter(|core| allowed.is_set(*core))
                .collect(),
        )
    })
}

#[cfg(test)]
mod tests {
    use rapid_executor::WorkerCount;
    use rapid_sequencer::SequencerConfig;

    use super::*;

    #[test]
    fn only_who_follows_has_workers_for_blocks_from_elsewhere() {
        let parallel = ExecutorConfig {
            workers: WorkerCount::new(2).unwrap(),
            pinning: PinningMode::On,
            ..ExecutorConfig::default()
        };
        let alone = ExecutorConfig {
            workers: WorkerCount::new(1).unwrap(),
            ..parallel
        };
        let sequential = ExecutorConfig {
            mode: ExecutorMode::Sequential,
            ..parallel
        };
        let sequencer = Role::Sequencer(SequencerConfig::default());
        for (config, role, has_workers) in [
            (parallel, &Role::Engine, true),
            (parallel, &sequencer, false),
            (alone, &Role::Engine, false),
            (sequential, &Role::Engine, false),
        ] {
            let mode = execution_mode(&config, role).unwrap();
            assert_eq!(
                matches!(mode, ExecutionMode::Parallel(_)),
                has_workers,
                "{config:?} {role:?}"
            );
        }
    }

    #[test]
    fn pinned_workers_have_cores() {
        assert!(matches!(pinning(PinningMode::On), Pinning::Cores(cores) if !cores.is_empty()));
        assert_eq!(pinning(PinningMode::Off), Pinning::Free);
    }
}
