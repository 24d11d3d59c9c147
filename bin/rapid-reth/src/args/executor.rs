//! How transactions are executed.

use clap::{Args, ValueEnum};
use rapid_executor::{ExecutorConfig, ExecutorMode, MiniBlockShadow, PinningMode, WORKERS_MAX, WorkerCount};

/// Parallel execution.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Executor")]
pub(crate) struct ExecutorArgs {
    /// Whether transactions are executed one after the other or many at once. The results are the same, bit for bit.
    #[arg(long, value_name = "MODE", default_value = "parallel")]
    executor: ExecutorModeArg,

    /// Threads that execute, 1 to 256, the sequencer's loop or the importer among them; may be more than there are cores.
    ///
    /// Default: one less than there are cores, at least 1.
    #[arg(long = "executor.workers", value_name = "COUNT", value_parser = worker_count)]
    workers: Option<WorkerCount>,

    /// Of so many mini-blocks that a sequencer published, one is executed again, one transaction after the other and by the
    /// interpreter, and compared. Where they differ an error is logged with the mini-block's number, and
    /// rapid_reth_sequencer_shadow_mismatches_total counts it. 0 is never.
    #[arg(long = "executor.shadow", value_name = "MINI_BLOCKS", default_value_t = 100)]
    shadow: u64,

    /// Whether workers stay on their cores: `auto` only with 4 cores or more.
    ///
    /// The first worker is on the first core that the process may use, and so on. A sequencer's loop is the first of its
    /// workers, if there are others. Whatever else runs goes where the system puts it. Nodes that share a machine need cores of
    /// their own (`taskset`), or `off`. `auto` pins nobody in a container with a quota instead of cores.
    #[arg(long = "executor.pin", value_name = "auto|on|off", default_value = "auto")]
    pin: PinningArg,
}

impl ExecutorArgs {
    /// The executor's configuration.
    pub(crate) fn config(&self) -> ExecutorConfig {
        ExecutorConfig {
            mode: self.executor.into(),
            workers: self.workers.unwrap_or_default(),
            shadow: MiniBlockShadow::one_in(self.shadow),
            pinning: self.pin.into(),
        }
    }
}

fn worker_count(text: &str) -> Result<WorkerCount, String> {
    text.parse()
        .ok()
        .and_then(WorkerCount::new)
        .ok_or_else(|| format!("a number from 1 to {WORKERS_MAX}"))
}

/// `--executor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExecutorModeArg {
    /// One after the other.
    Sequential,
    /// Many at once, where that is faster.
    Parallel,
}

impl From<ExecutorModeArg> for ExecutorMode {
    fn from(mode: ExecutorModeArg) -> Self {
        match mode {
            ExecutorModeArg::Sequential => Self::Sequential,
            ExecutorModeArg::Parallel => Self::Parallel,
        }
    }
}

/// `--executor.pin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PinningArg {
    /// Where there are four cores or more.
    Auto,
    /// Whatever there is.
    On,
    /// The system decides.
    Off,
}

impl From<PinningArg> for PinningMode {
    fn from(pin: PinningArg) -> Self {
        match pin {
            PinningArg::Auto => Self::Auto,
            PinningArg::On => Self::On,
            PinningArg::Off => Self::Off,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        executor: ExecutorArgs,
    }

    fn config(arguments: &[&str]) -> Result<ExecutorConfig, clap::Error> {
        let all = std::iter::once("test").chain(arguments.iter().copied());
        Only::try_parse_from(all).map(|only| only.executor.config())
    }

    #[test]
    fn defaults_are_those_of_the_executor_but_for_pinning() {
        let default = ExecutorConfig {
            pinning: PinningMode::Auto,
            ..ExecutorConfig::default()
        };
        assert_eq!(config(&[]).unwrap(), default);
    }

    #[test]
    fn flags_reach_the_executor_and_are_bounded() {
        let given = config(&[
            "--executor=sequential",
            "--executor.workers=256",
            "--executor.shadow=0",
            "--executor.pin=off",
        ])
        .unwrap();
        assert_eq!(given.mode, ExecutorMode::Sequential);
        assert_eq!(given.workers.get(), 256);
        assert_eq!(given.shadow, MiniBlockShadow::NEVER);
        assert_eq!(given.pinning, PinningMode::Off);
        for refused in [
            "--executor=fast",
            "--executor.workers=0",
            "--executor.workers=257",
            "--executor.workers=-1",
            "--executor.shadow=often",
            "--executor.pin=maybe",
        ] {
            assert!(config(&[refused]).is_err(), "{refused}");
        }
    }
}
