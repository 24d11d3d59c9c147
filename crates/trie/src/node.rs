//! The two kinds of nodes and the slot that holds one of them.
//!
//! Leaves keep their whole key and branches their absolute depth, so a node does not know where its parent is: it
//! moves up (collapse) and down (split) unchanged, and only the memoised hash of its slot is dropped. What lies
//! between the parent's depth and the node's is the leaf's path or the branch's extension, and exists only in the
//! encoding.

use std::sync::Arc;

use alloy_primitives::B256;
use alloy_rlp::BufMut;

use crate::{
    hash_cell::HashCell,
    path::{KEY_NIBBLES, nibble, shared_nibbles},
};

/// What a trie maps its keys to.
pub(crate) trait LeafValue: Clone + Default + Send + Sync {
    /// Writes the value as the leaf carries it: at most [`crate::encode::VALUE_BYTES_MAX`] bytes of RLP.
    fn encode_value(&self, out: &mut dyn BufMut);

    /// Prepares what [`Self::encode_value`] hashes, on the current rayon pool.
    fn hash_parallel(&self) {}
}

/// A node and the memoised hash of its encoding at this place.
///
/// The hash is set once it was computed and if the encoding has 32 bytes or more; shorter nodes are embedded in
/// their parent and cheaper to encode again than to keep.
#[derive(Clone)]
pub(crate) enum Slot<V> {
    /// One key. Held by value: copying a branch then copies its leaves in one go, without a visit to each.
    Leaf {
        hash: HashCell,
        key: B256,
        value: V,
    },
    Branch {
        hash: HashCell,
        node: Arc<Branch<V>>,
    },
}

impl<V: LeafValue> Default for Slot<V> {
    /// A value to leave behind while the real one is moved; never part of a trie.
    fn default() -> Self {
        Self::leaf(B256::ZERO, V::default())
    }
}

impl<V: LeafValue> Slot<V> {
    pub(crate) const fn leaf(key: B256, value: V) -> Self {
        Self::Leaf {
            hash: HashCell::new(),
            key,
            value,
        }
    }

    pub(crate) fn branch(node: Branch<V>) -> Self {
        Self::Branch {
            hash: HashCell::new(),
            node: Arc::new(node),
        }
    }

    pub(crate) const fn hash(&self) -> &HashCell {
        match self {
            Self::Leaf { hash, .. } | Self::Branch { hash, .. } => hash,
        }
    }

    /// Drops the memoised hash: the node, or the place it hangs at, changed.
    pub(crate) fn forget_hash(&mut self) {
        match self {
            Self::Leaf { hash, .. } | Self::Branch { hash, .. } => *hash = HashCell::new(),
        }
    }

    /// The depth up to which all keys under this slot agree.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Leaf { .. } => KEY_NIBBLES,
            Self::Branch { node, .. } => node.depth(),
        }
    }

    /// How many nibbles `key` shares with the path to this node, at most [`Self::depth`]. `key` must share those
    /// above `start`, the depth of the slot.
    pub(crate) fn shared_depth(&self, start: usize, key: &B256) -> usize {
        match self {
            Self::Leaf { key: own, .. } => shared_nibbles(own, key),
            Self::Branch { node, .. } if node.depth() == start => start,
            Self::Branch { node, .. } => shared_nibbles(node.extension_key(), key).min(node.depth()),
        }
    }

    /// Some key that runs along the path to this node.
    pub(crate) fn any_key(&self) -> &B256 {
        match self {
            Self::Leaf { key, .. } => key,
            Self::Branch { node, .. } => node.any_key(),
        }
    }
}

/// Two to sixteen slots that differ in the nibble at one depth.
#[derive(Clone)]
pub(crate) struct Branch<V> {
    /// Children present, bit per nibble.
    mask: u16,
    /// Nibbles that all keys below share; the children differ in the next one.
    depth: u8,
    /// A key along the path, kept only where an extension precedes the branch: rare with hashed keys, hence boxed.
    extension_key: Option<Box<B256>>,
    /// One slot per bit of `mask`, in order.
    slots: Vec<Slot<V>>,
}

impl<V: LeafValue> Branch<V> {
    /// A branch without children, below a slot at depth `start`, on the path of `key`.
    pub(crate) fn new(start: usize, depth: usize, key: &B256, capacity: usize) -> Self {
        debug_assert!(start <= depth && depth < KEY_NIBBLES);
        Self {
            mask: 0,
            depth: depth as u8,
            extension_key: (depth > start).then(|| Box::new(*key)),
            slots: Vec::with_capacity(capacity),
        }
    }

    pub(crate) const fn depth(&self) -> usize {
        self.depth as usize
    }

    /// The key an extension in front of this branch is read from.
    ///
    /// # Panics
    /// If the branch follows its parent directly.
    pub(crate) fn extension_key(&self) -> &B256 {
        self.extension_key
            .as_deref()
            .expect("a branch deeper than its slot keeps a key")
    }

    /// Tells the branch that it now hangs in a slot at depth `start`.
    pub(crate) fn hang_at(&mut self, start: usize) {
        if start == self.depth() {
            self.extension_key = None;
        } else if self.extension_key.is_none() {
            self.extension_key = Some(Box::new(*self.any_key()));
        }
    }

    pub(crate) fn any_key(&self) -> &B256 {
        match &self.extension_key {
            Some(key) => key,
            None => self
                .slots
                .first()
                .expect("a branch in a trie has children")
                .any_key(),
        }
    }

    /// The children, in order of their nibbles.
    pub(crate) fn slots(&self) -> &[Slot<V>] {
        &self.slots
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Children with their nibbles, in order.
    pub(crate) fn children(&self) -> impl Iterator<Item = (u8, &Slot<V>)> {
        (0..16).filter(|nibble| self.has(*nibble)).zip(&self.slots)
    }

    /// The child on the way to `key`.
    pub(crate) fn child(&self, key: &B256) -> Option<&Slot<V>> {
        let nibble = nibble(key, self.depth());
        self.has(nibble).then(|| &self.slots[self.index(nibble)])
    }

    pub(crate) fn child_mut(&mut self, nibble: u8) -> Option<&mut Slot<V>> {
        let index = self.index(nibble);
        self.has(nibble).then(|| &mut self.slots[index])
    }

    /// Adds a child where there was none.
    pub(crate) fn insert(&mut self, nibble: u8, slot: Slot<V>) {
        debug_assert!(!self.has(nibble));
        let index = self.index(nibble);
        // Doubling would leave a third of all slots unused; most branches never grow again.
        self.slots.reserve_exact(1);
        self.slots.insert(index, slot);
        self.mask |= 1 << nibble;
    }

    /// Removes a child that is there.
    pub(crate) fn remove(&mut self, nibble: u8) {
        debug_assert!(self.has(nibble));
        let index = self.index(nibble);
        self.slots.remove(index);
        self.mask &= !(1 << nibble);
    }

    /// Takes the last child out of a branch that is about to be dropped.
    pub(crate) fn pop(&mut self) -> Option<Slot<V>> {
        self.slots.pop()
    }

    const fn has(&self, nibble: u8) -> bool {
        self.mask & 1 << nibble != 0
    }

    const fn index(&self, nibble: u8) -> usize {
        (self.mask & ((1 << nibble) - 1)).count_ones() as usize
    }
}
