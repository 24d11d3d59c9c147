//! The safe and the finalized block, published for readers.

use std::sync::Arc;

use alloy_primitives::B256;
use arc_swap::ArcSwap;
use rapid_chain::Chain;

/// A canonical block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockAt {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

/// What the consensus client said last of the blocks below the head. `None` is not said yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Points {
    pub(crate) safe: Option<BlockAt>,
    pub(crate) finalized: Option<BlockAt>,
}

/// The safe and the finalized block. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub struct Forkchoice {
    chain: Chain,
    points: Arc<ArcSwap<Points>>,
}

impl Forkchoice {
    pub(crate) fn new(chain: Chain) -> Self {
        Self {
            chain,
            points: Arc::default(),
        }
    }

    /// The block that is canonical unless more than a third of the validators misbehave.
    #[must_use]
    pub fn safe(&self) -> Option<BlockAt> {
        self.canonical(self.points().safe)
    }

    /// The block that stays canonical.
    #[must_use]
    pub fn finalized(&self) -> Option<BlockAt> {
        self.canonical(self.points().finalized)
    }

    /// The head moves before these do, so for a moment one of them may be of the branch that was left.
    fn canonical(&self, block: Option<BlockAt>) -> Option<BlockAt> {
        block.filter(|block| {
            block.number <= self.chain.view().head.number()
                && self.chain.block_hash(block.number).ok().flatten() == Some(block.hash)
        })
    }

    pub(crate) fn points(&self) -> Points {
        **self.points.load()
    }

    pub(crate) fn publish(&self, points: Points) {
        self.points.store(Arc::new(points));
    }
}
