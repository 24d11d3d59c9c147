//! Hashing independent subtrees on several threads.

use alloy_primitives::B256;
use rayon::prelude::*;

use crate::{
    node::{Branch, LeafValue, Slot},
    trie::Trie,
};

/// How far below the root of a trie work is handed out: two levels are up to 256 subtrees, enough to keep many cores
/// even, and few enough that handing out costs nothing next to hashing.
const FORK_LEVELS: usize = 2;

/// A branch hands out its children if at least this many of them are branches to be hashed. Below, waking a thread
/// takes longer than the hashes it would compute.
const FORK_CHILDREN_MIN: usize = 4;

impl<V: LeafValue> Trie<V> {
    /// The root hash, computed on the current rayon pool.
    pub(crate) fn root_parallel(&self) -> B256 {
        if let Some(root) = self.slot() {
            root.hash_below(FORK_LEVELS);
        }
        self.root()
    }
}

impl<V: LeafValue> Slot<V> {
    /// Makes the hashes of all nodes below this one known, where they are not.
    fn hash_below(&self, fork_levels: usize) {
        if self.hash().get().is_some() {
            return;
        }
        match self {
            Self::Leaf { value, .. } => value.hash_parallel(),
            Self::Branch { node, .. } if fork_levels > 0 && node.is_worth_forking() => {
                node.slots()
                    .par_iter()
                    .for_each(|child| child.hash_in(node, fork_levels - 1));
            }
            Self::Branch { node, .. } => {
                node.slots()
                    .iter()
                    .for_each(|child| child.hash_in(node, fork_levels.saturating_sub(1)));
            }
        }
    }

    fn hash_in(&self, parent: &Branch<V>, fork_levels: usize) {
        self.hash_below(fork_levels);
        self.remember_hash(parent.depth() + 1);
    }
}

impl<V: LeafValue> Branch<V> {
    fn is_worth_forking(&self) -> bool {
        let to_hash = |slot: &&Slot<V>| matches!(slot, Slot::Branch { .. }) && slot.hash().get().is_none();
        self.slots().iter().filter(to_hash).count() >= FORK_CHILDREN_MIN
    }
}
