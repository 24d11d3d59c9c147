//! Why a transaction is refused, with the message and JSON-RPC code reth's clients know.

use alloy_primitives::U256;

/// JSON-RPC code of malformed or undecodable parameters.
const INVALID_PARAMS: i32 = -32602;
/// JSON-RPC code of reth's "invalid input" group.
const INVALID_INPUT: i32 = -32000;
/// JSON-RPC code of reth's "transaction rejected" group.
const REJECTED: i32 = -32003;
/// JSON-RPC code of a fault of the node itself.
const INTERNAL: i32 = -32603;

/// Why a transaction did not enter the pool.
///
/// The display text is what a client is told; [`PoolError::code`] is the JSON-RPC code that goes with it. All but
/// the last group are the sender's to fix; those that name no room are worth another attempt. Those of short memory have
/// the code of a full pool, which is the nearest reth has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    // The bytes are no transaction of this chain.
    /// No bytes at all.
    #[error("empty transaction data")]
    Empty,
    /// Not a canonical EIP-2718 encoding, or bytes follow it.
    #[error("failed to decode signed transaction")]
    Undecodable,
    /// The signature recovers to nobody, or its `s` is in the upper half (EIP-2).
    #[error("invalid transaction signature")]
    InvalidSignature,
    /// Encoded larger than the limit.
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized {
        /// Encoded length in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Signed for another chain.
    #[error("invalid chain ID")]
    InvalidChainId,
    /// The type is unknown, not active in this fork, or a blob transaction, which this pool does not take.
    #[error("transaction type not supported")]
    TypeNotSupported,

    // The transaction can never be included as it is.
    /// EIP-2681: the account could not send another one.
    #[error("nonce has max value")]
    NonceMax,
    /// EIP-3860.
    #[error("max initcode size exceeded")]
    InitcodeTooLarge,
    /// The gas limit is above the block's.
    #[error("exceeds block gas limit")]
    ExceedsBlockGasLimit,
    /// The gas limit is above the cap the operator set.
    #[error("max transaction gas limit exceeded")]
    ExceedsTransactionGasLimit,
    /// EIP-7825: the gas limit is above the protocol's cap for one transaction.
    #[error("gas limit too high")]
    GasLimitTooHigh,
    /// The gas limit does not pay for the intrinsic gas or the calldata floor (EIP-7623).
    #[error("intrinsic gas too low")]
    IntrinsicGasTooLow,
    /// EIP-1559: the tip cap is above the fee cap.
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveFeeCap,
    /// EIP-7702: a type 4 transaction without authorisations.
    #[error("no items in authorization list for EIP7702 transaction")]
    AuthorizationListEmpty,
    /// EIP-3607: the sender has code that is not a delegation.
    #[error("sender is not an EOA")]
    SenderNotEoa,

    // The sender's account or the pool's rules do not allow it now.
    /// The nonce was used.
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow {
        /// The next nonce of the account.
        next: u64,
        /// The transaction's.
        nonce: u64,
    },
    /// The balance does not cover the transaction's maximum cost.
    #[error("insufficient funds for gas * price + value: have {balance} want {cost}")]
    InsufficientFunds {
        /// What it may cost at most, in wei.
        cost: U256,
        /// What the account has, in wei.
        balance: U256,
    },
    /// The fee cap is below the least base fee the protocol can have.
    #[error("transaction underpriced")]
    Underpriced,
    /// The tip is below the operator's minimum.
    #[error("transaction priority fee below minimum required priority fee {minimum}")]
    TipBelowMinimum {
        /// The minimum in wei per gas.
        minimum: u128,
    },
    /// A local transaction offers more in fees than the operator allows.
    #[error("tx fee ({fee} wei) exceeds the configured cap ({cap} wei)")]
    ExceedsFeeCap {
        /// The most it may pay in fees, in wei.
        fee: U256,
        /// The cap in wei.
        cap: u128,
    },
    /// The same transaction is in the pool.
    #[error("already known")]
    AlreadyKnown,
    /// It does not outbid the pooled transaction with its nonce by the price bump.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// A delegated account leaves a nonce gap.
    #[error("gapped-nonce tx from delegated accounts")]
    DelegatedNonceGap,
    /// A delegated account has its allowance of transactions in the pool.
    #[error("in-flight transaction limit reached for delegated accounts")]
    DelegatedInFlightLimit,
    /// An authority of a type 4 transaction has transactions in the pool.
    #[error("authority already reserved")]
    AuthorityReserved,

    // No room.
    /// The lane, sub-pool or sender is at its limit.
    #[error("txpool is full")]
    Full(Limit),
    /// Memory is above the soft mark: creations and the `Bulk` lane wait.
    #[error("memory is low: contract creations and bulk transactions are not accepted for now")]
    MemoryLow,
    /// Memory is above the hard mark: nothing is taken in.
    #[error("node is read-only: its memory is nearly used up")]
    ReadOnly,
    /// The recovery queue is at its limit.
    #[error("server is busy: signature recovery queue is full")]
    Busy,

    // The node's own fault.
    /// The state could not be read.
    #[error("state is unavailable: {0}")]
    StateUnavailable(String),
    /// A recovery worker died.
    #[error("signature recovery failed")]
    RecoveryLost,
}

