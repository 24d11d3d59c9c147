//! Blocks, transactions and receipts: alloy's types under the names reth gives them.

use alloy_consensus::{EthereumReceipt, EthereumTxEnvelope, TxEip4844};
use alloy_primitives::{B256, keccak256};

pub use alloy_consensus::{Header, transaction::Recovered};

/// A signed transaction in its canonical form (a blob transaction carries no sidecar).
pub type TransactionSigned = EthereumTxEnvelope<TxEip4844>;

/// A receipt without its bloom, which is derived from the logs.
pub type Receipt = EthereumReceipt;

/// A whole Ethereum block.
pub type Block = alloy_consensus::Block<TransactionSigned>;

/// Transactions, ommers and withdrawals of a block.
pub type BlockBody = alloy_consensus::BlockBody<TransactionSigned>;

/// A block whose hash is known and whose senders are recovered: what the chain, history and RPC pass around.
///
/// `senders` and `receipts` have one entry per transaction, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBlock {
    /// Keccak-256 of the RLP of the header.
    pub hash: B256,
    /// The header.
    pub header: Header,
    /// Transactions, ommers, withdrawals.
    pub body: BlockBody,
    /// Sender of each transaction.
    pub senders: Vec<alloy_primitives::Address>,
    /// Receipt of each transaction.
    pub receipts: Vec<Receipt>,
}

impl SealedBlock {
    /// Seals a block: computes the header's hash.
    ///
    /// # Panics
    /// If `senders` or `receipts` do not have one entry per transaction.
    #[must_use]
    pub fn seal(block: Block, senders: Vec<alloy_primitives::Address>, receipts: Vec<Receipt>) -> Self {
        assert_eq!(
            block.body.transactions.len(),
            senders.len(),
            "one sender per transaction"
        );
        assert_eq!(
            block.body.transactions.len(),
            receipts.len(),
            "one receipt per transaction"
        );
        let hash = keccak256(alloy_rlp::encode(&block.header));
        Self {
            hash,
            header: block.header,
            body: block.body,
            senders,
            receipts,
        }
    }

    /// Block number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.header.number
    }

    /// The block in its network form.
    #[must_use]
    pub fn to_block(&self) -> Block {
        Block {
            header: self.header.clone(),
            body: self.body.clone(),
        }
    }
}
