//! Reference: an incremental trie of boxed nodes, as nodes that keep their trie in memory have it: each node is an
//! allocation of its own that remembers its encoding, keys are put in one after the other in their order, and each
//! changed node is hashed by itself.

use super::leaves::Leaves;
use alloy_primitives::{B256, U256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::{
    EMPTY_ROOT_HASH, Nibbles, TrieAccount, TrieMask,
    nodes::{BranchNodeRef, ExtensionNodeRef, LeafNodeRef, RlpNode},
};
use rapid_primitives::{Account, AccountChange};

/// Bytes that a permutation absorbs.
const PERMUTATION_BYTES: usize = 136;
/// Shorter nodes stand in their parent.
const HASHED_FROM_BYTES: usize = 32;

/// Accounts by hashed address, each with its storage.
#[derive(Default)]
pub(crate) struct NodeState {
    accounts: NodeTrie<AccountValue>,
}

impl NodeState {
    /// The trie of these leaves.
    pub(crate) fn of(leaves: &Leaves) -> Self {
        let mut state = Self::default();
        for account in leaves.accounts() {
            let value = state.accounts.get_or_insert(account.hashed);
            value.account = account.account;
            for slot in &account.slots {
                *value.storage.get_or_insert(slot.hashed) = slot.value;
            }
        }
        state
    }

    /// Applies changes in the order of their hashes.
    pub(crate) fn apply(&mut self, changes: &[AccountChange]) {
        let mut changes: Vec<_> = changes
            .iter()
            .map(|change| (keccak256(change.address), change))
            .collect();
        changes.sort_unstable_by_key(|(hashed, _)| *hashed);
        for (hashed, change) in changes {
            let before = self.accounts.get(hashed).map(|value| value.account);
            let Some(account) = change.apply_to(before) else {
                self.accounts.remove(hashed);
                continue;
            };
            let value = self.accounts.get_or_insert(hashed);
            value.account = account;
            let mut slots: Vec<_> = change
                .storage
                .iter()
                .map(|(key, value)| (keccak256(key.to_be_bytes::<32>()), *value))
                .collect();
            slots.sort_unstable_by_key(|(hashed, _)| *hashed);
            for (hashed, slot) in slots {
                if slot.is_zero() {
                    value.storage.remove(hashed);
                } else {
                    *value.storage.get_or_insert(hashed) = slot;
                }
            }
        }
    }

    /// The root, and how many permutations the nodes took that had changed.
    pub(crate) fn root(&mut self) -> (B256, u64) {
        let mut hashing = Hashing::default();
        let root = self.accounts.root(&mut hashing);
        (root, hashing.permutations)
    }
}

/// What a leaf holds.
trait LeafValue: Default {
    /// Appends the encoding. It may hash what belongs to the leaf.
    fn encode(&mut self, hashing: &mut Hashing) -> EncodedValue;
}

/// The encoding of a value, which is an account's at the longest.
struct EncodedValue {
    bytes: [u8; 128],
    len: usize,
}

impl EncodedValue {
    fn of(value: &impl Encodable) -> Self {
        let mut bytes = [0; 128];
        let mut rest = bytes.as_mut_slice();
        value.encode(&mut rest);
        let len = 128 - rest.len();
        Self { bytes, len }
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl LeafValue for U256 {
    fn encode(&mut self, _: &mut Hashing) -> EncodedValue {
        EncodedValue::of(self)
    }
}

/// An account and its storage.
#[derive(Default)]
struct AccountValue {
    account: Account,
    storage: NodeTrie<U256>,
}

impl LeafValue for AccountValue {
    fn encode(&mut self, hashing: &mut Hashing) -> EncodedValue {
        let storage_root = self.storage.root(hashing);
        let Account {
            nonce,
            balance,
            code_hash,
        } = self.account;
        EncodedValue::of(&TrieAccount::new(nonce, balance, storage_root, code_hash))
    }
}

/// A buffer for encodings, and a count.
#[derive(Default)]
struct Hashing {
    buffer: Vec<u8>,
    permutations: u64,
}

impl Hashing {
    fn node(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> RlpNode) -> RlpNode {
        self.buffer.clear();
        let node = encode(&mut self.buffer);
        if self.buffer.len() >= HASHED_FROM_BYTES {
            self.permutations += (self.buffer.len() / PERMUTATION_BYTES + 1) as u64;
        }
        node
    }
}

type Link<V> = Option<Box<Node<V>>>;

/// A trie with keys of 64 nibbles.
struct NodeTrie<V> {
    root: Link<V>,
}

impl<V> Default for NodeTrie<V> {
    fn default() -> Self {
        Self { root: None }
    }
}

struct Node<V> {
    /// What the parent has of it, if nothing below has changed since.
    encoded: Option<RlpNode>,
    /// Nibbles between the parent's child and this: an extension, or the rest of a leaf's key.
    path: Nibbles,
    kind: Kind<V>,
}

enum Kind<V> {
    Leaf(V),
    Branch([Link<V>; 16]),
}

impl<V: LeafValue> NodeTrie<V> {
    fn get(&self, hashed: B256) -> Option<&V> {
        let key = Nibbles::unpack_array(&hashed.0);
        let (mut link, mut depth) = (&self.root, 0);
        loop {
            let node = link.as_deref()?;
            if node.path != key.slice(depth..depth + node.path.len()) {
                return None;
            }
            depth += node.path.len();
            match &node.kind {
                Kind::Leaf(value) => return Some(value),
                Kind::Branch(children) => link = &children[nibble(&key, depth)],
            }
            depth += 1;
        }
    }

    /// The value of a key, which is taken to change; the default value if there was none.
    fn get_or_insert(&mut self, hashed: B256) -> &mut V {
        let key = Nibbles::unpack_array(&hashed.0);
        let (mut link, mut depth) = (&mut self.root, 0);
        loop {
            let rest = key.slice(depth..);
            let node = link.get_or_insert_with(|| Node::leaf(rest));
            node.encoded = None;
            let shared = node.path.common_prefix_length(&rest);
            if shared < node.path.len() {
                node.split(shared);
            }
            depth += shared;
            match &mut node.kind {
                Kind::Leaf(value) => return value,
                Kind::Branch(children) => link = &mut children[nibble(&key, depth)],
            }
            depth += 1;
        }
    }

    fn remove(&mut self, hashed: B256) {
        if self.get(hashed).is_some() {
            remove_below(&mut self.root, Nibbles::unpack_array(&hashed.0));
        }
    }

    fn root(&mut self, hashing: &mut Hashing) -> B256 {
        let Some(root) = &mut self.root else {
            return EMPTY_ROOT_HASH;
        };
        if let Some(hash) = root.encoded(hashing).as_hash() {
            return hash;
        }
        hashing.permutations += 1;
        keccak256(&hashing.buffer)
    }
}

impl<V: LeafValue> Node<V> {
    fn leaf(path: Nibbles) -> Box<Self> {
        Box::new(Self {
            encoded: None,
            path,
            kind: Kind::Leaf(V::default()),
        })
    }

    /// Puts a branch in this node's place so many nibbles down its path, with the node as its only child.
    fn split(&mut self, at: usize) {
        let path = self.path;
        let branch = Kind::Branch([const { None }; 16]);
        let below = Box::new(Self {
            encoded: None,
            path: path.slice(at + 1..),
            kind: std::mem::replace(&mut self.kind, branch),
        });
        self.path = path.slice(..at);
        if let Kind::Branch(children) = &mut self.kind {
            children[nibble(&path, at)] = Some(below);
        }
    }

    /// What a parent has of this node: its hash, or itself if it is short.
    fn encoded(&mut self, hashing: &mut Hashing) -> RlpNode {
        if let Some(encoded) = &self.encoded {
            return encoded.clone();
        }
        let encoded = match &mut self.kind {
            Kind::Leaf(value) => {
                let value = value.encode(hashing);
                hashing.node(|buffer| LeafNodeRef::new(&self.path, value.as_slice()).rlp(buffer))
            }
            Kind::Branch(children) => {
                let branch = encoded_branch(children, hashing);
                if self.path.is_empty() {
                    branch
                } else {
                    hashing.node(|buffer| ExtensionNodeRef::new(&self.path, &branch).rlp(buffer))
                }
            }
        };
        self.encoded.insert(encoded).clone()
    }
}

fn encoded_branch<V: LeafValue>(children: &mut [Link<V>; 16], hashing: &mut Hashing) -> RlpNode {
    let mut mask = TrieMask::default();
    let mut stack: [RlpNode; 16] = Default::default();
    let mut count = 0;
    for (nibble, child) in (0..).zip(children) {
        if let Some(child) = child {
            stack[count] = child.encoded(hashing);
            count += 1;
            mask.set_bit(nibble);
        }
    }
    hashing.node(|buffer| BranchNodeRef::new(&stack[..count], mask).rlp(buffer))
}

/// Removes a key that is there.
fn remove_below<V: LeafValue>(link: &mut Link<V>, rest: Nibbles) {
    let Some(node) = link else { return };
    node.encoded = None;
    let depth = node.path.len();
    let Kind::Branch(children) = &mut node.kind else {
        *link = None;
        return;
    };
    remove_below(&mut children[nibble(&rest, depth)], rest.slice(depth + 1..));
    let mut left = (0..16).filter(|&place| children[place].is_some());
    if let (Some(place), None) = (left.next(), left.next())
        && let Some(mut child) = children[place].take()
    {
        let mut path = node.path;
        path.push(place as u8);
        child.path = path.join(&child.path);
        child.encoded = None;
        *link = Some(child);
    }
}

fn nibble(path: &Nibbles, place: usize) -> usize {
    usize::from(path.get_unchecked(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{batch::Batch, leaves::Shape, rebuild};
    use std::collections::BTreeMap;

    fn root(trie: &mut NodeTrie<U256>) -> B256 {
        trie.root(&mut Hashing::default())
    }

    /// Keys that part at few depths, so that paths are long and nodes short.
    fn key(random: u64) -> B256 {
        let mut key = B256::repeat_byte(0x5a);
        for (byte, shift) in [(0, 0), (14, 2), (29, 4), (30, 6), (31, 8), (31, 10)] {
            key[byte] ^= (random >> shift) as u8 & 3;
        }
        key
    }

    #[test]
    fn roots_are_those_of_the_hash_builder() {
        let world = crate::state::world::World::new(5, 1);
        let (mut trie, mut model) = (NodeTrie::<U256>::default(), BTreeMap::new());
        for step in 0..4_000 {
            let random = world.draw(1, step, u64::MAX);
            let key = key(random);
            if random >> 60 < 7 {
                trie.remove(key);
                model.remove(&key);
            } else {
                let value = U256::from(1 + (random >> 20) % 300);
                *trie.get_or_insert(key) = value;
                model.insert(key, value);
            }
            assert_eq!(trie.get(key), model.get(&key));
            if step % 7 == 0 {
                let expected = alloy_trie::root::storage_root(model.iter().map(|(k, v)| (*k, *v)));
                assert_eq!(root(&mut trie), expected, "after step {step}");
            }
        }
        for key in model.keys() {
            trie.remove(*key);
        }
        assert_eq!(root(&mut trie), EMPTY_ROOT_HASH);
    }

    #[test]
    fn blocks_and_their_undoing_have_the_roots_of_a_rebuild() {
        let shape = Shape::many_storages(2_000);
        let world = shape.world(2);
        let mut leaves = Leaves::of(world, shape);
        let mut state = NodeState::of(&leaves);
        let (before, all) = state.root();
        assert_eq!(before, rebuild::root(&leaves));
        for round in 0..3 {
            let batch = Batch::draw(world, shape, round, 200);
            state.apply(&batch.changes);
            leaves.apply(&batch.changes);
            let (root, changed) = state.root();
            assert_eq!(root, rebuild::root(&leaves));
            assert!(changed > 200 && changed < all);
            assert_eq!(state.root(), (root, 0));
            state.apply(&batch.undo);
            leaves.apply(&batch.undo);
            assert_eq!(state.root().0, before);
        }
    }
}
