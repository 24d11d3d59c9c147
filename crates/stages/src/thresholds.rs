//! After how much work a stage hands control back.

use std::time::Duration;

use crate::chunk::CHUNK_TRANSACTIONS;

/// Thresholds of all stages; the defaults are reth's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Those of execution.
    pub execution: ExecutionThresholds,
    /// Transactions whose senders are recovered in one go at most.
    pub sender_recovery: u64,
}

/// When a batch of executed blocks ends and its checkpoints are written; `None` for no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutionThresholds {
    /// Blocks.
    pub max_blocks: Option<u64>,
    /// Changed accounts, each counted once per block.
    pub max_changes: Option<u64>,
    /// Gas.
    pub max_cumulative_gas: Option<u64>,
    /// Time.
    pub max_duration: Option<Duration>,
}

/// What a batch has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchWork {
    /// Blocks.
    pub blocks: u64,
    /// Changed accounts.
    pub changes: u64,
    /// Gas.
    pub gas: u64,
    /// Time since the batch began.
    pub elapsed: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            execution: ExecutionThresholds::default(),
            sender_recovery: 5_000_000,
        }
    }
}

impl Thresholds {
    /// Transactions of one chunk of blocks at most; a block is never divided.
    pub(crate) fn chunk_transactions(&self) -> usize {
        let threshold = usize::try_from(self.sender_recovery).unwrap_or(usize::MAX);
        threshold.clamp(1, CHUNK_TRANSACTIONS)
    }
}

impl Default for ExecutionThresholds {
    fn default() -> Self {
        Self {
            max_blocks: Some(500_000),
            max_changes: Some(5_000_000),
            max_cumulative_gas: Some(1_500_000_000_000),
            max_duration: Some(Duration::from_secs(600)),
        }
    }
}

impl ExecutionThresholds {
    /// Whether the batch has done enough.
    #[must_use]
    pub fn is_end_of_batch(&self, work: &BatchWork) -> bool {
        fn reached<T: PartialOrd>(bound: Option<T>, value: T) -> bool {
            bound.is_some_and(|bound| value >= bound)
        }
        reached(self.max_blocks, work.blocks)
            || reached(self.max_changes, work.changes)
            || reached(self.max_cumulative_gas, work.gas)
            || reached(self.max_duration, work.elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_threshold_ends_a_batch() {
        let thresholds = ExecutionThresholds {
            max_blocks: Some(3),
            max_changes: Some(10),
            max_cumulative_gas: Some(100),
            max_duration: Some(Duration::from_secs(1)),
        };
        let work = BatchWork {
            blocks: 2,
            changes: 9,
            gas: 99,
            elapsed: Duration::from_millis(999),
        };
        assert!(!thresholds.is_end_of_batch(&work));
        for full in [
            BatchWork { blocks: 3, ..work },
            BatchWork { changes: 10, ..work },
            BatchWork { gas: 100, ..work },
            BatchWork {
                elapsed: Duration::from_secs(1),
                ..work
            },
        ] {
            assert!(thresholds.is_end_of_batch(&full), "{full:?}");
        }
        let unbounded = ExecutionThresholds {
            max_blocks: None,
            max_changes: None,
            max_cumulative_gas: None,
            max_duration: None,
        };
        assert!(!unbounded.is_end_of_batch(&BatchWork {
            blocks: u64::MAX,
            ..work
        }));
    }
}
