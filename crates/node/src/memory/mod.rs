//! Memory: whether the state fits before anything is opened, and what happens when it grows to the limit.
//!
//! ```text
//!  counts of the checkpoint x bytes per entry + bounds + headroom --> needed  -+
//!  cgroups, MemAvailable, or --state.memory-limit ------------------> limit   -+-> refuse, or go on with the marks
//!
//!  node-memory, every 250 ms: anonymous memory against the marks --> MemoryPressureCell (one atomic)
//!       soft: sequencer rests 3/4 of the time, pool refuses creations and the lane Bulk
//!       hard: sequencer closes the block, makes the log durable and pauses; pool refuses everything; engine and import take no
//!             block and answer with an error; reads go on. Left below the soft mark.
//! ```
//!
//! A consensus client that has a block for a node above the hard mark gets an internal error, not `SYNCING`: after
//! `SYNCING` it would go on optimistically and count on the node to fetch what is missing, which this node cannot; after an
//! error it keeps the block, says so in its log and sends it again.
//!
//! # Metrics
//! | name | type | what |
//! |---|---|---|
//! | `rapid_reth_node_memory_limit_bytes` | gauge | the limit found or given |
//! | `rapid_reth_node_memory_estimated_bytes` | gauge | what the start was estimated to need |
//! | `rapid_reth_node_memory_soft_mark_bytes` | gauge | the soft mark |
//! | `rapid_reth_node_memory_hard_mark_bytes` | gauge | the hard mark |
//! | `rapid_reth_node_memory_resident_bytes` | gauge | anonymous memory of the process, at most 250 ms old |
//! | `rapid_reth_node_memory_pressure` | gauge | 0 below the marks, 1 above the soft one, 2 read-only |
//! | `rapid_reth_node_memory_crossings_total{to}` | counter | changes of the pressure, by the new one: `none`, `soft`, `hard` |

mod estimate;
mod host;
mod limit;
mod marks;
mod monitor;
mod size;

use std::path::Path;

use metrics::gauge;
use rapid_chain::{ChainConfig, OpenError};
use rapid_chainspec::ChainSpec;
use rapid_state::{DEFAULT_LEASED_BYTES, DEFAULT_RETAINED_BYTES, StateConfig};

pub use estimate::Estimate;
pub use limit::{LimitSource, MemoryLimit};
pub use marks::{Mark, MarkParseError, Marks, MarksError};
pub use monitor::MemoryMonitor;
pub use size::{ByteSize, ByteSizeError};

use estimate::Bounds;
use host::{Host, HugePages};

/// Where the system's files are.
const ROOT: &str = "/";

/// What the operator says of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// The limit; without it, what the system says.
    pub limit: Option<ByteSize>,
    /// Above it the node grows slowly.
    pub soft_mark: Mark,
    /// Above it the node is read-only.
    pub hard_mark: Mark,
    /// Bounds of what is kept beside the state: pool, compiled code.
    pub cache_bytes: u64,
    /// Bytes of old values that are kept in any case; [`StateConfig::retained_bytes`].
    pub retained: ByteSize,
    /// Bytes of old values beyond these that readers may hold; [`StateConfig::leased_bytes`].
    pub leased: ByteSize,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            limit: None,
            soft_mark: Mark::SOFT,
            hard_mark: Mark::HARD,
            cache_bytes: 0,
            retained: ByteSize(DEFAULT_RETAINED_BYTES as u64),
            leased: ByteSize(DEFAULT_LEASED_BYTES as u64),
        }
    }
}

