//! From mini-blocks to a block: the header is computed beside the hot loop, from the records.

use std::sync::Arc;

use alloy_consensus::proofs::{calculate_ommers_root, calculate_withdrawals_root};
use alloy_eips::eip7685::Requests;
use alloy_primitives::B256;
use rapid_chainspec::ChainSpec;
use rapid_consensus::{BlockResult, ReceiptsDigester, TransactionsDigester, assemble_header};
use rapid_primitives::{
    AccountChange, Block, BlockBody, CommitSequence, MiniBlockNumber, SealedBlock, SealedMiniBlock,
};
use rapid_state::StateView;
use rapid_trie::{StateTrie, TrieError};

use crate::{amsterdam::AmsterdamTotals, view::OpenBlock};

/// A block in the making: its mini-blocks so far, and the state trie after them.
///
/// Each mini-block is folded into the trie and the digests as it comes, so that at the end only the last delta and the
/// hashing of the state are left.
#[derive(Clone, Debug)]
pub struct BlockAssembly {
    trie: StateTrie,
    block: Option<OpenBlock>,
    transactions: TransactionsDigester,
    receipts: ReceiptsDigester,
    /// If the mini-blocks so far say it.
    amsterdam: Option<AmsterdamTotals>,
}

/// A block with its header, and what belongs to it.
#[derive(Clone, Debug)]
pub struct FinishedBlock {
    /// The block.
    pub block: Arc<SealedBlock>,
    /// The trie of the state after it.
    pub trie: StateTrie,
    /// The mini-blocks it was made of.
    pub mini_blocks: Vec<Arc<SealedMiniBlock>>,
    /// The state's version after it.
    pub version: CommitSequence,
}

impl FinishedBlock {
    /// Number of the mini-block that closed it.
    #[must_use]
    pub fn last_mini_block(&self) -> MiniBlockNumber {
        self.mini_blocks
            .last()
            .map_or(MiniBlockNumber(0), |mini_block| mini_block.number())
    }
}

impl BlockAssembly {
    /// Begins after a sealed block, with the trie of its state.
    #[must_use]
    pub fn after(trie: StateTrie) -> Self {
        Self {
            trie,
            block: None,
            transactions: TransactionsDigester::default(),
            receipts: ReceiptsDigester::default(),
            amsterdam: None,
        }
    }

    /// The block so far, if it has mini-blocks.
    #[must_use]
    pub const fn block(&self) -> Option<&OpenBlock> {
        self.block.as_ref()
    }

    /// The trie after the mini-blocks so far.
    #[must_use]
    pub const fn trie(&self) -> &StateTrie {
        &self.trie
    }

    /// Adds the next mini-block, of which `after` is the state after it.
    ///
    /// # Errors
    /// [`TrieError`]; the assembly is of no more use.
    pub fn push(
        &mut self,
        mini_block: Arc<SealedMiniBlock>,
        after: impl Into<StateView>,
    ) -> Result<(), TrieError> {
        let changes = mini_block.body().diff.collapse();
        self.push_with(mini_block, after, &changes)
    }

    /// Adds the next mini-block, whose collapsed diff the caller has already.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_with(
        &mut self,
        mini_block: Arc<SealedMiniBlock>,
        after: impl Into<StateView>,
        changes: &[AccountChange],
    ) -> Result<(), TrieError> {
        self.trie.apply(after.into(), changes)?;
        mini_block
            .body()
            .transactions
            .iter()
            .for_each(|transaction| self.transactions.push(transaction));
        self.receipts.push_all(&mini_block.body().receipts);
        AmsterdamTotals::push(&mut self.amsterdam, mini_block.body());
        match &mut self.block {
            Some(block) => block.push(mini_block),
            none => *none = Some(OpenBlock::open(mini_block)),
        }
        Ok(())
    }

    /// Computes roots, bloom and hash of the block, which its last mini-block has closed; the assembly is then at the
    /// start of the next block.
    ///
    /// `version` is the state's version after the block.
    ///
    /// # Errors
    /// [`TrieError`]; the assembly is of no more use.
    ///
    /// # Panics
    /// If the last mini-block does not close the block, or does not have the parent's hash: the sequencer never seals
    /// such a record and a log that holds one is refused.
    pub fn finish(&mut self, spec: &ChainSpec, version: CommitSequence) -> Result<FinishedBlock, TrieError> {
        let open = self
            .block
            .take()
            .expect("a block has at least the mini-block that closes it");
        let last = open.mini_blocks.last().expect("an open block has a mini-block");
        let close = last
            .header()
            .close
            .clone()
            .expect("the last mini-block closes the block");
        let parent_hash = open
            .parent_hash
            .expect("the closing mini-block has the parent's hash");
        let mut transactions =
            Vec::with_capacity(usize::try_from(open.position.transaction_index).unwrap_or(0));
        let mut senders = Vec::with_capacity(transactions.capacity());
        let mut receipts = Vec::with_capacity(transactions.capacity());
        for mini_block in &open.mini_blocks {
            transactions.extend_from_slice(&mini_block.body().transactions);
            senders.extend_from_slice(&mini_block.body().senders);
            receipts.extend_from_slice(&mini_block.body().receipts);
        }
        let totals = self.amsterdam.take().map(AmsterdamTotals::finish);
        let amsterdam = close.amsterdam.or(totals);
        let result = BlockResult {
            parent_hash,
            state_root: self.trie.root()?,
            transactions_root: std::mem::take(&mut self.transactions).finish(),
            receipts: std::mem::take(&mut self.receipts).finish(),
            gas_used: amsterdam.map_or(open.position.gas_used, |amsterdam| amsterdam.gas_used),
            blob_gas_used: open.position.blob_gas_used,
            withdrawals_root: close.withdrawals.as_deref().map(calculate_withdrawals_root),
            requests_hash: close.requests.as_ref().map(Requests::requests_hash),
            block_access_list_hash: amsterdam.map(|amsterdam| amsterdam.block_access_list_hash),
        };
        let mut header = assemble_header(spec, &open.environment, &result);
        let mut ommers = Vec::new();
        if let Some(seal) = close.proof_of_work {
            header.nonce = seal.nonce;
            header.ommers_hash = calculate_ommers_root(&seal.ommers);
            header.receipts_root = seal.receipts_root;
            ommers = seal.ommers;
        }
        let body = BlockBody {
            transactions,
            ommers,
            withdrawals: close.withdrawals.map(Into::into),
        };
        let block = Arc::new(SealedBlock::seal(Block { header, body }, senders, receipts));
        Ok(FinishedBlock {
            block,
            trie: self.trie.clone(),
            mini_blocks: open.mini_blocks,
            version,
        })
    }

    /// Hash of the parent of the block in the making, if it is known.
    #[must_use]
    pub fn parent_hash(&self) -> Option<B256> {
        self.block.as_ref().and_then(|block| block.parent_hash)
    }
}
