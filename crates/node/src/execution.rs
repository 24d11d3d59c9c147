//! How blocks from elsewhere are executed, from the configuration.

use std::{num::NonZeroUsize, sync::Arc};

use rapid_chain::ExecutionMode;
use rapid_executor::{ExecutorConfig, ExecutorMode, Pinning, Workers, WorkersError};

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
            let workers = Workers::start(workers, &Pinning::of(config.pinning))?;
            Ok(ExecutionMode::Parallel(Arc::new(workers)))
        }
        _ => Ok(ExecutionMode::Sequential),
    }
}

#[cfg(test)]
mod tests {
    use rapid_executor::{PinningMode, WorkerCount};
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
}
