//! Nodes as RLP, and their hashes.
//!
//! A node of fewer than 32 bytes stands in its parent as it is; a longer one as its Keccak-256 (yellow paper,
//! appendix D).

use alloy_primitives::{B256, keccak256};
use alloy_rlp::EMPTY_STRING_CODE;

use crate::{
    node::{Branch, LeafValue, Slot},
    path::HexPrefix,
};

/// Longest value of a leaf: an account is a list (2 bytes of header) of nonce (9), balance, storage root and code
/// hash (33 each).
pub(crate) const VALUE_BYTES_MAX: usize = 2 + 9 + 3 * 33;

/// Encodings from this length on are replaced by their hash in the parent.
pub(crate) const HASHED_FROM_BYTES: usize = 32;

const LIST_HEADER_BYTES_MAX: usize = 3;

/// The longest node is a branch of sixteen hashed children and no value.
const NODE_BYTES_MAX: usize = LIST_HEADER_BYTES_MAX + 16 * 33 + 1;

/// One encoded node, without an allocation.
///
/// The payload is written first, behind room for the list header, whose length depends on it.
pub(crate) struct NodeRlp {
    bytes: [u8; NODE_BYTES_MAX],
    from: usize,
    to: usize,
}

impl NodeRlp {
    /// The node `[path of the rest of the key, value]`.
    fn leaf<V: LeafValue>(key: &B256, start: usize, value: &V) -> Self {
        let mut buffer = [0; VALUE_BYTES_MAX];
        let mut rest = &mut buffer[..];
        value.encode_value(&mut rest);
        let length = VALUE_BYTES_MAX - rest.len();
        let mut node = Self::open();
        node.push_string(HexPrefix::leaf(key, start).as_slice());
        node.push_string(&buffer[..length]);
        node.close()
    }

    /// The node of sixteen children, without the extension that may precede it.
    pub(crate) fn branch<V: LeafValue>(branch: &Branch<V>) -> Self {
        let mut node = Self::open();
        let mut next = 0;
        for (nibble, slot) in branch.children() {
            node.push_empty(nibble - next);
            slot.push_reference(branch.depth() + 1, &mut node);
            next = nibble + 1;
        }
        // The rest of the children, and the value that keys of one length never have.
        node.push_empty(16 - next + 1);
        node.close()
    }

    /// The node `[path from start to the branch, reference to the branch]`; `None` where the branch is not below its
    /// slot.
    pub(crate) fn extension<V: LeafValue>(branch: &Branch<V>, start: usize, body: &Self) -> Option<Self> {
        if branch.depth() == start {
            return None;
        }
        let mut node = Self::open();
        node.push_string(HexPrefix::extension(branch.extension_key(), start, branch.depth()).as_slice());
        match body.as_slice() {
            inline if inline.len() < HASHED_FROM_BYTES => node.push(inline),
            long => node.push_string(keccak256(long).as_slice()),
        }
        Some(node.close())
    }

    /// The encoding.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.from..self.to]
    }

    const fn open() -> Self {
        Self {
            bytes: [0; NODE_BYTES_MAX],
            from: LIST_HEADER_BYTES_MAX,
            to: LIST_HEADER_BYTES_MAX,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.to..self.to + bytes.len()].copy_from_slice(bytes);
        self.to += bytes.len();
    }

    /// A string item of at most 255 bytes, which all paths and values are.
    fn push_string(&mut self, bytes: &[u8]) {
        match bytes {
            [byte] if *byte < EMPTY_STRING_CODE => {}
            _ if bytes.len() <= 55 => self.push(&[EMPTY_STRING_CODE + bytes.len() as u8]),
            _ => self.push(&[
                0xb8,
                u8::try_from(bytes.len()).expect("paths and values are short"),
            ]),
        }
        self.push(bytes);
    }

    fn push_empty(&mut self, count: u8) {
        let to = self.to + usize::from(count);
        self.bytes[self.to..to].fill(EMPTY_STRING_CODE);
        self.to = to;
    }

    /// Puts the list header in front of the payload.
    fn close(mut self) -> Self {
        let length = self.to - self.from;
        let [high, low] = (length as u16).to_be_bytes();
        match length {
            0..=55 => {
                self.from -= 1;
                self.bytes[self.from] = 0xc0 + low;
            }
            56..=255 => {
                self.from -= 2;
                self.bytes[self.from..][..2].copy_from_slice(&[0xf8, low]);
            }
            _ => {
                self.from -= 3;
                self.bytes[self.from..][..3].copy_from_slice(&[0xf9, high, low]);
            }
        }
        self
    }
}

impl<V: LeafValue> Slot<V> {
    /// The encoding of the outermost node in a slot at depth `start`: an extension where there is one.
    pub(crate) fn encode(&self, start: usize) -> NodeRlp {
        match self {
            Self::Leaf { key, value, .. } => NodeRlp::leaf(key, start, value),
            Self::Branch { node, .. } => {
                let body = NodeRlp::branch(node);
                NodeRlp::extension(node, start, &body).unwrap_or(body)
            }
        }
    }

    /// The hash of the node as the root of a trie, whatever its length.
    pub(crate) fn root_hash(&self) -> B256 {
        self.hash()
            .get_or_compute(|| keccak256(self.encode(0).as_slice()))
    }

    /// Computes the hash, if it is not known, for a slot at depth `start`; an embedded node has none to remember.
    pub(crate) fn remember_hash(&self, start: usize) {
        if self.hash().get().is_none() {
            self.push_reference(start, &mut NodeRlp::open());
        }
    }

    fn push_reference(&self, start: usize, parent: &mut NodeRlp) {
        if let Some(hash) = self.hash().get() {
            return parent.push_string(hash.as_slice());
        }
        let node = self.encode(start);
        match node.as_slice() {
            inline if inline.len() < HASHED_FROM_BYTES => parent.push(inline),
            long => parent.push_string(self.hash().get_or_compute(|| keccak256(long)).as_slice()),
        }
    }
}
