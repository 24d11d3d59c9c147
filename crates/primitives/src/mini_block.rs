//! The mini-block: what the sequencer seals every few milliseconds, and what is announced, logged and streamed.

use alloy_consensus::Transaction;
use alloy_eip7928::BlockAccessList;
use alloy_eips::{eip4895::Withdrawal, eip7685::Requests};
use alloy_primitives::{Address, B64, B256, Bytes};

use crate::{
    AmsterdamDelta, BlockEnvironment, Header, MiniBlockNumber, Receipt, StateDiff, TransactionSigned,
};

/// Where a mini-block starts inside its EVM block: the running totals before its first transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockPosition {
    /// Index of the mini-block in its EVM block, from 0.
    pub mini_block_index: u32,
    /// Index of its first transaction in the EVM block.
    pub transaction_index: u64,
    /// Index of its first log in the EVM block.
    pub log_index: u64,
    /// Gas that the EVM block's transactions paid for so far. From Amsterdam on its header says something else (EIP-8037).
    pub gas_used: u64,
    /// Blob gas used by the EVM block so far.
    pub blob_gas_used: u64,
    /// Bytes of the EVM block's encoded transactions so far (EIP-7934 budget).
    pub transaction_bytes: u64,
}

/// The end of an EVM block, carried by its last mini-block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockClose {
    /// Withdrawals credited at the end (EIP-4895); `None` before Shanghai.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// Execution layer requests (EIP-7685); `None` before Prague.
    pub requests: Option<Requests>,
    /// What only blocks before Paris have.
    pub proof_of_work: Option<ProofOfWorkSeal>,
    /// What only blocks from Amsterdam on have, and their mini-blocks do not say ([`MiniBlockBody::amsterdam`]).
    pub amsterdam: Option<AmsterdamClose>,
}

/// What the header of a block from Amsterdam on says and its record does not give, if it was made elsewhere. Mini-blocks that
/// were made here have [`AmsterdamDelta`]s instead, from which it follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AmsterdamClose {
    /// Gas the block used: no longer what its receipts add up to (EIP-8037, EIP-7778).
    pub gas_used: u64,
    /// Hash of the block access list (EIP-7928), whose reads the diff does not have.
    pub block_access_list_hash: B256,
}

/// What a block before Paris has that no later one does, and that its transactions do not give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProofOfWorkSeal {
    /// The header's nonce.
    pub nonce: B64,
    /// Ommers of the block.
    pub ommers: Vec<Header>,
    /// Root of the receipts: before Byzantium they hold intermediate state roots, which a record does not.
    pub receipts_root: B256,
}

/// The EVM block that is the head after some were taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewind {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

/// The header of a mini-block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MiniBlockHeader {
    /// Number from genesis; never skips.
    pub number: MiniBlockNumber,
    /// Hash of the mini-block before; zero for the first.
    pub parent_hash: B256,
    /// Microseconds since the epoch, strictly increasing from mini-block to mini-block; outside EVM semantics.
    pub time_us: u64,
    /// Environment of the EVM block it belongs to.
    pub environment: BlockEnvironment,
    /// Hash of the EVM block's parent; `None` as long as that header was not computed when this mini-block was
    /// sealed. The mini-block that closes the EVM block always has it.
    pub block_parent_hash: Option<B256>,
    /// Where it starts in its EVM block.
    pub position: BlockPosition,
    /// Present on the last mini-block of an EVM block.
    pub close: Option<BlockClose>,
    /// Present on a record that takes EVM blocks back instead of adding to one. It has no transactions, its
    /// environment and position are empty, and its diff (index 0) writes the old values forward.
    pub rewind: Option<Rewind>,
    /// Keccak-256 of the encoded body. Filled in by [`MiniBlock::seal`].
    pub body_hash: B256,
}

/// The content of a mini-block. `senders` and `receipts` have one entry per transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MiniBlockBody {
    /// Transactions in commit order.
    pub transactions: Vec<TransactionSigned>,
    /// Their senders: derivable, but a replay of the log must not cost a signature recovery each.
    pub senders: Vec<Address>,
    /// Their receipts; cumulative gas counts from the start of the EVM block.
    pub receipts: Vec<Receipt>,
    /// What they changed.
    pub diff: StateDiff,
    /// What it adds to the block's gas and access list, if it is one of a block from Amsterdam on that was made here.
    pub amsterdam: Option<AmsterdamDelta>,
}

impl MiniBlockBody {
    /// What it adds to the access list of its block (EIP-7928), if it says so. [Together](crate::AccessListMerger) those of a
    /// block's mini-blocks are the block's list.
    #[must_use]
    pub fn access_list(&self) -> Option<BlockAccessList> {
        let amsterdam = self.amsterdam.as_ref()?;
        Some(amsterdam.accesses.list(&self.diff))
    }
}

/// A mini-block before it is encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MiniBlock {
    /// Header.
    pub header: MiniBlockHeader,
    /// Content.
    pub body: MiniBlockBody,
}

impl MiniBlock {
    /// Where the next one starts, if the transactions of this one are so many bytes by their EIP-2718 encodings.
    pub(crate) fn position_after(&self, transaction_bytes: usize) -> BlockPosition {
        let Self { header, body } = self;
        let before = header.position;
        let blob_gas: u64 = body
            .transactions
            .iter()
            .filter_map(Transaction::blob_gas_used)
            .sum();
        let logs: usize = body.receipts.iter().map(|receipt| receipt.logs.len()).sum();
        BlockPosition {
            mini_block_index: before.mini_block_index.saturating_add(1),
            transaction_index: before
                .transaction_index
                .saturating_add(body.transactions.len() as u64),
            log_index: before.log_index.saturating_add(logs as u64),
            gas_used: body
                .receipts
                .last()
                .map_or(before.gas_used, |receipt| receipt.cumulative_gas_used),
            blob_gas_used: before.blob_gas_used.saturating_add(blob_gas),
            transaction_bytes: before.transaction_bytes.saturating_add(transaction_bytes as u64),
        }
    }
}

/// A mini-block with its hash and its one encoding.
///
/// Built by [`MiniBlock::seal`] or [`SealedMiniBlock::decode`], so the bytes and the hash always fit the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedMiniBlock {
    pub(crate) mini_block: MiniBlock,
    pub(crate) hash: B256,
    pub(crate) bytes: Bytes,
    pub(crate) position_after: BlockPosition,
}

impl SealedMiniBlock {
    /// The header.
    #[must_use]
    pub const fn header(&self) -> &MiniBlockHeader {
        &self.mini_block.header
    }

    /// The content.
    #[must_use]
    pub const fn body(&self) -> &MiniBlockBody {
        &self.mini_block.body
    }

    /// The number.
    #[must_use]
    pub const fn number(&self) -> MiniBlockNumber {
        self.mini_block.header.number
    }

    /// Keccak-256 of the encoded header; the next mini-block names it as its parent.
    #[must_use]
    pub const fn hash(&self) -> B256 {
        self.hash
    }

    /// The record: header and body in RLP.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The running totals of the EVM block after this mini-block: where the next one starts.
    #[must_use]
    pub const fn position_after(&self) -> BlockPosition {
        self.position_after
    }

    /// Whether this is the last mini-block of its EVM block.
    #[must_use]
    pub const fn closes_block(&self) -> bool {
        self.mini_block.header.close.is_some()
    }

    /// The head after it, if this record takes EVM blocks back.
    #[must_use]
    pub const fn rewind(&self) -> Option<Rewind> {
        self.mini_block.header.rewind
    }
}
