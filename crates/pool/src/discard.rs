//! Why the hot loop could not execute a transaction it had popped.

/// Why a dispatched transaction was not executed, and with it what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscardReason {
    /// The account's nonce is past it: it is dropped, and the sender's queue goes on at `next`.
    NonceTooLow {
        /// The account's next nonce in the state it was executed on.
        next: u64,
    },
    /// The account's nonce is not there yet: it is queued again, until the account or the queue changes.
    NonceTooHigh,
    /// The fee cap is below the base fee of the open block: it is held until the base fee falls.
    FeeCapBelowBaseFee,
    /// The balance does not cover it: it is dropped, and later nonces are queued behind the gap.
    InsufficientFunds,
    /// The gas limit is above what an empty block has: it is dropped, and later nonces are queued behind the gap.
    ExceedsBlockGasLimit,
    /// Any other rule of the protocol: it is dropped, and later nonces are queued behind the gap.
    Invalid,
}

impl DiscardReason {
    /// The value of the `reason` label of `rapid_reth_pool_dropped_total`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NonceTooLow { .. } => "nonce_too_low",
            Self::NonceTooHigh => "nonce_too_high",
            Self::FeeCapBelowBaseFee => "fee_cap_below_base_fee",
            Self::InsufficientFunds => "insufficient_funds",
            Self::ExceedsBlockGasLimit => "exceeds_block_gas_limit",
            Self::Invalid => "invalid",
        }
    }
}
