//! From the chain's own types to what JSON-RPC answers.

use alloy_consensus::{
    ReceiptEnvelope, ReceiptWithBloom, Transaction as _, TxReceipt, transaction::TransactionInfo,
};
use alloy_primitives::{B256, Sealable, Sealed, U256};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::{
    Block, BlockTransactions, Header as RpcHeader, Log, Transaction, TransactionReceipt,
};
use rapid_chain::{OpenBlock, TransactionAt};
use rapid_chainspec::ChainSpec;
use rapid_pool::PooledTransaction;
use rapid_primitives::{Receipt, Recovered, SealedBlock, SealedMiniBlock, TransactionSigned};

/// A transaction as `eth_getTransactionByHash` answers it.
pub type RpcTransaction = Transaction<TransactionSigned>;
/// A block as `eth_getBlockByNumber` answers it.
pub type RpcBlock = Block<RpcTransaction>;

/// How much of its transactions a block answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionDetail {
    /// Their hashes.
    Hashes,
    /// All of them.
    Full,
}

impl From<bool> for TransactionDetail {
    /// The `full` parameter of the block methods.
    fn from(full: bool) -> Self {
        if full { Self::Full } else { Self::Hashes }
    }
}

/// Where a transaction, a receipt or a log lies: the fields they have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) block_hash: B256,
    pub(crate) block_number: u64,
    pub(crate) timestamp: u64,
    pub(crate) base_fee_per_gas: Option<u64>,
    pub(crate) excess_blob_gas: Option<u64>,
    pub(crate) transaction_index: u64,
    pub(crate) first_log_index: u64,
}

impl Place {
    /// Of the first transaction of a sealed block.
    pub(crate) const fn first_of_block(block: &SealedBlock) -> Self {
        Self {
            block_hash: block.hash,
            block_number: block.header.number,
            timestamp: block.header.timestamp,
            base_fee_per_gas: block.header.base_fee_per_gas,
            excess_blob_gas: block.header.excess_blob_gas,
            transaction_index: 0,
            first_log_index: 0,
        }
    }

    /// Of the first transaction of a mini-block; the hash of its block is zero, as it is not sealed.
    pub(crate) const fn first_of_mini_block(mini_block: &SealedMiniBlock) -> Self {
        let header = mini_block.header();
        Self {
            block_hash: B256::ZERO,
            block_number: header.environment.number,
            timestamp: header.environment.timestamp,
            base_fee_per_gas: header.environment.base_fee_per_gas,
            excess_blob_gas: header.environment.excess_blob_gas,
            transaction_index: header.position.transaction_index,
            first_log_index: header.position.log_index,
        }
    }

    const fn of(at: &TransactionAt) -> Self {
        Self {
            block_hash: at.block_hash,
            block_number: at.block_number,
            timestamp: at.timestamp,
            base_fee_per_gas: at.base_fee_per_gas,
            excess_blob_gas: at.excess_blob_gas,
            transaction_index: at.index,
            first_log_index: at.first_log_index,
        }
    }

    /// Of the transaction after one with this receipt.
    pub(crate) const fn after(self, receipt: &Receipt) -> Self {
        Self {
            transaction_index: self.transaction_index + 1,
            first_log_index: self.first_log_index + receipt.logs.len() as u64,
            ..self
        }
    }
}

/// A transaction at a place.
pub(crate) fn transaction(transaction: Recovered<TransactionSigned>, place: &Place) -> RpcTransaction {
    let info = TransactionInfo {
        hash: Some(*transaction.tx_hash()),
        index: Some(place.transaction_index),
        block_hash: Some(place.block_hash),
        block_number: Some(place.block_number),
        base_fee: place.base_fee_per_gas,
        block_timestamp: Some(place.timestamp),
    };
    Transaction::from_transaction(transaction, info)
}

/// An included transaction.
pub(crate) fn included_transaction(at: TransactionAt) -> RpcTransaction {
    let place = Place::of(&at);
    transaction(Recovered::new_unchecked(at.transaction, at.sender), &place)
}

