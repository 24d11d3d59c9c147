//! Building a subtree from sorted leaves in one pass.

use std::vec;

use alloy_primitives::B256;

use crate::{
    node::{Branch, LeafValue, Slot},
    path::{nibble, shared_nibbles},
};

impl<V: LeafValue> Slot<V> {
    /// The subtree of these leaves for a slot at depth `start`; `None` without leaves.
    ///
    /// Keys are sorted, occur once, and share all nibbles above `start`.
    pub(crate) fn build(start: usize, leaves: Vec<(B256, V)>) -> Option<Self> {
        debug_assert!(leaves.is_sorted_by(|a, b| a.0 < b.0));
        let count = leaves.len();
        (count > 0).then(|| take_subtree(start, count, &mut leaves.into_iter()))
    }
}

/// Consumes the next `count` leaves, at least one.
fn take_subtree<V: LeafValue>(start: usize, count: usize, leaves: &mut vec::IntoIter<(B256, V)>) -> Slot<V> {
    if count == 1 {
        let (key, value) = leaves.next().expect("the caller counted the leaves");
        return Slot::leaf(key, value);
    }
    let keys = &leaves.as_slice()[..count];
    let (first, last) = (keys[0].0, keys[count - 1].0);
    // Sorted: what the ends share, all share.
    let depth = shared_nibbles(&first, &last);
    let child_count = keys
        .chunk_by(|a, b| nibble(&a.0, depth) == nibble(&b.0, depth))
        .take(16)
        .count();
    let mut branch = Branch::new(start, depth, &first, child_count);
    let mut left = count;
    while left > 0 {
        let keys = &leaves.as_slice()[..left];
        let at = nibble(&keys[0].0, depth);
        let size = keys.partition_point(|(key, _)| nibble(key, depth) == at);
        branch.insert(at, take_subtree(depth + 1, size, leaves));
        left -= size;
    }
    Slot::branch(branch)
}