/// Why nothing is opened. The operator has to give memory or to change a flag.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The state does not fit.
    #[error(
        "the state does not fit in memory: about {} needed, {} available by {}. Needed are: {estimate}. Give the node more \
         memory, or say with --state.memory-limit how much it may take; to keep state on disk (--state.overflow spill) is \
         not available",
        estimate.total(), limit.bytes, limit.source
    )]
    TooSmall {
        /// What is needed.
        estimate: Estimate,
        /// What there is.
        limit: MemoryLimit,
    },
    /// The marks contradict the limit or each other.
    #[error(transparent)]
    Marks(#[from] MarksError),
    /// How much is stored cannot be read.
    #[error(transparent)]
    Stored(#[from] OpenError),
}

/// What was found before the start: the state fits, and these are the marks.
#[derive(Clone, Debug)]
pub struct MemoryPlan {
    estimate: Estimate,
    /// Absent where the system tells no limit and the operator neither.
    limited: Option<(MemoryLimit, Marks)>,
    /// The smallest limit the system has, whatever the operator says.
    system: Option<MemoryLimit>,
    host: Host,
}

impl MemoryPlan {
    /// Compares what the state in a directory needs with what there is, and bounds the undo ring by the limit. Reads only.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub(crate) fn make(
        config: &MemoryConfig,
        spec: &ChainSpec,
        chain: &mut ChainConfig,
    ) -> Result<Self, MemoryError> {
        let root = Path::new(ROOT);
        let system = MemoryLimit::find(root);
        let limit = config
            .limit
            .map(|bytes| MemoryLimit {
                bytes,
                source: LimitSource::Flag,
            })
            .or_else(|| system.clone());
        let stored = chain.stored_size(spec)?;
        chain.state = StateConfig {
            retained_bytes: usize::try_from(config.retained.0).unwrap_or(usize::MAX),
            leased_bytes: usize::try_from(config.leased.0).unwrap_or(usize::MAX),
        };
        let bounds = Bounds {
            undo_bytes: undo_bytes(&chain.state),
            cache_bytes: config.cache_bytes,
        };
        let bounds = match &limit {
            Some(limit) => bounds.under(limit.bytes),
            None => bounds,
        };
        bound_undo(&mut chain.state, bounds.undo_bytes);
        let estimate = Estimate::of(&stored, bounds);
        let limited = match limit {
            Some(limit) if estimate.total() > limit.bytes => {
                return Err(MemoryError::TooSmall { estimate, limit });
            }
            Some(limit) => {
                let marks = Marks::new(config.soft_mark, config.hard_mark, limit.bytes)?;
                Some((limit, marks))
            }
            None => None,
        };
        Ok(Self {
            estimate,
            limited,
            system,
            host: Host::look(root),
        })
    }

    /// The marks, if there is a limit.
    pub(crate) fn marks(&self) -> Option<Marks> {
        self.limited.as_ref().map(|(_, marks)| *marks)
    }

    /// One line of what was found, and warnings of what costs speed or safety.
    pub(crate) fn tell(&self) {
        let (needed, host) = (self.estimate.total(), self.host);
        if host.huge_pages == HugePages::Never {
            tracing::warn!(
                target: "reth::cli",
                "Transparent huge pages are off: reads of the state are about 1.6 times slower. Write madvise to \
                 /sys/kernel/mm/transparent_hugepage/enabled (see etc/hardware.md)"
            );
        }
        let Some((limit, marks)) = &self.limited else {
            tracing::warn!(
                target: "reth::cli",
                %needed,
                huge_pages = %host.huge_pages,
                numa_nodes = host.numa_nodes,
                "This system tells no memory limit: give one with --state.memory-limit, or the node is not held below it"
            );
            return;
        };
        tracing::info!(
            target: "reth::cli",
            limit = %limit.bytes,
            by = %limit.source,
            %needed,
            soft_mark = %marks.soft(),
            hard_mark = %marks.hard(),
            huge_pages = %host.huge_pages,
            numa_nodes = host.numa_nodes,
            "Memory checked"
        );
        tracing::debug!(target: "reth::cli", estimate = %self.estimate, "Memory needed");
        if let Some(system) = self.system.as_ref().filter(|system| system.bytes < limit.bytes) {
            tracing::warn!(
                target: "reth::cli",
                limit = %limit.bytes,
                available = %system.bytes,
                by = %system.source,
                "--state.memory-limit is above what the system gives: it may kill the node before the marks are reached"
            );
        }
        if needed > marks.soft() {
            tracing::warn!(
                target: "reth::cli",
                %needed,
                soft_mark = %marks.soft(),
                "The state needs more than the soft mark leaves: blocks may be made slowly from the start"
            );
        }
        self.publish(limit, *marks);
    }

    fn publish(&self, limit: &MemoryLimit, marks: Marks) {
        gauge!("rapid_reth_node_memory_limit_bytes").set(limit.bytes.0 as f64);
        gauge!("rapid_reth_node_memory_estimated_bytes").set(self.estimate.total().0 as f64);
        gauge!("rapid_reth_node_memory_soft_mark_bytes").set(marks.soft().0 as f64);
        gauge!("rapid_reth_node_memory_hard_mark_bytes").set(marks.hard().0 as f64);
    }
}

const fn undo_bytes(config: &StateConfig) -> u64 {
    config.retained_bytes.saturating_add(config.leased_bytes) as u64
}

/// Shrinks the bounds of old values in proportion, so that together they are at most `bytes`.
fn bound_undo(config: &mut StateConfig, bytes: u64) {
    let before = undo_bytes(config);
    if bytes < before {
        let shrunk = |part: usize| (part as u128 * u128::from(bytes) / u128::from(before)) as usize;
        config.retained_bytes = shrunk(config.retained_bytes);
        config.leased_bytes = shrunk(config.leased_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(dir: &Path, config: &MemoryConfig) -> Result<(MemoryPlan, StateConfig), MemoryError> {
        let mut chain = ChainConfig::new(dir.join("store"));
        MemoryPlan::make(config, &ChainSpec::dev(), &mut chain).map(|plan| (plan, chain.state))
    }

    #[test]
    fn a_limit_that_is_too_small_is_refused_with_the_numbers_and_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let config = MemoryConfig {
            limit: Some(ByteSize(1 << 20)),
            ..MemoryConfig::default()
        };
        let error = plan(dir.path(), &config).unwrap_err().to_string();
        for part in [
            " needed, 1.0 MiB available by --state.memory-limit. ",
            "accounts",
            "slots",
            "undo ring",
            "process 64.0 MiB",
        ] {
            assert!(error.contains(part), "no {part:?} in {error}");
        }
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn the_undo_ring_takes_at_most_an_eighth_of_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let config = MemoryConfig {
            limit: Some(ByteSize(512 << 20)),
            ..MemoryConfig::default()
        };
        let (_, state) = plan(dir.path(), &config).unwrap();
        assert_eq!(undo_bytes(&state), 64 << 20);
        let config = MemoryConfig {
            limit: Some(ByteSize(1 << 40)),
            ..MemoryConfig::default()
        };
        let (plan, state) = plan(dir.path(), &config).unwrap();
        assert_eq!(state, StateConfig::default());
        assert_eq!(plan.marks().unwrap().soft(), ByteSize((1 << 40) / 100 * 85));
    }

    #[test]
    fn marks_that_do_not_fit_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let config = MemoryConfig {
            limit: Some(ByteSize(1 << 30)),
            soft_mark: Mark::Size(ByteSize(2 << 30)),
            ..MemoryConfig::default()
        };
        let error = plan(dir.path(), &config).unwrap_err();
        assert!(matches!(error, MemoryError::Marks(_)), "{error}");
    }
}
