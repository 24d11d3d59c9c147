//! Why a call fails as such, with the codes of the specification. That a block is invalid is no error but an answer.

use rapid_chain::{ChainError, ImportError};

/// Why a call of the Engine API was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    // The consensus client's request is at fault.
    /// A parameter does not fit the method.
    #[error("Invalid params")]
    InvalidParams(String),
    /// The hashes of a fork choice contradict each other.
    #[error("Invalid forkchoice state")]
    InvalidForkchoiceState,
    /// The attributes of the payload to build do not fit. The fork choice was taken.
    #[error("Invalid payload attributes")]
    InvalidPayloadAttributes(String),
    /// More was asked for than is answered at once.
    #[error("Too large request")]
    TooLargeRequest {
        /// How much was asked for.
        requested: u64,
        /// How much is answered.
        max: u64,
    },
    /// The method is not for the fork of the payload or its attributes.
    #[error("Unsupported fork")]
    UnsupportedFork,
    /// The branch leaves the canonical chain where it cannot be left any more.
    #[error("Too deep reorg")]
    TooDeepReorg,

    // The node takes no such request.
    /// The node advances the chain by itself.
    #[error("this node is a sequencer: it makes its blocks itself and follows no consensus client")]
    OtherDriver,
    /// Too many requests wait already.
    #[error("engine is busy, try again later")]
    Busy,

    // The node's own fault.
    /// Something inside failed, or the node stops.
    #[error("Server error")]
    Internal(String),
}

impl EngineError {
    /// The JSON-RPC code.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::InvalidParams(_) => -32602,
            Self::InvalidForkchoiceState => -38002,
            Self::InvalidPayloadAttributes(_) => -38003,
            Self::TooLargeRequest { .. } => -38004,
            Self::UnsupportedFork => -38005,
            Self::TooDeepReorg => -38006,
            Self::OtherDriver => -32000,
            Self::Busy => -32009,
            Self::Internal(_) => -32603,
        }
    }

    /// What the message leaves open, for the `err` field of the error's data.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::InvalidParams(detail) | Self::InvalidPayloadAttributes(detail) | Self::Internal(detail) => {
                Some(detail.clone())
            }
            Self::TooLargeRequest { requested, max } => {
                Some(format!("{requested} requested, at most {max} are answered"))
            }
            _ => None,
        }
    }

    /// A parameter does not fit the method.
    pub(crate) fn params(detail: impl Into<String>) -> Self {
        Self::InvalidParams(detail.into())
    }

    /// What was to run on the engine's thread will not.
    pub(crate) fn stopped() -> Self {
        Self::Internal("the engine has stopped".to_owned())
    }
}

impl From<ChainError> for EngineError {
    fn from(error: ChainError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<ImportError> for EngineError {
    fn from(error: ImportError) -> Self {
        Self::Internal(error.to_string())
    }
}

/// Whether a head that could not be set means that nothing may be announced any more.
pub(crate) const fn is_fatal(error: &ChainError) -> bool {
    !matches!(
        error,
        ChainError::UnknownBlock(_)
            | ChainError::UnknownHash(_)
            | ChainError::StateUnavailable(_)
            | ChainError::VersionGone(_)
            | ChainError::Environment(_)
            | ChainError::DiskNearlyFull
            | ChainError::MemoryNearlyFull
    )
}
