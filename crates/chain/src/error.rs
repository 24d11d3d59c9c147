//! Errors of the chain, grouped by who must act.

use std::path::PathBuf;

use alloy_primitives::{Address, B256};
use rapid_consensus::{BodyError, EnvironmentError, HeaderError, OmmersError, PostExecutionError};
use rapid_history::{AppendError, HistoryError, PastError};
use rapid_log::{CheckpointError, LogError, RecoveryError};
use rapid_primitives::MiniBlockNumber;
use rapid_state::VersionGone;

/// Why the chain cannot answer or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The trie cannot go on: the state it is of is no longer retained, or the system has no memory for it.
    #[error(transparent)]
    Trie(#[from] rapid_trie::TrieError),
    /// No such block.
    #[error("block {0} not found")]
    UnknownBlock(u64),
    /// No such block.
    #[error("block {0} not found")]
    UnknownHash(B256),
    /// The state of this block is not kept.
    #[error("state of block {0} is not available")]
    StateUnavailable(u64),
    /// An account names code that neither state nor history has: the datadir is damaged.
    #[error("code {0} is missing")]
    CodeMissing(B256),
    /// What history keeps of the past does not give the state that was there: the datadir is damaged.
    #[error("state of block {number} as history has it has root {found}, its header says {expected}")]
    PastRoot {
        /// Number of the block.
        number: u64,
        /// Root in its header.
        expected: B256,
        /// Root of the state found.
        found: B256,
    },
    /// A snapshot was overrun while it was read.
    #[error(transparent)]
    VersionGone(#[from] VersionGone),
    /// The newest block can have no child under the chain's rules.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// History failed.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// History refused a block.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log failed; nothing more may be announced.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A draft does not lie on the head: another driver is at work, which cannot be.
    #[error(transparent)]
    Adopt(#[from] rapid_state::AdoptError),
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The disk is nearly full: nothing more is taken in before there is room.
    #[error("the disk is nearly full")]
    DiskNearlyFull,
    /// Memory is above the hard mark: nothing more is taken in before there is room.
    #[error("memory is nearly used up: the node is read-only")]
    MemoryNearlyFull,
    /// The thread that writes history has stopped; its error was logged.
    #[error("history writer has stopped")]
    HistoryStopped,
}

impl From<PastError> for ChainError {
    fn from(error: PastError) -> Self {
        match error {
            PastError::NotKept { number, .. } | PastError::NotStored { number, .. } => {
                Self::StateUnavailable(number)
            }
            PastError::History(error) => Self::History(error),
        }
    }
}

/// Why a datadir cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The trie cannot be built.
    #[error(transparent)]
    Trie(#[from] rapid_trie::TrieError),
    /// The system does not give the memory the state takes.
    #[error(transparent)]
    Memory(#[from] rapid_state::OutOfMemory),
    /// History cannot be opened, or belongs to another chain.
    #[error(transparent)]
    HistoryOpen(#[from] rapid_history::OpenError),
    /// History cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A block of the log does not fit history.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] rapid_log::OpenError),
    /// The log's records cannot be read.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// More was written by one block than the state keeps.
    #[error(transparent)]
    VersionGone(#[from] VersionGone),
    /// A checkpoint is damaged.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint has an account without its code.
    #[error("checkpoint lacks code {code_hash} of account {address}")]
    MissingCode {
        /// The account.
        address: Address,
        /// Keccak-256 of its code.
        code_hash: B256,
    },
    /// The state recovered is not the one the last sealed block commits to.
    #[error("recovered state root {found} of block {number} differs from the sealed header's {expected}")]
    StateRoot {
        /// Number of the block.
        number: u64,
        /// Root in the sealed header.
        expected: B256,
        /// Root of the recovered state.
        found: B256,
    },
    /// A block rebuilt from the log is not the one history has.
    #[error("block {number} of the log has hash {found}, history has {expected}")]
    BlockHash {
        /// Number of the block.
        number: u64,
        /// Hash in history.
        expected: B256,
        /// Hash of the rebuilt block.
        found: B256,
    },
    /// A record of the log does not follow the one before.
    #[error("mini-block {number} does not fit its block: {reason}")]
    Misplaced {
        /// Number of the mini-block.
        number: MiniBlockNumber,
        /// What does not fit.
        reason: &'static str,
    },
    /// A checkpoint is of a block that history does not have, or the log goes back to one and stays there.
    #[error("checkpoint or log goes on from block {number} {hash}, which history does not have")]
    UnknownBase {
        /// Number of the block.
        number: u64,
        /// Its hash.
        hash: B256,
    },
    /// History is ahead of the log: the log was lost or replaced.
    #[error(
        "history ends at block {history}, the log at block {log}: the log in {dir} is not the one of this history"
    )]
    LogBehindHistory {
        /// Newest block in history.
        history: u64,
        /// Newest block the checkpoint and the log give.
        log: u64,
        /// The log's directory.
        dir: PathBuf,
    },
    /// A thread could not be started.
    #[error("cannot start thread: {0}")]
    Thread(std::io::Error),
}

/// Why a block was not imported. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The header breaks a rule.
    #[error("block {number} has an invalid header: {error}")]
    Header {
        /// Number of the block.
        number: u64,
        /// The rule.
        error: HeaderError,
    },
    /// The body breaks a rule.
    #[error("block {number} has an invalid body: {error}")]
    Body {
        /// Number of the block.
        number: u64,
        /// The rule.
        error: BodyError,
    },
    /// The ommers break a rule.
    #[error("block {number} has invalid ommers: {error}")]
    Ommers {
        /// Number of the block.
        number: u64,
        /// The rule.
        error: OmmersError,
    },
    /// Execution does not give what the header says.
    #[error("block {number} does not give what its header says: {error}")]
    PostExecution {
        /// Number of the block.
        number: u64,
        /// What differs.
        error: PostExecutionError,
    },
    /// A transaction's signature does not recover to a sender.
    #[error("block {number}: signature of transaction {index} is invalid")]
    Signature {
        /// Number of the block.
        number: u64,
        /// Index of the transaction.
        index: usize,
    },
    /// A transaction cannot be executed.
    #[error("block {number}: transaction {index} from {sender} cannot be executed: {reason}")]
    Transaction {
        /// Number of the block.
        number: u64,
        /// Index of the transaction.
        index: usize,
        /// Its sender.
        sender: Address,
        /// The rule it breaks.
        reason: String,
    },
    /// The block as a whole cannot be executed.
    #[error("block {number} cannot be executed: {reason}")]
    Execution {
        /// Number of the block.
        number: u64,
        /// What failed.
        reason: String,
    },
    /// The block, or an ancestor of it, was found invalid before.
    #[error("block {number} descends from an invalid block, its last valid ancestor is {last_valid}")]
    InvalidAncestor {
        /// Number of the block.
        number: u64,
        /// Hash of its nearest ancestor that is valid.
        last_valid: B256,
    },
    /// The block's parent is not known.
    #[error("block {number} has parent {parent}, the head is block {head_number} {head}")]
    UnknownParent {
        /// Number of the block.
        number: u64,
        /// Its parent.
        parent: B256,
        /// Number of the head.
        head_number: u64,
        /// Hash of the head.
        head: B256,
    },
    /// The chain has an open block, which only the sequencer that opened it can close.
    #[error("block {0} is open: a sequencer has to close it before blocks can be imported")]
    OpenBlock(u64),
    /// This node failed, not the block.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl ImportError {
    /// Whether the block is invalid, whoever looks at it. Not so when its parent is unknown, or this node failed.
    #[must_use]
    pub const fn is_invalid_block(&self) -> bool {
        !matches!(
            self,
            Self::UnknownParent { .. } | Self::OpenBlock(_) | Self::Chain(_)
        )
    }

    /// Whether every block with this header is invalid. A body that does not belong to its header says nothing of the
    /// one that does.
    pub(crate) const fn condemns_header(&self) -> bool {
        self.is_invalid_block() && !matches!(self, Self::Body { .. })
    }
}
