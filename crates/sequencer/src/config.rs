//! How blocks and mini-blocks are paced.

use std::time::Duration;

use alloy_primitives::{Address, Bytes};
use rapid_executor::ExecutorConfig;

use crate::SequencerError;

/// Shortest mini-block interval.
pub const MIN_MINI_BLOCK_INTERVAL: Duration = Duration::from_millis(1);
/// Longest mini-block interval.
pub const MAX_MINI_BLOCK_INTERVAL: Duration = Duration::from_secs(1);
/// Longest interval that [`Pacing::Auto`] chooses.
pub const AUTO_INTERVAL_MAX: Duration = Duration::from_millis(10);

/// Settings of a [`crate::Sequencer`].
#[derive(Clone, Debug)]
pub struct SequencerConfig {
    /// Time between mini-blocks under load (default 10 ms); at first, where it moves.
    pub mini_block_interval: Duration,
    /// Whether that interval moves.
    pub pacing: Pacing,
    /// A mini-block is sealed when its transactions reach this many bytes (default 256 KiB).
    pub mini_block_bytes_max: usize,
    /// When EVM blocks are closed.
    pub block_policy: BlockPolicy,
    /// What happens when blocks come faster than seconds.
    pub timestamps: TimestampPolicy,
    /// Receiver of the priority fees.
    pub beneficiary: Address,
    /// Extra data of the headers, at most 32 bytes.
    pub extra_data: Bytes,
    /// The gas limit that blocks move towards; `None` keeps that of the head.
    pub gas_limit_target: Option<u64>,
    /// Mini-blocks sealed before their deadline because nothing else is coming, per second (default 1,000).
    pub early_seals_per_second: u32,
    /// How many such seals may come at once (default 32).
    pub early_seal_burst: u32,
    /// How transactions are executed.
    pub executor: ExecutorConfig,
    /// When workers execute them, if there are any.
    pub workers_use: WorkersUse,
}

/// When a sequencer's workers execute transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkersUse {
    /// Where many wait, and as long as it is measured to be faster than one after the other.
    #[default]
    WherePays,
    /// Wherever they may: to test and to measure them.
    Always,
}

impl Default for SequencerConfig {
    fn default() -> Self {
        Self {
            mini_block_interval: Duration::from_millis(10),
            pacing: Pacing::Fixed,
            mini_block_bytes_max: 256 << 10,
            block_policy: BlockPolicy::Interval {
                interval: Duration::from_secs(1),
                empty: EmptyBlocks::Make,
            },
            timestamps: TimestampPolicy::WaitForSecond,
            beneficiary: Address::ZERO,
            extra_data: Bytes::from_static(b"rapid-reth"),
            gas_limit_target: None,
            early_seals_per_second: 1_000,
            early_seal_burst: 32,
            executor: ExecutorConfig::default(),
            workers_use: WorkersUse::default(),
        }
    }
}

impl SequencerConfig {
    pub(crate) fn check(&self) -> Result<(), SequencerError> {
        let interval = self.mini_block_interval;
        if !(MIN_MINI_BLOCK_INTERVAL..=MAX_MINI_BLOCK_INTERVAL).contains(&interval) {
            return Err(SequencerError::MiniBlockInterval(interval));
        }
        if self.extra_data.len() > rapid_consensus::MAX_EXTRA_DATA_BYTES {
            return Err(SequencerError::ExtraData(self.extra_data.len()));
        }
        match self.block_policy {
            BlockPolicy::Interval { interval, .. } if interval < self.mini_block_interval => {
                Err(SequencerError::BlockInterval(interval))
            }
            _ => Ok(()),
        }
    }
}

/// Whether the time between mini-blocks follows what sealing and committing take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pacing {
    /// It is what was configured.
    #[default]
    Fixed,
    /// It moves between [`MIN_MINI_BLOCK_INTERVAL`] and [`AUTO_INTERVAL_MAX`]: becomes half where the 99th percentiles of
    /// sealing and of committing are less than a quarter of it and queues are short, and twice where that of committing is more
    /// than half of it.
    Auto,
}

/// When an EVM block is closed. Whatever the policy, it also closes when the next transaction does not fit its gas, its
/// blob gas or its size (EIP-7934).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockPolicy {
    /// As soon as there is nothing to execute and nothing on its way; never empty. What `--dev` alone does.
    WhenIdle,
    /// After so many transactions; never empty.
    AfterTransactions(u64),
    /// At fixed intervals, aligned with the wall clock.
    Interval {
        /// Time between closes.
        interval: Duration,
        /// What happens in an interval without transactions.
        empty: EmptyBlocks,
    },
}

/// Whether an interval without transactions makes a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptyBlocks {
    /// It does: tools count confirmations.
    Make,
    /// It does not.
    Skip,
}

/// Timestamps are whole seconds and strictly increase. This says what happens when a block is due in the second of its
/// parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampPolicy {
    /// The block opens at once and its timestamp runs ahead of the clock, as in reth's `--dev`.
    RunAhead,
    /// The block opens when the clock reaches the next second.
    WaitForSecond,
}
