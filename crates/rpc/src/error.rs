//! What can go wrong in a call, and the JSON-RPC code a client of reth expects for it.

use alloy_primitives::{B256, Bytes};
use jsonrpsee::types::{ErrorObjectOwned, error::INVALID_PARAMS_CODE};
use rapid_engine::EngineError;
use rapid_pool::PoolError;
use revm::context::result::HaltReason;

/// Generic server error; transactions that do not fit the state, and what else has no code of its own.
const SERVER_ERROR: i32 = -32000;
/// Block, header or transaction not found.
const NOT_FOUND: i32 = -32001;
/// Transaction rejected.
const REJECTED: i32 = -32003;
/// Internal error.
const INTERNAL: i32 = -32603;
/// Limit of concurrent calls reached.
const BUSY: i32 = -32009;
/// Execution took too long.
const TIMEOUT: i32 = -32016;
/// History is pruned.
const PRUNED: i32 = 4444;
/// Execution reverted.
const REVERTED: i32 = 3;
/// EIP-7966: not executed in time, but in the pool.
const SYNC_TIMEOUT: i32 = 4;
/// EIP-7966: cannot run now.
const SYNC_NOT_READY: i32 = 5;
/// EIP-7966: a nonce is missing before it.
const SYNC_NONCE_GAP: i32 = 6;

/// Result of a call.
pub type RpcResult<T> = Result<T, RpcError>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    // The caller's request cannot be answered as it is.
    /// A parameter is out of range or contradicts another.
    #[error("{0}")]
    InvalidParams(String),
    /// No such block.
    #[error("block not found: {0}")]
    BlockNotFound(String),
    /// The block is known, its state or its receipts are no longer kept.
    #[error("{0}")]
    Pruned(String),
    /// The pool refused the transaction.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// A transaction or call that does not fit the state it runs on.
    #[error("{0}")]
    InvalidInput(String),
    /// A transaction or call that is refused whatever the state.
    #[error("{0}")]
    Rejected(String),
    /// There is no key for the account.
    #[error("unknown account")]
    UnknownAccount,

    /// The Engine API refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),

    // The code that was run failed.
    /// It reverted.
    #[error("{}", revert_message(.0))]
    Reverted(Bytes),
    /// It stopped without a result.
    #[error("{}", halt_message(.0))]
    Halted(HaltReason),

    // Later may be better.
    /// Too many expensive calls wait already.
    #[error("server is busy, try again later")]
    Busy,
    /// The call ran out of its time.
    #[error("execution aborted (timeout = {0:?})")]
    Timeout(std::time::Duration),
    /// The transaction is in the pool but was not executed in time.
    #[error("transaction {hash} was added to the pool but not executed within {timeout:?}")]
    SyncTimeout {
        /// The transaction.
        hash: B256,
        /// How long was waited.
        timeout: std::time::Duration,
    },
    /// A realtime transaction was not executed in time.
    #[error("realtime transaction expired")]
    RealtimeExpired,
    /// The transaction is in the pool but cannot run yet.
    #[error("transaction {hash} is not ready: {reason}")]
    SyncNotReady {
        /// The transaction.
        hash: B256,
        /// Why.
        reason: String,
    },
    /// The transaction needs another one before it.
    #[error("nonce gap: expected nonce {expected}")]
    SyncNonceGap {
        /// The nonce that comes next.
        expected: u64,
    },

    // The node's own fault.
    /// Something inside failed.
    #[error("{0}")]
    Internal(String),
}

impl RpcError {
    /// A parameter that is out of range or contradicts another.
    pub(crate) fn invalid_params(message: impl Into<String>) -> Self {
        Self::InvalidParams(message.into())
    }

