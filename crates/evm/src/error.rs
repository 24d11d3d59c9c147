//! Why execution stopped, grouped by who must act.

use alloy_primitives::{Address, Bytes};
use revm::context_interface::result::{HaltReason, InvalidHeader, InvalidTransaction};

use crate::DepositLogError;

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
    /// The transaction touches more addresses and slots than the block's access list has room for any more (EIP-7928). The
    /// next block may take it.
    #[error(
        "transaction touches {accesses} more addresses and slots, and the block may touch {available} more"
    )]
    AccessesExhausted {
        /// What it touches that the block did not touch before.
        accesses: u64,
        /// What the block may still touch.
        available: u64,
    },
    /// The transaction reads the hash of the parent block, which is not known yet. Try again once it is.
    #[error("the hash of parent block {0} is not known yet")]
    ParentHashPending(u64),
    /// The transaction looks at the beneficiary while fees are withheld from it. It has to run alone.
    #[error("the balance of the beneficiary is not settled")]
    BeneficiaryRead,
    /// The block is invalid: a system call, a request or a deposit log breaks the fork's rules.
    #[error("invalid block: {0}")]
    InvalidBlock(InvalidBlock),
    /// The state cannot be read or written. The process must act.
    #[error("state failed during execution: {0}")]
    State(E),
    /// The EVM failed in a way no block can cause. The process must stop.
    #[error("the EVM failed: {0}")]
    Fatal(String),
}

/// Why a block is invalid, whichever transaction it was that showed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBlock {
    /// Its environment lacks what its fork requires.
    #[error(transparent)]
    Environment(InvalidHeader),
    /// A log of the deposit contract is not a deposit (EIP-6110).
    #[error(transparent)]
    DepositLog(#[from] DepositLogError),
    /// It touches more than its access list may have (EIP-7928).
    #[error("{found} addresses and slots in the access list, a block with this gas limit has at most {max}")]
    AccessListSize {
        /// Addresses and slots it touches.
        found: u64,
        /// What it may touch.
        max: u64,
    },
    /// A contract that collects requests has no code (EIP-7002, EIP-7251, EIP-8282).
    #[error("no code at request contract {contract}")]
    RequestContractMissing {
        /// Where the code must be.
        contract: Address,
    },
    /// The call that collects requests failed (EIP-7002, EIP-7251, EIP-8282).
    #[error("call of request contract {contract} must succeed, but {failure}")]
    RequestCallFailed {
        /// The contract called.
        contract: Address,
        /// How it failed.
        failure: CallFailure,
    },
}

/// How a system call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// The contract reverted.
    #[error("reverted with {0}")]
    Revert(Bytes),
    /// The EVM halted.
    #[error("halted: {0:?}")]
    Halt(HaltReason),
}

impl<E> ExecutionError<E> {
    /// The rule the transaction breaks, if the transaction is to blame.
    pub const fn invalid_transaction(&self) -> Option<&InvalidTransaction> {
        match self {
            Self::InvalidTransaction(invalid) => Some(invalid),
            _ => None,
        }
    }
}