/// The limit that left no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Transactions or bytes of a lane.
    Lane,
    /// Transactions or bytes waiting for a lower base fee.
    BaseFee,
    /// Transactions or bytes waiting for a nonce or for balance.
    Queued,
    /// Transactions of one sender.
    Sender,
}

impl PoolError {
    /// The JSON-RPC error code of reth for this refusal.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::Empty | Self::Undecodable | Self::InvalidSignature => INVALID_PARAMS,
            Self::Oversized { .. }
            | Self::InvalidChainId
            | Self::ExceedsBlockGasLimit
            | Self::ExceedsTransactionGasLimit
            | Self::IntrinsicGasTooLow
            | Self::NonceTooLow { .. }
            | Self::Underpriced
            | Self::TipBelowMinimum { .. }
            | Self::ExceedsFeeCap { .. }
            | Self::AlreadyKnown
            | Self::ReplacementUnderpriced
            | Self::AuthorizationListEmpty
            | Self::DelegatedNonceGap
            | Self::DelegatedInFlightLimit
            | Self::AuthorityReserved
            | Self::Busy => INVALID_INPUT,
            Self::TypeNotSupported
            | Self::NonceMax
            | Self::InitcodeTooLarge
            | Self::GasLimitTooHigh
            | Self::TipAboveFeeCap
            | Self::SenderNotEoa
            | Self::InsufficientFunds { .. }
            | Self::Full(_)
            | Self::MemoryLow
            | Self::ReadOnly => REJECTED,
            Self::StateUnavailable(_) | Self::RecoveryLost => INTERNAL,
        }
    }

    /// Whether the transaction was malformed rather than untimely: it can never enter this pool as it is.
    #[must_use]
    pub const fn is_malformed(&self) -> bool {
        matches!(
            self,
            Self::Empty
                | Self::Undecodable
                | Self::InvalidSignature
                | Self::Oversized { .. }
                | Self::InvalidChainId
                | Self::TypeNotSupported
                | Self::NonceMax
                | Self::InitcodeTooLarge
                | Self::GasLimitTooHigh
                | Self::IntrinsicGasTooLow
                | Self::TipAboveFeeCap
                | Self::AuthorizationListEmpty
        )
    }

    /// The value of the `reason` label of `rapid_reth_pool_rejected_total`.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Undecodable => "undecodable",
            Self::InvalidSignature => "invalid_signature",
            Self::Oversized { .. } => "oversized",
            Self::InvalidChainId => "invalid_chain_id",
            Self::TypeNotSupported => "type_not_supported",
            Self::NonceMax => "nonce_max",
            Self::InitcodeTooLarge => "initcode_too_large",
            Self::ExceedsBlockGasLimit => "exceeds_block_gas_limit",
            Self::ExceedsTransactionGasLimit => "exceeds_transaction_gas_limit",
            Self::GasLimitTooHigh => "gas_limit_too_high",
            Self::IntrinsicGasTooLow => "intrinsic_gas_too_low",
            Self::TipAboveFeeCap => "tip_above_fee_cap",
            Self::AuthorizationListEmpty => "authorization_list_empty",
            Self::SenderNotEoa => "sender_not_eoa",
            Self::NonceTooLow { .. } => "nonce_too_low",
            Self::InsufficientFunds { .. } => "insufficient_funds",
            Self::Underpriced => "underpriced",
            Self::TipBelowMinimum { .. } => "tip_below_minimum",
            Self::ExceedsFeeCap { .. } => "exceeds_fee_cap",
            Self::AlreadyKnown => "already_known",
            Self::ReplacementUnderpriced => "replacement_underpriced",
            Self::DelegatedNonceGap => "delegated_nonce_gap",
            Self::DelegatedInFlightLimit => "delegated_in_flight_limit",
            Self::AuthorityReserved => "authority_reserved",
            Self::Full(Limit::Lane) => "lane_full",
            Self::Full(Limit::BaseFee) => "base_fee_pool_full",
            Self::Full(Limit::Queued) => "queued_pool_full",
            Self::Full(Limit::Sender) => "sender_full",
            Self::MemoryLow => "memory_low",
            Self::ReadOnly => "read_only",
            Self::Busy => "busy",
            Self::StateUnavailable(_) => "state_unavailable",
            Self::RecoveryLost => "recovery_lost",
        }
    }
}
