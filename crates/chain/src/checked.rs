//! Blocks on their way to execution: what can be done without their parents is done, on any thread, and the type says
//! how far they are.

use alloy_primitives::{Address, B256};
use rapid_chainspec::ChainSpec;
use rapid_consensus::{TransactionRules, verify_body, verify_header, verify_header_against_parent};
use rapid_primitives::{Block, Header};
use rayon::prelude::*;

use crate::ImportError;

/// Signatures one task recovers: below that, handing them to another core costs more than it saves.
const RECOVERY_BATCH_LEN: usize = 32;

/// A block whose header keeps the rules that need no parent, and whose body is the one its header names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedBlock {
    block: Block,
    hash: B256,
}

/// A [`CheckedBlock`] with the senders of its transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredBlock {
    pub(crate) block: Block,
    pub(crate) hash: B256,
    pub(crate) senders: Vec<Address>,
}

impl CheckedBlock {
    /// Checks a block by itself.
    ///
    /// # Errors
    /// [`ImportError::Header`] or [`ImportError::Body`].
    pub fn check(spec: &ChainSpec, block: Block) -> Result<Self, ImportError> {
        verify_header_alone(spec, &block.header)?;
        verify_body_alone(spec, &block)?;
        Ok(Self {
            hash: block.header.hash_slow(),
            block,
        })
    }

    /// Recovers the senders, and computes the hashes of the transactions, on all threads of the pool it is called in.
    ///
    /// # Errors
    /// [`ImportError::Signature`] with the first that is invalid.
    pub fn recover(self, spec: &ChainSpec) -> Result<RecoveredBlock, ImportError> {
        let senders = recover_senders(spec, &self.block)?;
        Ok(RecoveredBlock {
            block: self.block,
            hash: self.hash,
            senders,
        })
    }

    /// Number of transactions.
    #[must_use]
    pub const fn transaction_count(&self) -> usize {
        self.block.body.transactions.len()
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.block.header
    }
}

impl RecoveredBlock {
    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.block.header
    }

    /// Hash of the header.
    #[must_use]
    pub const fn hash(&self) -> B256 {
        self.hash
    }

    /// Senders of the transactions, in order.
    #[must_use]
    pub fn senders(&self) -> &[Address] {
        &self.senders
    }
}

/// Checks the rules of a header that need nothing else.
pub(crate) fn verify_header_alone(spec: &ChainSpec, header: &Header) -> Result<(), ImportError> {
    let number = header.number;
    verify_header(spec, header).map_err(|error| ImportError::Header { number, error })
}

/// Checks a header under that of its parent.
pub(crate) fn verify_header_on_parent(
    spec: &ChainSpec,
    header: &Header,
    parent: &Header,
) -> Result<(), ImportError> {
    let number = header.number;
    verify_header_against_parent(spec, header, parent, header.parent_hash)
        .map_err(|error| ImportError::Header { number, error })
}

/// Checks a body under its header.
pub(crate) fn verify_body_alone(spec: &ChainSpec, block: &Block) -> Result<(), ImportError> {
    let number = block.header.number;
    verify_body(spec, &block.header, &block.body).map_err(|error| ImportError::Body { number, error })
}

/// Recovers all senders, on all cores. Everybody asks for the transactions' hashes later, so they are computed here too.
///
/// # Errors
/// [`ImportError::Signature`] with the first that is invalid.
pub fn recover_senders(spec: &ChainSpec, block: &Block) -> Result<Vec<Address>, ImportError> {
    let number = block.header.number;
    let rules = TransactionRules::at(spec, number, block.header.timestamp);
    block
        .body
        .transactions
        .par_iter()
        .with_min_len(RECOVERY_BATCH_LEN)
        .enumerate()
        .map(|(index, transaction)| {
            transaction.tx_hash();
            rules
                .recover_sender(transaction)
                .map_err(|_| ImportError::Signature { number, index })
        })
        .collect()
}