/// A transaction that waits in the pool: its block fields are null.
pub(crate) fn pooled_transaction(pooled: &PooledTransaction) -> RpcTransaction {
    Transaction::from_transaction(pooled.recovered().clone(), TransactionInfo::default())
}

/// The receipt of an included transaction.
pub(crate) fn included_receipt(at: TransactionAt, spec: &ChainSpec) -> TransactionReceipt {
    let place = Place::of(&at);
    let TransactionAt {
        transaction,
        sender,
        receipt,
        gas_used,
        ..
    } = at;
    self::receipt(
        ReceiptSource {
            transaction: &transaction,
            sender,
            receipt,
            gas_used,
        },
        &place,
        spec,
    )
}

/// What a receipt answer is made of.
pub(crate) struct ReceiptSource<'a> {
    pub(crate) transaction: &'a TransactionSigned,
    pub(crate) sender: alloy_primitives::Address,
    pub(crate) receipt: Receipt,
    pub(crate) gas_used: u64,
}

/// A receipt at a place.
pub(crate) fn receipt(source: ReceiptSource<'_>, place: &Place, spec: &ChainSpec) -> TransactionReceipt {
    let ReceiptSource {
        transaction,
        sender,
        receipt,
        gas_used,
    } = source;
    let blob_gas_used = transaction.blob_gas_used();
    let blob_gas_price = blob_gas_used.and(place.excess_blob_gas).and_then(|excess| {
        spec.blob_params_at_timestamp(place.timestamp)
            .map(|params| params.calc_blob_fee(excess))
    });
    let tx_type = receipt.tx_type;
    let bloom = receipt.bloom();
    let inner = alloy_consensus::Receipt {
        status: receipt.success.into(),
        cumulative_gas_used: receipt.cumulative_gas_used,
        logs: receipt
            .logs
            .into_iter()
            .enumerate()
            .map(|(index, inner)| log(inner, *transaction.tx_hash(), index, place))
            .collect(),
    };
    TransactionReceipt {
        inner: ReceiptEnvelope::from_typed(tx_type, ReceiptWithBloom::new(inner, bloom)),
        transaction_hash: *transaction.tx_hash(),
        transaction_index: Some(place.transaction_index),
        block_hash: Some(place.block_hash),
        block_number: Some(place.block_number),
        gas_used,
        effective_gas_price: transaction.effective_gas_price(place.base_fee_per_gas),
        blob_gas_used,
        blob_gas_price,
        from: sender,
        to: transaction.to(),
        contract_address: transaction
            .to()
            .is_none()
            .then(|| sender.create(transaction.nonce())),
    }
}

/// The log number `index` of the transaction at `place`.
pub(crate) const fn log(
    inner: alloy_primitives::Log,
    transaction_hash: B256,
    index: usize,
    place: &Place,
) -> Log {
    Log {
        inner,
        block_hash: Some(place.block_hash),
        block_number: Some(place.block_number),
        block_timestamp: Some(place.timestamp),
        transaction_hash: Some(transaction_hash),
        transaction_index: Some(place.transaction_index),
        log_index: Some(place.first_log_index + index as u64),
        removed: false,
    }
}

/// All receipts of a run of transactions that starts at `place`, `gas_before` used in the block before it.
pub(crate) fn receipts(
    transactions: &[TransactionSigned],
    senders: &[alloy_primitives::Address],
    receipts: &[Receipt],
    (mut place, mut gas_before): (Place, u64),
    spec: &ChainSpec,
) -> Vec<TransactionReceipt> {
    let mut answers = Vec::with_capacity(transactions.len());
    for ((transaction, &sender), receipt) in transactions.iter().zip(senders).zip(receipts) {
        let gas_used = receipt.cumulative_gas_used - gas_before;
        let source = ReceiptSource {
            transaction,
            sender,
            receipt: receipt.clone(),
            gas_used,
        };
        answers.push(self::receipt(source, &place, spec));
        gas_before = receipt.cumulative_gas_used;
        place = place.after(receipt);
    }
    answers
}

