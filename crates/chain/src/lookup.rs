//! A transaction where it was included.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use rapid_history::StoredTransaction;
use rapid_primitives::{Header, Receipt, SealedBlock, SealedMiniBlock, TransactionSigned};

use crate::Included;

/// A published transaction with its receipt and its place in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionAt {
    /// The transaction.
    pub transaction: TransactionSigned,
    /// Its sender.
    pub sender: Address,
    /// Its receipt.
    pub receipt: Receipt,
    /// Its index in the EVM block.
    pub index: u64,
    /// Index of its first log in the EVM block.
    pub first_log_index: u64,
    /// Gas it used.
    pub gas_used: u64,
    /// Number of its EVM block.
    pub block_number: u64,
    /// Hash of its EVM block; zero as long as that is not sealed.
    pub block_hash: B256,
    /// Timestamp of its EVM block in seconds.
    pub timestamp: u64,
    /// Base fee of its EVM block in wei; `None` before London.
    pub base_fee_per_gas: Option<u64>,
    /// Excess blob gas of its EVM block; `None` before Cancun.
    pub excess_blob_gas: Option<u64>,
}

impl TransactionAt {
    /// A transaction of a mini-block. The block's hash is the caller's to fill in once it is known.
    ///
    /// # Panics
    /// If the mini-block does not have a transaction of that index.
    #[must_use]
    pub fn in_mini_block(included: &Included) -> Self {
        let Included { mini_block, index } = included;
        let (header, body) = (mini_block.header(), mini_block.body());
        let before = &body.receipts[..*index];
        let gas_before = before
            .last()
            .map_or(header.position.gas_used, |receipt| receipt.cumulative_gas_used);
        let receipt = body.receipts[*index].clone();
        Self {
            transaction: body.transactions[*index].clone(),
            sender: body.senders[*index],
            index: header.position.transaction_index + *index as u64,
            first_log_index: header.position.log_index + log_count(before),
            gas_used: receipt.cumulative_gas_used - gas_before,
            receipt,
            block_number: header.environment.number,
            block_hash: B256::ZERO,
            timestamp: header.environment.timestamp,
            base_fee_per_gas: header.environment.base_fee_per_gas,
            excess_blob_gas: header.environment.excess_blob_gas,
        }
    }

    /// A transaction of a sealed block; `None` if the block does not have that many.
    #[must_use]
    pub fn in_block(block: &SealedBlock, index: usize) -> Option<Self> {
        let transaction = block.body.transactions.get(index)?.clone();
        let before = &block.receipts[..index];
        let receipt = block.receipts[index].clone();
        Some(Self {
            transaction,
            sender: block.senders[index],
            index: index as u64,
            first_log_index: log_count(before),
            gas_used: receipt.cumulative_gas_used
                - before.last().map_or(0, |receipt| receipt.cumulative_gas_used),
            receipt,
            block_number: block.number(),
            block_hash: block.hash,
            timestamp: block.header.timestamp,
            base_fee_per_gas: block.header.base_fee_per_gas,
            excess_blob_gas: block.header.excess_blob_gas,
        })
    }

    pub(crate) fn stored(stored: StoredTransaction, header: &Header) -> Self {
        Self {
            transaction: stored.transaction,
            sender: stored.sender,
            receipt: stored.receipt,
            index: stored.index,
            first_log_index: stored.first_log_index,
            gas_used: stored.gas_used,
            block_number: stored.block_number,
            block_hash: stored.block_hash,
            timestamp: header.timestamp,
            base_fee_per_gas: header.base_fee_per_gas,
            excess_blob_gas: header.excess_blob_gas,
        }
    }
}

fn log_count(receipts: &[Receipt]) -> u64 {
    receipts.iter().map(|receipt| receipt.logs.len() as u64).sum()
}

/// The transaction of an unsealed block by its index.
pub(crate) fn find_in_mini_blocks(mini_blocks: &[Arc<SealedMiniBlock>], index: u64) -> Option<Included> {
    let at = mini_blocks.partition_point(|mini_block| mini_block.position_after().transaction_index <= index);
    let mini_block = mini_blocks.get(at)?;
    let index = usize::try_from(index - mini_block.header().position.transaction_index).ok()?;
    Some(Included {
        mini_block: Arc::clone(mini_block),
        index,
    })
}
