//! Why a sequencer does not start, or stops.

use std::{sync::Arc, time::Duration};

use rapid_chain::ChainError;
use rapid_consensus::EnvironmentError;

/// Why a sequencer does not start, or stops. All but the first four end the process.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SequencerError {
    /// The operator chose an interval outside the bounds.
    #[error("mini-block interval {0:?} is not between 1ms and 1s")]
    MiniBlockInterval(Duration),
    /// The operator chose blocks shorter than mini-blocks.
    #[error("block interval {0:?} is shorter than the mini-block interval")]
    BlockInterval(Duration),
    /// The operator chose extra data that no header can hold.
    #[error("extra data of {0} bytes is longer than the 32 a header holds")]
    ExtraData(usize),
    /// The chain is not merged: its next block would need a proof of work, ommers and, before Byzantium, receipts with
    /// state roots.
    #[error("block {0} of this chain comes before the merge: it can be imported, but not produced")]
    BeforeMerge(u64),
    /// Another sequencer takes this pool's transactions.
    #[error("the pool's ready queue is taken")]
    PoolTaken,
    /// A thread could not be started.
    #[error("cannot start thread: {0}")]
    Thread(Arc<std::io::Error>),
    /// Log, history or a checkpoint failed. Nothing more is announced.
    #[error(transparent)]
    Chain(Arc<ChainError>),
    /// The head can have no child under the chain's rules.
    #[error("no block can follow block {parent}: {error}")]
    Environment {
        /// Number of the head.
        parent: u64,
        /// The rule.
        error: EnvironmentError,
    },
    /// A block cannot be ended: a contract the fork needs is missing or fails.
    #[error("block {number} cannot be closed: {reason}")]
    Close {
        /// Number of the block.
        number: u64,
        /// What failed.
        reason: String,
    },
    /// The EVM or the state failed.
    #[error("execution failed in block {number}: {reason}")]
    Execution {
        /// Number of the block.
        number: u64,
        /// What failed.
        reason: String,
    },
    /// A thread panicked; its message is on stderr.
    #[error("thread {0} panicked")]
    Panicked(&'static str),
}

impl From<ChainError> for SequencerError {
    fn from(error: ChainError) -> Self {
        Self::Chain(Arc::new(error))
    }
}
