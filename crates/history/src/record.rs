//! What goes in and comes out.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use rapid_primitives::{
    Block, BlockBody, CodeChange, Header, MiniBlockNumber, Receipt, SealedBlock, TransactionSigned,
};

use crate::BlockReverts;

/// A block to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRecord {
    /// The block.
    pub block: Arc<SealedBlock>,
    /// The mini-block that closed it; 0 for genesis and for blocks that came without mini-blocks before any did.
    pub last_mini_block: MiniBlockNumber,
    /// What the block changed; empty for genesis, before which there is no state.
    pub reverts: Arc<BlockReverts>,
    /// Code that the block deployed; for genesis, all there is. It is kept for good, also if changes are not recorded: a
    /// contract that is destroyed later takes its code out of the live state.
    pub codes: Vec<CodeChange>,
}

/// A block without its receipts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// Hash of the header.
    pub hash: B256,
    /// The header.
    pub header: Header,
    /// Transactions, ommers, withdrawals.
    pub body: BlockBody,
    /// Sender of each transaction.
    pub senders: Vec<Address>,
}

impl StoredBlock {
    /// The block in its network form.
    #[must_use]
    pub fn into_block(self) -> Block {
        Block {
            header: self.header,
            body: self.body,
        }
    }
}

/// A receipt with what otherwise takes the receipts before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReceipt {
    /// The receipt.
    pub receipt: Receipt,
    /// Gas used by this transaction alone.
    pub gas_used: u64,
    /// Index of its first log in the block.
    pub first_log_index: u64,
}

/// A transaction with all that is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTransaction {
    /// Number of its block.
    pub block_number: u64,
    /// Hash of its block.
    pub block_hash: B256,
    /// Position in its block.
    pub index: u64,
    /// The transaction.
    pub transaction: TransactionSigned,
    /// Its sender.
    pub sender: Address,
    /// Its receipt.
    pub receipt: Receipt,
    /// Gas used by this transaction alone.
    pub gas_used: u64,
    /// Index of its first log in the block.
    pub first_log_index: u64,
}

/// Number and hash of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId {
    /// Number.
    pub number: u64,
    /// Hash.
    pub hash: B256,
}
