//! Blocks beside the canonical chain: executed on their parents, ready to become canonical, gone without a trace if
//! they never do.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{B256, map::B256Map};
use rapid_primitives::SealedBlock;

use crate::execute::ExecutedBlock;

/// Blocks kept beside the canonical chain. Beyond it those go that have been there longest: whoever wants one can hand
/// it in again.
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
    blocks: B256Map<(u64, TreeBlock)>,
    /// In the order they came.
    by_age: BTreeMap<u64, B256>,
    next_age: u64,
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
        self.blocks.get(hash).map(|(_, block)| block)
    }

    /// Adds a block, or replaces what is known of it.
    pub(crate) fn insert(&mut self, block: TreeBlock) {
        let hash = block.block().hash;
        self.remove(&hash);
        self.blocks.insert(hash, (self.next_age, block));
        self.by_age.insert(self.next_age, hash);
        self.next_age += 1;
        while self.blocks.len() > TREE_BLOCKS_MAX {
            if let Some((_, oldest)) = self.by_age.pop_first() {
                self.blocks.remove(&oldest);
            }
        }
        self.tell_size();
    }

    /// Takes a block out, to make it canonical.
    pub(crate) fn remove(&mut self, hash: &B256) -> Option<TreeBlock> {
        let (age, block) = self.blocks.remove(hash)?;
        self.by_age.remove(&age);
        self.tell_size();
        Some(block)
    }

    /// Forgets blocks that the chain has left too far behind.
    pub(crate) fn forget_below(&mut self, head: u64) {
        let floor = head.saturating_sub(TREE_DEPTH_MAX);
        let by_age = &mut self.by_age;
        self.blocks.retain(|_, (age, block)| {
            let stays = block.block().number() >= floor;
            if !stays {
                by_age.remove(age);
            }
            stays
        });
        self.tell_size();
    }

    /// Gives up the executed states, which were overrun; the blocks stay known.
    pub(crate) fn forget_states(&mut self) {
        for (_, block) in self.blocks.values_mut() {
            *block = TreeBlock::Valid(Arc::clone(block.block()));
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
    fn the_oldest_go_when_there_are_too_many() {
        let mut tree = BlockTree::default();
        let (first, second) = (block(2, 0), block(2, 1));
        tree.insert(first.clone());
        tree.insert(second.clone());
        // Known again, so it is the younger one now.
        tree.insert(first.clone());
        (1..TREE_BLOCKS_MAX as u64).for_each(|salt| tree.insert(block(1, salt)));
        assert!(tree.get(&second.block().hash).is_none());
        assert!(tree.get(&first.block().hash).is_some());
        assert_eq!(tree.blocks.len(), TREE_BLOCKS_MAX);
        assert_eq!(tree.by_age.len(), TREE_BLOCKS_MAX);
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
        assert!(tree.by_age.is_empty());
    }
}
