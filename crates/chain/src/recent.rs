//! Blocks and transactions still in memory: everything not yet in history, and a little more.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alloy_primitives::{B256, map::B256Map};
use parking_lot::RwLock;
use rapid_primitives::{CommitSequence, SealedBlock, SealedMiniBlock};
use rapid_trie::StateTrie;

use crate::{FinishedBlock, Included, tree::TREE_DEPTH_MAX};

/// Sealed blocks kept in memory after history has them, as long as they hold few transactions.
const BLOCKS_KEPT: usize = 16;
/// Transactions kept in memory in blocks that history has; a block above it goes at once.
const TRANSACTIONS_KEPT: usize = 50_000;
/// Sealed blocks whose trie stays readable for proofs: each holds a copy of every node changed since, so few.
const TRIES_KEPT: usize = 2;
/// Block hashes and state versions remembered: the 256 that `BLOCKHASH` can ask for, of a block that may be as far
/// below the head as the block tree reaches.
pub(crate) const HASHES_KEPT: usize = 256 + TREE_DEPTH_MAX as usize;

/// A sealed block in memory.
#[derive(Clone, Debug)]
pub(crate) struct RecentBlock {
    pub(crate) block: Arc<SealedBlock>,
    /// `None` once newer blocks have taken its place.
    pub(crate) trie: Option<StateTrie>,
    mini_blocks: Vec<Arc<SealedMiniBlock>>,
}

#[derive(Clone, Copy, Debug)]
struct Milestone {
    hash: B256,
    /// `None` if the block is older than this process.
    version: Option<CommitSequence>,
}

/// The newest sealed blocks by number and hash.
#[derive(Debug, Default)]
pub(crate) struct RecentBlocks {
    blocks: BTreeMap<u64, RecentBlock>,
    milestones: BTreeMap<u64, Milestone>,
    numbers: HashMap<B256, u64>,
}

impl RecentBlocks {
    /// Adds the newest block; returns tries that are too old now. Dropping one frees many nodes: do it without the lock.
    pub(crate) fn insert(&mut self, finished: FinishedBlock) -> Vec<StateTrie> {
        let FinishedBlock {
            block,
            trie,
            mini_blocks,
            version,
        } = finished;
        let (number, hash) = (block.number(), block.hash);
        self.remember(number, hash, Some(version));
        self.numbers.insert(hash, number);
        self.blocks.insert(
            number,
            RecentBlock {
                block,
                trie: Some(trie),
                mini_blocks,
            },
        );
        self.blocks
            .values_mut()
            .rev()
            .skip(TRIES_KEPT)
            .filter_map(|recent| recent.trie.take())
            .collect()
    }

    pub(crate) fn remember(&mut self, number: u64, hash: B256, version: Option<CommitSequence>) {
        self.milestones.insert(number, Milestone { hash, version });
        while self.milestones.len() > HASHES_KEPT {
            self.milestones.pop_first();
        }
    }

    /// Forgets the blocks from `number` on, which history has; returns their mini-blocks.
    pub(crate) fn take_back(&mut self, number: u64) -> Vec<Arc<SealedMiniBlock>> {
        self.milestones.split_off(&number);
        let taken = self.blocks.split_off(&number);
        let mut dropped = Vec::new();
        for recent in taken.into_values() {
            self.numbers.remove(&recent.block.hash);
            dropped.extend(recent.mini_blocks);
        }
        dropped
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    pub(crate) fn by_number(&self, number: u64) -> Option<&RecentBlock> {
        self.blocks.get(&number)
    }

    /// The trie of a block, if it is kept.
    pub(crate) fn trie_of(&self, number: u64) -> Option<StateTrie> {
        self.by_number(number)?.trie.clone()
    }

    /// The newest block and its trie.
    pub(crate) fn newest_trie(&self) -> Option<(u64, StateTrie)> {
        let (number, recent) = self.blocks.last_key_value()?;
        Some((*number, recent.trie.clone()?))
    }

    /// The mini-blocks of the blocks after `number` up to `last`, in order; `None` if one of the blocks is not here.
    pub(crate) fn mini_blocks_between(&self, number: u64, last: u64) -> Option<Vec<Arc<SealedMiniBlock>>> {
        let mut mini_blocks = Vec::new();
        for number in number + 1..=last {
            mini_blocks.extend_from_slice(&self.by_number(number)?.mini_blocks);
        }
        Some(mini_blocks)
    }

    pub(crate) fn by_hash(&self, hash: &B256) -> Option<&RecentBlock> {
        self.blocks.get(self.numbers.get(hash)?)
    }

    pub(crate) fn hash_of(&self, number: u64) -> Option<B256> {
        Some(self.milestones.get(&number)?.hash)
    }

    pub(crate) fn version_of(&self, number: u64) -> Option<CommitSequence> {
        self.milestones.get(&number)?.version
    }

    /// Drops what history has (`in_history` and below) beyond the bounds; returns the mini-blocks dropped.
    pub(crate) fn shrink(&mut self, in_history: u64) -> Vec<Arc<SealedMiniBlock>> {
        let mut dropped = Vec::new();
        let mut transactions: usize = self
            .blocks
            .values()
            .map(|recent| recent.block.body.transactions.len())
            .sum();
        // The newest block always stays: it is the head.
        while self.blocks.len() > 1 {
            let Some(oldest) = self
                .blocks
                .first_entry()
                .filter(|entry| *entry.key() <= in_history)
            else {
                break;
            };
            let oldest_len = oldest.get().block.body.transactions.len();
            if self.blocks.len() <= BLOCKS_KEPT && transactions <= TRANSACTIONS_KEPT {
                break;
            }
            let Some((_, recent)) = self.blocks.pop_first() else {
                break;
            };
            transactions -= oldest_len;
            self.numbers.remove(&recent.block.hash);
            dropped.extend(recent.mini_blocks);
        }
        dropped
    }
}

const SHARDS: usize = 16;

/// Transactions of the blocks in memory, sealed or not, by hash.
#[derive(Debug, Default)]
pub(crate) struct RecentTransactions {
    shards: [RwLock<B256Map<Included>>; SHARDS],
}

impl RecentTransactions {
    pub(crate) fn insert(&self, mini_block: &Arc<SealedMiniBlock>) {
        for (index, transaction) in mini_block.body().transactions.iter().enumerate() {
            let included = Included {
                mini_block: Arc::clone(mini_block),
                index,
            };
            self.shard(transaction.tx_hash())
                .write()
                .insert(*transaction.tx_hash(), included);
        }
    }

    pub(crate) fn remove(&self, mini_block: &SealedMiniBlock) {
        for transaction in &mini_block.body().transactions {
            self.shard(transaction.tx_hash())
                .write()
                .remove(transaction.tx_hash());
        }
    }

    pub(crate) fn get(&self, hash: &B256) -> Option<Included> {
        self.shard(hash).read().get(hash).cloned()
    }

    fn shard(&self, hash: &B256) -> &RwLock<B256Map<Included>> {
        &self.shards[usize::from(hash[0]) % SHARDS]
    }
}
