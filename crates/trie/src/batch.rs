//! Encoded nodes and their hashes.

use alloy_primitives::{B256, keccak256};
use rapid_keccak::{BLOCK_BYTES, keccak256_each};

use crate::rlp::{HASHED_FROM_BYTES, Reference};

/// Nodes, one after the other, and the hashes of those that are not short.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// Where each node ends and the next one begins.
    ends: Vec<usize>,
    /// Nodes that are not short.
    long: Vec<u32>,
    digests: Vec<B256>,
    /// By node; of short ones, nothing.
    hashes: Vec<B256>,
    permutations: usize,
}

impl Batch {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(crate) const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Permutations that all hashes have taken.
    pub(crate) const fn permutations(&self) -> u64 {
        self.permutations as u64
    }

    /// Adds the node that `encode` appends.
    pub(crate) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Adds a node that refers to another one of the batch, which was hashed.
    pub(crate) fn push_after(&mut self, index: usize, encode: impl FnOnce(&mut Vec<u8>, Reference<'_>)) {
        let mut short = [0; HASHED_FROM_BYTES];
        let node = self.node(index);
        let length = node.len();
        if length < HASHED_FROM_BYTES {
            short[..length].copy_from_slice(node);
            encode(&mut self.bytes, Reference::Short(&short[..length]));
        } else {
            encode(&mut self.bytes, Reference::Hash(&self.hashes[index]));
        }
        self.ends.push(self.bytes.len());
    }

    /// Hashes all nodes that are not short.
    pub(crate) fn hash(&mut self) {
        self.hash_from(0);
    }

    /// Hashes the nodes from one on.
    pub(crate) fn hash_from(&mut self, first: usize) {
        self.hashes.resize(self.len(), B256::ZERO);
        let mut long = std::mem::take(&mut self.long);
        long.clear();
        for index in first..self.len() {
            let bytes = self.node(index).len();
            if bytes >= HASHED_FROM_BYTES {
                long.push(index as u32);
                self.permutations += bytes / BLOCK_BYTES + 1;
            }
        }
        if long.len() == self.len() - first {
            let mut hashes = std::mem::take(&mut self.hashes);
            keccak256_each(|place| self.node(first + place), &mut hashes[first..]);
            (self.long, self.hashes) = (long, hashes);
            return;
        }
        let mut digests = std::mem::take(&mut self.digests);
        digests.resize(long.len(), B256::ZERO);
        keccak256_each(|place| self.node(long[place] as usize), &mut digests);
        for (index, digest) in long.iter().zip(&digests) {
            self.hashes[*index as usize] = *digest;
        }
        (self.long, self.digests) = (long, digests);
    }

    fn node(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[index]]
    }

    /// How a node stands in its parent.
    pub(crate) fn reference(&self, index: usize) -> Reference<'_> {
        match self.node(index) {
            short if short.len() < HASHED_FROM_BYTES => Reference::Short(short),
            _ => Reference::Hash(&self.hashes[index]),
        }
    }

    /// The hash of a node as the root of a trie, whatever its length.
    pub(crate) fn root_hash(&self, index: usize) -> B256 {
        match self.reference(index) {
            Reference::Short(node) => keccak256(node),
            Reference::Hash(hash) => *hash,
        }
    }
}
