//! The compiler: reth's flags, with our bounds.

use std::time::Duration;

use clap::{Args, ValueEnum};
use rapid_jit::{
    Limits,
    runtime::{Compiling, GAS_PER_HOT_CALL, RuntimeConfig, Switch, WORKERS_MAX},
};
use rapid_node::{CompilerConfig, ShadowInterval};

use super::time;

/// Bytes of bytecode above which nothing is compiled: what EIP-7954 allows.
const BYTECODE_LEN_MAX: u64 = 64 * 1024;

/// Bounds of `--jit.code-cache-bytes`: below, one large contract fills it; above, it is more than the state.
const CODE_CACHE_BYTES_MIN: u64 = 1 << 20;
const CODE_CACHE_BYTES_MAX: u64 = 16 << 30;

/// Most contracts that `--jit.max-pending-jobs` lets wait.
const PENDING_JOBS_MAX: u64 = 1 << 16;

/// Machine code for hot contracts.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "JIT")]
pub(crate) struct JitArgs {
    /// Whether hot contracts are compiled to machine code. Results are the interpreter's, bit for bit.
    #[arg(
        long,
        value_name = "on|off",
        num_args = 0..=1,
        require_equals = true,
        default_value = "on",
        default_missing_value = "on"
    )]
    pub(crate) jit: JitSwitch,

    /// Calls after which a contract is hot. What counts is the gas they burn: a call stands for 125,000.
    #[arg(long = "jit.hot-threshold", value_name = "HOT_THRESHOLD", default_value_t = 8,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    hot_threshold: u64,

    /// Threads that compile, 16 at most. They share a twentieth of a core, whatever their number.
    #[arg(long = "jit.worker-count", value_name = "WORKER_COUNT", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=WORKERS_MAX as u64))]
    worker_count: u64,

    /// Contracts that wait to be compiled. When full, the coldest is dropped.
    #[arg(long = "jit.max-pending-jobs", value_name = "MAX_PENDING_JOBS", default_value_t = 2048,
          value_parser = clap::value_parser!(u64).range(1..=PENDING_JOBS_MAX))]
    max_pending_jobs: u64,

    /// Bytes of bytecode above which a contract is not compiled; 0 is the most there is, 65536.
    #[arg(long = "jit.max-bytecode-len", value_name = "MAX_BYTECODE_LEN", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(0..=BYTECODE_LEN_MAX))]
    max_bytecode_len: u64,

    /// Bytes of memory for machine code, 1 MiB to 16 GiB. When full, what was not run for longest is dropped.
    #[arg(long = "jit.code-cache-bytes", value_name = "CODE_CACHE_BYTES", default_value_t = 256 << 20,
          value_parser = clap::value_parser!(u64).range(CODE_CACHE_BYTES_MIN..=CODE_CACHE_BYTES_MAX))]
    code_cache_bytes: u64,

    /// Time after which machine code that nobody runs is dropped.
    #[arg(long = "jit.idle-evict-duration", value_name = "IDLE_EVICT_DURATION", default_value = "1h",
          value_parser = time::seconds_or_human)]
    idle_evict: Duration,

    /// Of so many transactions that ran machine code, one is executed again by the interpreter and compared. Where they
    /// differ the interpreter's result stands, the contracts are interpreted from then on, and
    /// rapid_reth_jit_shadow_mismatches_total counts it. 0 is never.
    #[arg(
        long = "jit.shadow-interval",
        value_name = "TRANSACTIONS",
        default_value_t = 1000
    )]
    shadow_interval: u64,

    /// Compile on the thread that runs a hot contract, which waits for it: for debugging.
    #[arg(long = "jit.blocking", hide = true)]
    blocking: bool,
}

impl JitArgs {
    /// The compiler's configuration.
    pub(crate) fn config(&self) -> CompilerConfig {
        let bytecode_bytes = match self.max_bytecode_len {
            0 => BYTECODE_LEN_MAX,
            len => len,
        };
        CompilerConfig {
            runtime: RuntimeConfig {
                enabled: self.jit.into(),
                fast_gas: self.hot_threshold * GAS_PER_HOT_CALL,
                workers: self.worker_count as usize,
                queue_len_max: self.max_pending_jobs as usize,
                limits: Limits {
                    bytecode_bytes: bytecode_bytes as usize,
                    ..Limits::default()
                },
                code_bytes_max: self.code_cache_bytes as usize,
                idle_evict: self.idle_evict,
                compiling: if self.blocking {
                    Compiling::Blocking
                } else {
                    Compiling::Background
                },
                ..RuntimeConfig::default()
            },
            shadow_interval: ShadowInterval::one_in(self.shadow_interval),
        }
    }
}

/// `--jit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum JitSwitch {
    /// Hot contracts are compiled.
    On,
    /// Everything is interpreted, until the RPC method reth_jit says otherwise.
    Off,
}

impl From<JitSwitch> for Switch {
    fn from(switch: JitSwitch) -> Self {
        match switch {
            JitSwitch::On => Self::On,
            JitSwitch::Off => Self::Off,
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
        jit: JitArgs,
    }

    fn config(arguments: &[&str]) -> Result<CompilerConfig, clap::Error> {
        let all = std::iter::once("test").chain(arguments.iter().copied());
        Only::try_parse_from(all).map(|only| only.jit.config())
    }

    #[test]
    fn it_is_on_unless_it_is_switched_off() {
        for (arguments, switch) in [
            (&[][..], Switch::On),
            (&["--jit"], Switch::On),
            (&["--jit=on"], Switch::On),
            (&["--jit=off"], Switch::Off),
        ] {
            assert_eq!(
                config(arguments).unwrap().runtime.enabled,
                switch,
                "{arguments:?}"
            );
        }
        assert!(config(&["--jit=maybe"]).is_err());
        assert!(
            config(&["--jit", "off"]).is_err(),
            "the value is behind an equals sign"
        );
    }

    #[test]
    fn flags_reach_the_runtime_and_are_bounded() {
        let given = config(&[
            "--jit.hot-threshold=2",
            "--jit.worker-count=3",
            "--jit.max-pending-jobs=4",
            "--jit.max-bytecode-len=5000",
            "--jit.code-cache-bytes=2000000",
            "--jit.idle-evict-duration=90s",
            "--jit.shadow-interval=7",
            "--jit.blocking",
        ])
        .unwrap();
        let runtime = &given.runtime;
        assert_eq!(runtime.fast_gas, 2 * GAS_PER_HOT_CALL);
        assert_eq!((runtime.workers, runtime.queue_len_max), (3, 4));
        assert_eq!(runtime.limits.bytecode_bytes, 5000);
        assert_eq!(runtime.code_bytes_max, 2_000_000);
        assert_eq!(runtime.idle_evict, Duration::from_secs(90));
        assert_eq!(runtime.compiling, Compiling::Blocking);
        assert_eq!(given.shadow_interval, ShadowInterval::one_in(7));
        let defaults = config(&[]).unwrap().runtime;
        assert_eq!(defaults.limits, Limits::default());
        assert_eq!(defaults.fast_gas, RuntimeConfig::default().fast_gas);
        assert_eq!(defaults.queue_len_max, RuntimeConfig::default().queue_len_max);
        assert_eq!(defaults.code_bytes_max, RuntimeConfig::default().code_bytes_max);
        for refused in [
            "--jit.hot-threshold=0",
            "--jit.worker-count=17",
            "--jit.max-pending-jobs=0",
            "--jit.max-bytecode-len=65537",
            "--jit.code-cache-bytes=5",
        ] {
            assert!(config(&[refused]).is_err(), "{refused}");
        }
    }
}