    /// Something inside failed.
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }

    /// The JSON-RPC code.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::InvalidParams(_) => INVALID_PARAMS_CODE,
            Self::BlockNotFound(_) => NOT_FOUND,
            Self::Pruned(_) => PRUNED,
            Self::Pool(error) => error.code(),
            Self::Engine(error) => error.code(),
            Self::InvalidInput(_) | Self::UnknownAccount | Self::RealtimeExpired => SERVER_ERROR,
            Self::Rejected(_) | Self::Halted(HaltReason::OutOfGas(_)) => REJECTED,
            Self::Reverted(_) => REVERTED,
            Self::Halted(_) => SERVER_ERROR,
            Self::Busy => BUSY,
            Self::Timeout(_) => TIMEOUT,
            Self::SyncTimeout { .. } => SYNC_TIMEOUT,
            Self::SyncNotReady { .. } => SYNC_NOT_READY,
            Self::SyncNonceGap { .. } => SYNC_NONCE_GAP,
            Self::Internal(_) => INTERNAL,
        }
    }
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        let (code, message) = (error.code(), error.to_string());
        match error {
            RpcError::Reverted(output) => Self::owned(code, message, Some(output)),
            RpcError::SyncTimeout { hash, .. } | RpcError::SyncNotReady { hash, .. } => {
                Self::owned(code, message, Some(hash))
            }
            RpcError::Engine(error) => {
                let data = error.detail().map(|detail| serde_json::json!({ "err": detail }));
                Self::owned(code, message, data)
            }
            RpcError::SyncNonceGap { expected } => Self::owned(code, message, Some(format!("{expected:#x}"))),
            RpcError::Internal(_) => {
                tracing::debug!(%message, "call failed inside");
                Self::owned(code, message, None::<()>)
            }
            _ => Self::owned(code, message, None::<()>),
        }
    }
}

/// `execution reverted`, with the reason if the output carries one (`Error(string)`, `Panic(uint256)`, plain text).
fn revert_message(output: &Bytes) -> String {
    match alloy_sol_types::decode_revert_reason(output).filter(|reason| !reason.is_empty()) {
        Some(reason) => {
            let reason = reason.strip_prefix("revert: ").unwrap_or(&reason);
            format!("execution reverted: {reason}")
        }
        None => "execution reverted".to_owned(),
    }
}

fn halt_message(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(_) => "out of gas".to_owned(),
        reason => format!("EVM error: {reason:?}"),
    }
}

#[cfg(test)]
mod tests {
    use alloy_sol_types::{Revert, SolError};

    use super::*;

    #[test]
    fn a_revert_carries_its_reason_and_its_output() {
        let output = Bytes::from(Revert::from("not enough").abi_encode());
        let error = ErrorObjectOwned::from(RpcError::Reverted(output.clone()));
        assert_eq!(error.code(), 3);
        assert_eq!(error.message(), "execution reverted: not enough");
        assert_eq!(
            error.data().unwrap().get(),
            serde_json::to_string(&output).unwrap()
        );
        let silent = ErrorObjectOwned::from(RpcError::Reverted(Bytes::new()));
        assert_eq!(
            (silent.message(), silent.data().unwrap().get()),
            ("execution reverted", "\"0x\"")
        );
    }

    #[test]
    fn sync_errors_carry_what_the_caller_needs_next() {
        let hash = B256::repeat_byte(7);
        let timeout = ErrorObjectOwned::from(RpcError::SyncTimeout {
            hash,
            timeout: std::time::Duration::from_secs(2),
        });
        assert_eq!(
            (timeout.code(), timeout.data().unwrap().get()),
            (4, format!("\"{hash}\"").as_str())
        );
        assert!(timeout.message().contains(&hash.to_string()));
        let gap = ErrorObjectOwned::from(RpcError::SyncNonceGap { expected: 16 });
        assert_eq!((gap.code(), gap.data().unwrap().get()), (6, "\"0x10\""));
    }

    #[test]
    fn the_engines_errors_say_more_in_their_data() {
        let error = ErrorObjectOwned::from(RpcError::from(EngineError::InvalidParams(
            "no withdrawals".into(),
        )));
        assert_eq!((error.code(), error.message()), (-32602, "Invalid params"));
        assert_eq!(error.data().unwrap().get(), r#"{"err":"no withdrawals"}"#);
        let bare = ErrorObjectOwned::from(RpcError::from(EngineError::UnsupportedFork));
        assert_eq!((bare.code(), bare.message()), (-38005, "Unsupported fork"));
        assert!(bare.data().is_none());
    }

    #[test]
    fn pool_refusals_keep_their_codes() {
        for (error, code) in [
            (PoolError::Undecodable, -32602),
            (PoolError::AlreadyKnown, -32000),
            (PoolError::NonceTooLow { next: 1, nonce: 0 }, -32000),
        ] {
            assert_eq!(ErrorObjectOwned::from(RpcError::from(error)).code(), code);
        }
    }
}
