//! Roots of transactions and receipts that grow with the block.

use alloy_consensus::{Eip2718EncodableReceipt, TxReceipt};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bloom, Log};
use alloy_rlp::{Encodable, RlpEncodable};
use rapid_primitives::{Receipt, TransactionSigned};

use crate::{OrderedRoot, blooms::blooms};

/// The transactions root, fed transaction by transaction.
#[derive(Clone, Debug, Default)]
pub struct TransactionsDigester {
    root: OrderedRoot,
    buffer: Vec<u8>,
}

impl TransactionsDigester {
    /// Appends the next transaction of the block.
    pub fn push(&mut self, transaction: &TransactionSigned) {
        self.buffer.clear();
        transaction.encode_2718(&mut self.buffer);
        self.root.push(&self.buffer);
    }

    /// The root of all transactions pushed.
    #[must_use]
    pub fn finish(self) -> B256 {
        self.root.root()
    }

    /// The root of these transactions.
    #[must_use]
    pub fn digest(transactions: &[TransactionSigned]) -> B256 {
        let mut digester = Self::default();
        transactions
            .iter()
            .for_each(|transaction| digester.push(transaction));
        digester.finish()
    }
}

/// A receipt before Byzantium: the state root after the transaction stands where its success does later (EIP-658).
#[derive(Debug, RlpEncodable)]
struct ReceiptBeforeByzantium<'a> {
    post_state: B256,
    cumulative_gas_used: u64,
    logs_bloom: Bloom,
    logs: &'a Vec<Log>,
}

/// What a header says of its receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptsDigest {
    /// Root of the receipts, each with its bloom.
    pub root: B256,
    /// Union of all blooms.
    pub logs_bloom: Bloom,
}

impl ReceiptsDigest {
    /// The digest of these receipts, of a block from Byzantium on. Computes each receipt's bloom once.
    #[must_use]
    pub fn of(receipts: &[Receipt]) -> Self {
        let mut digester = ReceiptsDigester::default();
        digester.push_all(receipts);
        digester.finish()
    }

    /// The digest of these receipts, each with the state root after its transaction, of a block before Byzantium.
    #[must_use]
    pub fn with_post_states<'a>(receipts: impl IntoIterator<Item = (&'a Receipt, B256)>) -> Self {
        let mut digester = ReceiptsDigester::default();
        for (receipt, post_state) in receipts {
            digester.push_with_post_state(receipt, post_state);
        }
        digester.finish()
    }
}

/// Receipts root and bloom, fed as receipts come.
#[derive(Clone, Debug, Default)]
pub struct ReceiptsDigester {
    root: OrderedRoot,
    logs_bloom: Bloom,
    buffer: Vec<u8>,
}

impl ReceiptsDigester {
    /// Appends the next receipts of a block from Byzantium on.
    pub fn push_all(&mut self, receipts: &[Receipt]) {
        for (receipt, bloom) in receipts.iter().zip(blooms(receipts)) {
            self.logs_bloom |= bloom;
            self.buffer.clear();
            receipt.eip2718_encode_with_bloom(&bloom, &mut self.buffer);
            self.root.push(&self.buffer);
        }
    }

    /// Appends the next receipt of a block before Byzantium, whose receipts hold the state root after their
    /// transaction and not whether it succeeded (EIP-658).
    pub fn push_with_post_state(&mut self, receipt: &Receipt, post_state: B256) {
        let logs_bloom = receipt.bloom();
        self.logs_bloom |= logs_bloom;
        self.buffer.clear();
        let encoded = ReceiptBeforeByzantium {
            post_state,
            cumulative_gas_used: receipt.cumulative_gas_used,
            logs_bloom,
            logs: &receipt.logs,
        };
        encoded.encode(&mut self.buffer);
        self.root.push(&self.buffer);
    }

    /// The digest of all receipts pushed.
    #[must_use]
    pub fn finish(self) -> ReceiptsDigest {
        ReceiptsDigest {
            root: self.root.root(),
            logs_bloom: self.logs_bloom,
        }
    }
}
