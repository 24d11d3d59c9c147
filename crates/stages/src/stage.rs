//! What a stage is.

use std::sync::Arc;

use alloy_primitives::B256;
use rapid_chain::{ChainError, ImportError};
use rapid_history::HistoryError;

use crate::{SourceError, StageId};

/// One kind of work on blocks, done for many of them before control goes back to the pipeline.
///
/// `P` is what the stage may touch: a [`Chain`](rapid_chain::Chain) to read for those that run ahead on threads of their
/// own, the [`Importer`](rapid_chain::Importer) for those that write.
pub trait Stage<P>: Send {
    /// The stages of reth whose work this is; their checkpoints move together.
    fn ids(&self) -> &'static [StageId];

    /// Works on the next blocks, until there is a reason to stop: the target, the end of the blocks, a threshold.
    ///
    /// # Errors
    /// [`StageError`]. What was done for the blocks before stays.
    fn execute(&mut self, provider: &mut P, input: ExecInput) -> Result<ExecOutput, StageError>;

    /// Goes back to a block.
    ///
    /// # Errors
    /// [`StageError`].
    fn unwind(&mut self, provider: &mut P, input: UnwindInput) -> Result<UnwindOutput, StageError>;
}

/// What a stage is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecInput {
    /// Last block to work on; `None` for the last there is.
    pub target: Option<u64>,
    /// Last block the stage has done.
    pub checkpoint: u64,
}

/// How far a stage got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecOutput {
    /// Last block the stage has done.
    pub checkpoint: u64,
    /// Whether there is nothing left to do up to the target.
    pub done: bool,
}

/// Where a stage has to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnwindInput {
    /// Last block the stage has done.
    pub checkpoint: u64,
    /// The last block that stays.
    pub unwind_to: u64,
    /// The invalid block that is the reason, if one is.
    pub bad_block: Option<u64>,
}

/// Where a stage went back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnwindOutput {
    /// Last block the stage has done now.
    pub checkpoint: u64,
}

/// Where a block came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub source: Arc<str>,
    /// Blocks before it in the file.
    pub index: u64,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, entry {}", self.source, self.index)
    }
}

/// Why a stage did not go on.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The blocks cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A block is invalid, or this node failed with it.
    #[error("{origin}: {error}")]
    Block {
        /// Where it came from.
        origin: Origin,
        /// Its number.
        number: u64,
        /// What is wrong.
        error: Box<ImportError>,
    },
    /// The chain has another block at this height.
    #[error("{origin}: block {number} has hash {found}, the chain has {stored}")]
    OtherBlock {
        /// Where it came from.
        origin: Origin,
        /// The height.
        number: u64,
        /// Its hash.
        found: B256,
        /// The hash of the canonical block.
        stored: B256,
    },
    /// Executed blocks could not be made canonical.
    #[error("cannot make blocks canonical: {0}")]
    Commit(Box<ImportError>),
    /// Blocks could not be taken back.
    #[error("cannot unwind: {0}")]
    Unwind(Box<ImportError>),
    /// This node failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// History failed.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A thread could not be started.
    #[error("cannot start thread: {0}")]
    Thread(std::io::Error),
    /// A stage panicked; the report of it is in the log.
    #[error("a stage panicked")]
    Panicked,
}

impl StageError {
    /// Whether the blocks are to blame, not this node.
    #[must_use]
    pub fn is_invalid_block(&self) -> bool {
        match self {
            Self::Source(error) => error.is_damage(),
            Self::Block { error, .. } => !matches!(**error, ImportError::Chain(_)),
            Self::OtherBlock { .. } => true,
            Self::Commit(_)
            | Self::Unwind(_)
            | Self::Chain(_)
            | Self::History(_)
            | Self::Thread(_)
            | Self::Panicked => false,
        }
    }

    /// A block that could not be imported.
    pub(crate) fn block(origin: Origin, number: u64, error: ImportError) -> Self {
        Self::Block {
            origin,
            number,
            error: Box::new(error),
        }
    }

    /// What is wrong with the block that could not be imported, if it is that.
    #[must_use]
    pub fn import_error(&self) -> Option<&ImportError> {
        match self {
            Self::Block { error, .. } | Self::Commit(error) | Self::Unwind(error) => Some(error),
            _ => None,
        }
    }

    /// Number of the invalid block, where it is known.
    #[must_use]
    pub const fn bad_block(&self) -> Option<u64> {
        match self {
            Self::Block { number, .. } | Self::OtherBlock { number, .. } => Some(*number),
            _ => None,
        }
    }
}
