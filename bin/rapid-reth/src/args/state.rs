//! The state in memory: how much it may take, and what happens near that.

use std::str::FromStr;

use clap::Args;
use rapid_node::{ByteSize, Mark, MemoryConfig};

/// How much memory there is.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "State")]
pub(crate) struct StateArgs {
    /// Memory the process may take, in bytes or as in 16GiB. A state that needs more is not opened.
    ///
    /// Default: the smallest limit of the control groups (cgroup v1 and v2) the process is in, and of what the machine
    /// has available (MemAvailable) at the start.
    #[arg(long = "state.memory-limit", value_name = "SIZE")]
    memory_limit: Option<ByteSize>,

    /// What happens to a state that does not fit in memory: `refuse` does not start, and near the limit takes in nothing
    /// more. To keep a part of it on disk (`spill`) is not available.
    #[arg(long = "state.overflow", value_name = "POLICY", default_value = "refuse")]
    overflow: Overflow,

    /// Memory for what the state was before: recent blocks are read from it, older ones from history. At most an eighth of
    /// the limit together with --state.leased.
    #[arg(long = "state.retained", value_name = "SIZE", default_value = "1GiB")]
    retained: ByteSize,

    /// Memory beyond that for versions that are being read: when it is used up, the oldest readers are refused.
    #[arg(long = "state.leased", value_name = "SIZE", default_value = "1GiB")]
    leased: ByteSize,
}

impl Default for StateArgs {
    /// As without flags.
    fn default() -> Self {
        let MemoryConfig {
            limit,
            retained,
            leased,
            ..
        } = MemoryConfig::default();
        Self {
            memory_limit: limit,
            overflow: Overflow::default(),
            retained,
            leased,
        }
    }
}

/// How a node behaves near its limit.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "State")]
pub(crate) struct StateMarkArgs {
    /// Above this much memory, as a share of the limit (85%, 85) or a size (200GiB), the state grows slowly: a sequencer
    /// executes a quarter of the time at most, and the pool refuses contract creations and the lane `bulk`.
    #[arg(long = "state.soft-mark", value_name = "SHARE_OR_SIZE", default_value = "85%")]
    soft_mark: Mark,

    /// Above this much memory the node is read-only until it is below the soft mark again: what is executed is sealed and
    /// made durable, then transactions and blocks are refused.
    #[arg(long = "state.hard-mark", value_name = "SHARE_OR_SIZE", default_value = "95%")]
    hard_mark: Mark,
}

/// `--state.overflow`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Overflow {
    /// The node does not start, or becomes read-only.
    #[default]
    Refuse,
}

impl FromStr for Overflow {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "spill" => Err(
                "spill is not available: the state is kept in memory as a whole; the only policy is refuse",
            ),
            _ => Err("the only policy is refuse"),
        }
    }
}

impl StateArgs {
    /// The memory's configuration; `cache_bytes` bounds what is kept beside the state.
    pub(crate) fn memory(&self, cache_bytes: usize) -> MemoryConfig {
        let Overflow::Refuse = self.overflow;
        MemoryConfig {
            limit: self.memory_limit,
            cache_bytes: cache_bytes as u64,
            retained: self.retained,
            leased: self.leased,
            ..MemoryConfig::default()
        }
    }
}

impl StateMarkArgs {
    /// The same with these marks.
    pub(crate) fn mark(&self, memory: MemoryConfig) -> MemoryConfig {
        MemoryConfig {
            soft_mark: self.soft_mark,
            hard_mark: self.hard_mark,
            ..memory
        }
    }
}
