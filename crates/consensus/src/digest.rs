//! Roots of transactions and receipts that grow with the block.

use alloy_consensus::{EMPTY_ROOT_HASH, Eip2718EncodableReceipt, TxReceipt, proofs};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bloom, Log};
use alloy_rlp::{Encodable, RlpEncodable};
use alloy_trie::{HashBuilder, Nibbles};
use rapid_primitives::{Receipt, TransactionSigned};

/// Index after which the encoding of an index sorts after the encoding of zero (0x80): 1 to 127 are single bytes below
/// it, 128 and up are longer and start above it.
const LAST_SHORT_INDEX: u64 = 0x7f;

/// Root of the trie from index to item (yellow paper, 4.4.3), fed item by item.
///
/// A trie builder takes keys in order. The encoded indexes are in order but for the first item, whose key sorts between
/// those of items 127 and 128; so only that one is held back, and memory stays that of one path.
#[derive(Clone, Debug, Default)]
pub struct OrderedRoot {
    builder: HashBuilder,
    first: Option<Vec<u8>>,
    count: u64,
}

impl OrderedRoot {
    /// Appends the next item in its trie encoding (EIP-2718 for transactions and receipts).
    pub fn push(&mut self, item: &[u8]) {
        let index = self.count;
        self.count += 1;
        if index == 0 {
            self.first = Some(item.to_vec());
            return;
        }
        self.add(index, item);
        if index == LAST_SHORT_INDEX {
            self.add_first();
        }
    }

    /// How many items were pushed.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The root of all items pushed.
    #[must_use]
    pub fn root(mut self) -> B256 {
        if self.count == 0 {
            return EMPTY_ROOT_HASH;
        }
        self.add_first();
        self.builder.root()
    }

    fn add_first(&mut self) {
        if let Some(first) = self.first.take() {
            self.add(0, &first);
        }
    }

    fn add(&mut self, index: u64, item: &[u8]) {
        let key = alloy_rlp::encode_fixed_size(&index);
        self.builder.add_leaf(Nibbles::unpack(&key), item);
    }
}

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
        proofs::calculate_transaction_root(transactions)
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
        receipts.iter().for_each(|receipt| digester.push(receipt));
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

/// Receipts root and bloom, fed receipt by receipt.
#[derive(Clone, Debug, Default)]
pub struct ReceiptsDigester {
    root: OrderedRoot,
    logs_bloom: Bloom,
    buffer: Vec<u8>,
}

impl ReceiptsDigester {
    /// Appends the next receipt of a block from Byzantium on.
    pub fn push(&mut self, receipt: &Receipt) {
        let bloom = receipt.bloom();
        self.logs_bloom |= bloom;
        self.buffer.clear();
        receipt.eip2718_encode_with_bloom(&bloom, &mut self.buffer);
        self.root.push(&self.buffer);
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
