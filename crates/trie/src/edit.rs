//! Applying a sorted batch of edits in one descent.

use std::sync::Arc;

use alloy_primitives::B256;

use crate::{
    hash_cell::HashCell,
    node::{Branch, LeafValue, Slot},
    path::nibble,
};

/// What a batch does to one key. Called at most once per edit, with whichever of `create` and `update` fits.
pub(crate) trait Edit {
    /// What the trie holds.
    type Value: LeafValue;

    /// Whether [`Self::create`] may return a value. May err towards `true` only.
    fn may_create(&self) -> bool;

    /// The value of a key that is not in the trie; `None` leaves it out.
    fn create(&mut self) -> Option<Self::Value>;

    /// Changes the value of a key that is in the trie. The value left behind by a removal is not looked at.
    fn update(&mut self, value: &mut Self::Value) -> Effect;
}

/// What edits did to a value or a subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: memoised hashes stay good.
    Unchanged,
    /// Something differs.
    Changed,
    /// Nothing is left of it.
    Removed,
}

/// An edit and the key it is for. Batches are sorted by key, each key once.
pub(crate) type Keyed<E> = (B256, E);

impl<V: LeafValue> Slot<V> {
    /// The subtree that edits make where there is none yet.
    pub(crate) fn create<E: Edit<Value = V>>(start: usize, edits: &mut [Keyed<E>]) -> Option<Self> {
        if let [(key, edit)] = edits {
            return edit.create().map(|value| Self::leaf(*key, value));
        }
        let leaves = edits
            .iter_mut()
            .filter_map(|(key, edit)| Some((*key, edit.create()?)))
            .collect();
        Self::build(start, leaves)
    }

    /// Applies edits whose keys share all nibbles above `start`, the depth of this slot. After
    /// [`Effect::Removed`] the slot holds nothing of use.
    pub(crate) fn apply<E: Edit<Value = V>>(&mut self, start: usize, edits: &mut [Keyed<E>]) -> Effect {
        let edits = self.relevant(start, edits);
        let Some(parting) = self.lowest_shared_depth(start, edits) else {
            return Effect::Unchanged;
        };
        if parting < self.depth() {
            self.split(start, parting);
        }
        match self {
            Self::Leaf { hash, value, .. } => {
                // Nothing parts from the leaf's key and keys occur once, so this is its only edit.
                let effect = edits
                    .first_mut()
                    .map_or(Effect::Unchanged, |(_, edit)| edit.update(value));
                if effect == Effect::Changed {
                    *hash = HashCell::new();
                }
                effect
            }
            Self::Branch { hash, node } => {
                let branch = Arc::make_mut(node);
                let changed = branch.apply(edits);
                match branch.len() {
                    0 => Effect::Removed,
                    1 => {
                        self.collapse(start);
                        Effect::Changed
                    }
                    _ if changed => {
                        *hash = HashCell::new();
                        Effect::Changed
                    }
                    _ => Effect::Unchanged,
                }
            }
        }
    }

    /// Leaves out edits that part from the path to this node if none of them would add a key there, so that a batch
    /// that only removes absent keys leaves the node alone.
    fn relevant<'e, E: Edit<Value = V>>(
        &self,
        start: usize,
        edits: &'e mut [Keyed<E>],
    ) -> &'e mut [Keyed<E>] {
        let depth = self.depth();
        if depth == start {
            return edits;
        }
        let stays = |(key, _): &Keyed<E>| self.shared_depth(start, key) == depth;
        if edits.iter().any(|edit| !stays(edit) && edit.1.may_create()) {
            return edits;
        }
        // Those that stay share a prefix, so they are neighbours.
        let from = edits.iter().position(stays).unwrap_or(edits.len());
        let count = edits[from..].iter().take_while(|edit| stays(edit)).count();
        &mut edits[from..from + count]
    }

    /// The least depth at which an edit's key parts from the path to this node, at most the node's own depth;
    /// `None` without edits.
    fn lowest_shared_depth<E>(&self, start: usize, edits: &[Keyed<E>]) -> Option<usize> {
        // Sorted: the keys least like any given key are at the ends.
        let (first, last) = (edits.first()?, edits.last()?);
        Some(
            self.shared_depth(start, &first.0)
                .min(self.shared_depth(start, &last.0)),
        )
    }

    /// Puts a branch at `depth` above this node, with the node as its only child. The caller adds another one, or
    /// collapses it again.
    fn split(&mut self, start: usize, depth: usize) {
        let mut lower = std::mem::take(self);
        let key = *lower.any_key();
        lower.forget_hash();
        lower.hang_at(depth + 1);
        let mut upper = Branch::new(start, depth, &key, 2);
        upper.insert(nibble(&key, depth), lower);
        *self = Self::branch(upper);
    }

    /// Replaces a branch of one child by that child.
    fn collapse(&mut self, start: usize) {
        let Self::Branch { node, .. } = self else { return };
        let Some(mut only) = Arc::make_mut(node).pop() else {
            return;
        };
        only.forget_hash();
        only.hang_at(start);
        *self = only;
    }

    fn hang_at(&mut self, start: usize) {
        if let Self::Branch { node, .. } = self {
            Arc::make_mut(node).hang_at(start);
        }
    }
}

impl<V: LeafValue> Branch<V> {
    /// Applies edits that share the path to this branch; returns whether anything changed. May leave fewer than two
    /// children, which is the caller's to mend.
    fn apply<E: Edit<Value = V>>(&mut self, edits: &mut [Keyed<E>]) -> bool {
        let depth = self.depth();
        let mut changed = false;
        let mut rest = edits;
        while let Some((key, _)) = rest.first() {
            let at = nibble(key, depth);
            let count = rest.partition_point(|(key, _)| nibble(key, depth) == at);
            let (group, others) = rest.split_at_mut(count);
            changed |= self.apply_child(at, group);
            rest = others;
        }
        changed
    }

    fn apply_child<E: Edit<Value = V>>(&mut self, at: u8, edits: &mut [Keyed<E>]) -> bool {
        let start = self.depth() + 1;
        let Some(child) = self.child_mut(at) else {
            return Slot::create(start, edits)
                .map(|slot| self.insert(at, slot))
                .is_some();
        };
        let effect = child.apply(start, edits);
        if effect == Effect::Removed {
            self.remove(at);
        }
        effect != Effect::Unchanged
    }
}
