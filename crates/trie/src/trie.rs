//! A trie over 32-byte keys, generic in what its leaves hold.

use alloy_primitives::{B256, Bytes, U256};
use alloy_rlp::{BufMut, Encodable};
use alloy_trie::EMPTY_ROOT_HASH;

use crate::{
    edit::{Edit, Effect, Keyed},
    encode::{HASHED_FROM_BYTES, NodeRlp},
    node::{LeafValue, Slot},
};

/// Keys to values. A clone costs one reference count and never changes.
#[derive(Clone)]
pub(crate) struct Trie<V> {
    root: Option<Slot<V>>,
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<V: LeafValue> Trie<V> {
    /// Builds a trie at once. Of a key that occurs several times, the last value counts.
    pub(crate) fn build(mut leaves: Vec<(B256, V)>) -> Self {
        sort_last_wins(&mut leaves);
        Self {
            root: Slot::build(0, leaves),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The root node.
    pub(crate) const fn slot(&self) -> Option<&Slot<V>> {
        self.root.as_ref()
    }

    /// Applies edits sorted by key, each key once; returns whether anything changed.
    pub(crate) fn apply<E: Edit<Value = V>>(&mut self, edits: &mut [Keyed<E>]) -> bool {
        debug_assert!(edits.is_sorted_by(|a, b| a.0 < b.0));
        let Some(root) = &mut self.root else {
            self.root = Slot::create(0, edits);
            return self.root.is_some();
        };
        let effect = root.apply(0, edits);
        if effect == Effect::Removed {
            self.root = None;
        }
        effect != Effect::Unchanged
    }

    /// The root hash. Hashes what changed since it was last asked, deepest first, and remembers it.
    pub(crate) fn root(&self) -> B256 {
        self.root.as_ref().map_or(EMPTY_ROOT_HASH, Slot::root_hash)
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &B256) -> Option<&V> {
        let mut slot = self.root.as_ref()?;
        loop {
            match slot {
                Slot::Leaf { key: own, value, .. } => return (own == key).then_some(value),
                // An extension that leads elsewhere shows at the leaf.
                Slot::Branch { node, .. } => slot = node.child(key)?,
            }
        }
    }

    /// The nodes from the root towards `key`, as far as the trie goes: they prove its value, or that it has none.
    /// Nodes embedded in their parent are not repeated; an empty trie has no nodes.
    pub(crate) fn prove(&self, key: &B256) -> Vec<Bytes> {
        let mut nodes = Vec::new();
        let mut next = self.root.as_ref();
        let mut start = 0;
        while let Some(slot) = next.take() {
            let Slot::Branch { node, .. } = slot else {
                push_node(&mut nodes, &slot.encode(start));
                break;
            };
            let body = NodeRlp::branch(node);
            if let Some(extension) = NodeRlp::extension(node, start, &body) {
                push_node(&mut nodes, &extension);
            }
            if slot.shared_depth(start, key) == node.depth() {
                push_node(&mut nodes, &body);
                next = node.child(key);
                start = node.depth() + 1;
            }
        }
        nodes
    }
}

fn push_node(nodes: &mut Vec<Bytes>, node: &NodeRlp) {
    let rlp = node.as_slice();
    if nodes.is_empty() || rlp.len() >= HASHED_FROM_BYTES {
        nodes.push(Bytes::copy_from_slice(rlp));
    }
}

/// Sorts by key and keeps the last of equal keys.
pub(crate) fn sort_last_wins<T>(items: &mut Vec<(B256, T)>) {
    items.sort_by_key(|item| item.0);
    items.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
}

/// A storage slot; never zero in a trie.
impl LeafValue for U256 {
    fn encode_value(&self, out: &mut dyn BufMut) {
        self.encode(out);
    }
}

/// The new value of a storage slot; zero removes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotWrite(pub(crate) U256);

impl Edit for SlotWrite {
    type Value = U256;

    fn may_create(&self) -> bool {
        !self.0.is_zero()
    }

    fn create(&mut self) -> Option<U256> {
        (!self.0.is_zero()).then_some(self.0)
    }

    fn update(&mut self, value: &mut U256) -> Effect {
        if self.0.is_zero() {
            Effect::Removed
        } else if *value == self.0 {
            Effect::Unchanged
        } else {
            *value = self.0;
            Effect::Changed
        }
    }
}
