//! Blocks beside the canonical chain: executed on their parents, ready to become canonical, gone without a trace if
//! they never do.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{B256, map::B256Map};
use rapid_primitives::SealedBlock;

use crate::execute::ExecutedBlock;

/// Blocks kept beside the canonical chain. Beyond it the lowest go: they are the least likely to become canonical, and
/// whoever wants one can hand it in again.
pub(crate) const TREE_BLOCKS_MAX: usize = 512;

/// How far below the head a block may be before it is forgotten: two epochs, which is as deep as an unfinalised
/// reorganisation normally gets, and as many again.
pub(crate) const TREE_DEPTH_MAX: u64 = 128;

/// A block that is not canonical.
#[derive(Clone, Debug)]
pub(crate) enum TreeBlock {
    /// With the state after it.
    Executed(Box<ExecutedBlock>),
    /// Was canonical, or its state was lost: known to be valid, to be executed again before it becomes canonical.
    Valid(Arc<SealedBlock>),
}

/// Blocks that are not canonical, by hash. Bounded by [`TREE_BLOCKS_MAX`] and [`TREE_DEPTH_MAX`].
#[derive(Debug, Default)]
pub(crate) struct BlockTree {
    blocks: B256Map<TreeBlock>,
    by_number: BTreeMap<u64, Vec<B256>>,
}

impl TreeBlock {
    pub(crate) const fn block(&self) -> &Arc<SealedBlock> {
        match self {
            Self::Executed(executed) => &executed.block,
            Self::Valid(block) => block,
        }
    }
}

impl BlockTree {
    pub(crate) fn get(&self, hash: &B256) -> Option<&TreeBlock> {
        self.blocks.get(hash)
    }

    /// Adds a block, or replaces what is known of it.
    pub(crate) fn insert(&mut self, block: TreeBlock) {
        let (hash, number) = (block.block().hash, block.block().number());
        if self.blocks.insert(hash, block).is_none() {
            self.by_number.entry(number).or_default().push(hash);
        }
        while self.blocks.len() > TREE_BLOCKS_MAX {
            self.forget_lowest();
        }
        self.tell_size();
    }

    /// Takes a block out, to make it canonical.
    pub(crate) fn remove(&mut self, hash: &B256) -> Option<TreeBlock> {
        let block = self.blocks.remove(hash)?;
        let number = block.block().number();
        if let Some(hashes) = self.by_number.get_mut(&number) {
            hashes.retain(|other| other != hash);
            if hashes.is_empty() {
                self.by_number.remove(&number);
            }
        }
        self.tell_size();
        Some(block)
    }

    /// Forgets blocks that the chain has left too far behind.
    pub(crate) fn forget_below(&mut self, head: u64) {
        let floor = head.saturating_sub(TREE_DEPTH_MAX);
        while self
            .by_number
            .first_key_value()
            .is_some_and(|(number, _)| *number < floor)
        {
            self.forget_lowest();
        }
        self.tell_size();
    }

    /// Gives up the executed states, which were overrun; the blocks stay known.
    pub(crate) fn forget_states(&mut self) {
        for block in self.blocks.values_mut() {
            *block = TreeBlock::Valid(Arc::clone(block.block()));
        }
    }

    fn forget_lowest(&mut self) {
        if let Some((_, hashes)) = self.by_number.pop_first() {
            for hash in hashes {
                self.blocks.remove(&hash);
            }
        }
    }

    fn tell_size(&self) {
        metrics::gauge!("rapid_reth_chain_tree_blocks").set(self.blocks.len() as f64);
    }
}

#[cfg(test)]
mod tests {
    use rapid_primitives::{Block, Header};

    use super::*;

    fn block(number: u64, salt: u64) -> TreeBlock {
        let header = Header {
            number,
            timestamp: salt,
            ..Header::default()
        };
        let block = Block {
            header,
            body: Default::default(),
        };
        TreeBlock::Valid(Arc::new(SealedBlock::seal(block, Vec::new(), Vec::new())))
    }

    #[test]
    fn the_lowest_go_when_there_are_too_many() {
        let mut tree = BlockTree::default();
        let first = block(1, 0);
        tree.insert(first.clone());
        (0..TREE_BLOCKS_MAX as u64).for_each(|salt| tree.insert(block(2, salt)));
        assert!(tree.get(&first.block().hash).is_none());
        assert_eq!(tree.blocks.len(), TREE_BLOCKS_MAX);
    }

    #[test]
    fn what_is_far_below_the_head_goes() {
        let mut tree = BlockTree::default();
        let (deep, recent) = (block(9, 0), block(10, 0));
        tree.insert(deep.clone());
        tree.insert(recent.clone());
        tree.forget_below(10 + TREE_DEPTH_MAX);
        assert!(tree.get(&deep.block().hash).is_none());
        assert!(tree.remove(&recent.block().hash).is_some());
        assert!(tree.by_number.is_empty());
    }
}