/// All transactions of a run that starts at `place`.
pub(crate) fn transactions<'a>(
    run: impl Iterator<Item = (&'a TransactionSigned, alloy_primitives::Address)>,
    place: Place,
) -> Vec<RpcTransaction> {
    run.zip(place.transaction_index..)
        .map(|((signed, sender), transaction_index)| {
            let place = Place {
                transaction_index,
                ..place
            };
            transaction(Recovered::new_unchecked(signed.clone(), sender), &place)
        })
        .collect()
}

/// A sealed block.
pub(crate) fn block(block: &SealedBlock, detail: TransactionDetail) -> RpcBlock {
    let run = block.body.transactions.iter().zip(block.senders.iter().copied());
    let transactions = match detail {
        TransactionDetail::Full => BlockTransactions::Full(transactions(run, Place::first_of_block(block))),
        TransactionDetail::Hashes => {
            BlockTransactions::Hashes(run.map(|(signed, _)| *signed.tx_hash()).collect())
        }
    };
    Block {
        header: header(block),
        uncles: block.body.ommers.iter().map(Sealable::hash_slow).collect(),
        transactions,
        withdrawals: block.body.withdrawals.clone(),
    }
}

/// The header of a sealed block, with the size of the block.
pub(crate) fn header(block: &SealedBlock) -> RpcHeader {
    let size = block.header.length() + body_length(block);
    let size = alloy_rlp::length_of_length(size) + size;
    let sealed = Sealed::new_unchecked(block.header.clone(), block.hash);
    RpcHeader::from_consensus(sealed, None, Some(U256::from(size)))
}

/// Length of the body's fields inside the list that a block is.
fn body_length(block: &SealedBlock) -> usize {
    let body = &block.body;
    body.transactions.length() + body.ommers.length() + body.withdrawals.as_ref().map_or(0, Encodable::length)
}

/// A block that is not sealed, as the `pending` block: what is known so far, under the zero hash.
pub(crate) fn open_block(open: &OpenBlock, detail: TransactionDetail) -> RpcBlock {
    let mini_blocks = || open.mini_blocks.iter().map(|mini_block| &**mini_block);
    let transactions = match detail {
        TransactionDetail::Hashes => BlockTransactions::Hashes(
            mini_blocks()
                .flat_map(|m| m.body().transactions.iter().map(|signed| *signed.tx_hash()))
                .collect(),
        ),
        TransactionDetail::Full => BlockTransactions::Full(
            mini_blocks()
                .flat_map(|mini_block| {
                    let run = mini_block
                        .body()
                        .transactions
                        .iter()
                        .zip(mini_block.body().senders.iter().copied());
                    transactions(run, Place::first_of_mini_block(mini_block))
                })
                .collect(),
        ),
    };
    let header = Sealed::new_unchecked(open.header_so_far(), B256::ZERO);
    let withdrawals = open
        .mini_blocks
        .last()
        .and_then(|last| last.header().close.as_ref()?.withdrawals.clone());
    Block {
        header: RpcHeader::from_consensus(header, None, None),
        uncles: Vec::new(),
        transactions,
        withdrawals: withdrawals.map(Into::into),
    }
}

/// All receipts of a block that is not sealed.
pub(crate) fn open_block_receipts(open: &OpenBlock, spec: &ChainSpec) -> Vec<TransactionReceipt> {
    open.mini_blocks
        .iter()
        .flat_map(|mini_block| mini_block_receipts(mini_block, spec))
        .collect()
}

/// All receipts of a mini-block.
pub(crate) fn mini_block_receipts(mini_block: &SealedMiniBlock, spec: &ChainSpec) -> Vec<TransactionReceipt> {
    let body = mini_block.body();
    let start = (
        Place::first_of_mini_block(mini_block),
        mini_block.header().position.gas_used,
    );
    receipts(&body.transactions, &body.senders, &body.receipts, start, spec)
}
