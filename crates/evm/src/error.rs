//! Why execution stopped, grouped by who must act.

use revm::context_interface::result::InvalidTransaction;

/// Why a transaction or a block could not be executed.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionError<E> {
    /// The transaction breaks a rule and can never be part of this block. Its sender must act.
    #[error("invalid transaction: {0}")]
    InvalidTransaction(InvalidTransaction),
    /// The transaction's gas limit is above what is left of the block's gas. The next block may take it.
    #[error("transaction gas limit {gas_limit} exceeds the {available} gas left in the block")]
    BlockGasExhausted {
        /// Gas limit of the transaction (at most the EIP-7825 cap).
        gas_limit: u64,
        /// Gas left in the block.
        available: u64,
    },
    /// The transaction's blobs do not fit the block's blob gas any more. The next block may take it.
    #[error("transaction blob gas {blob_gas} exceeds the {available} blob gas left in the block")]
    BlobGasExhausted {
        /// Blob gas of the transaction.
        blob_gas: u64,
        /// Blob gas left in the block.
        available: u64,
    },
    /// The transaction reads the hash of the parent block, which is not known yet. Try again once it is.
    #[error("the hash of parent block {0} is not known yet")]
    ParentHashPending(u64),
    /// The block is invalid: a system call, a request or a deposit log breaks the fork's rules.
    #[error("invalid block: {0}")]
    InvalidBlock(String),
    /// The state cannot be read or written. The process must act.
    #[error("state failed during execution: {0}")]
    State(E),
    /// The EVM failed in a way no block can cause. The process must stop.
    #[error("the EVM failed: {0}")]
    Fatal(String),
}
