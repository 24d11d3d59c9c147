//! The root of a list, which grows item by item.

use alloy_consensus::EMPTY_ROOT_HASH;
use alloy_primitives::B256;
use alloy_rlp::Encodable;
use alloy_trie::{HashBuilder, Nibbles, nodes::LeafNodeRef};
use rapid_keccak::Batch;

/// Index after which the encoding of an index sorts after the encoding of zero (0x80): 1 to 127 are single bytes below
/// it, 128 and up are longer and start above it.
const LAST_SHORT_INDEX: u64 = 0x7f;

/// Leaves that are hashed together: enough that lanes of different lengths are busy most of the time. More would only
/// hold more memory.
const LEAVES_TOGETHER: usize = 32;

/// Nodes whose encoding is shorter stand in their parent as they are.
const HASHED_BYTES_MIN: usize = 32;

/// Root of the trie from index to item (yellow paper, 4.4.3), fed item by item.
///
/// A trie builder takes keys in order. The encoded indexes are in order but for the first item, whose key sorts between
/// those of items 127 and 128; so only that one is held back. Nearly all of the hashing is that of the leaves, so some of
/// them are hashed together before the builder gets their hashes. Memory stays that of one path and these leaves.
#[derive(Clone, Debug, Default)]
pub struct OrderedRoot {
    first: Option<Vec<u8>>,
    count: u64,
    /// The item before the next one, in the order of keys. Where its leaf is depends on the key after it.
    last: Option<Item>,
    /// Nibbles that the key of `last` shares with the one before it.
    shared: usize,
    leaves: Leaves,
}

#[derive(Clone, Debug)]
struct Item {
    key: Nibbles,
    bytes: Vec<u8>,
}

impl OrderedRoot {
    /// Appends the next item in its trie encoding (EIP-2718 for transactions and receipts).
    pub fn push(&mut self, item: &[u8]) {
        let index = self.count;
        self.count += 1;
        if index == 0 {
            self.first = Some(item.to_vec());
            return;
        }
        self.add(index, item);
        if index == LAST_SHORT_INDEX {
            self.add_first();
        }
    }

    /// How many items were pushed.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The root of all items pushed.
    #[must_use]
    pub fn root(mut self) -> B256 {
        self.add_first();
        match self.last {
            None => EMPTY_ROOT_HASH,
            Some(item) if self.count == 1 => {
                let mut alone = HashBuilder::default();
                alone.add_leaf(item.key, &item.bytes);
                alone.root()
            }
            Some(item) => {
                self.leaves.push(&item, self.shared + 1);
                self.leaves.root()
            }
        }
    }

    fn add_first(&mut self) {
        if let Some(first) = self.first.take() {
            self.add(0, &first);
        }
    }

    fn add(&mut self, index: u64, bytes: &[u8]) {
        let key = Nibbles::unpack(alloy_rlp::encode_fixed_size(&index));
        let Some(last) = &mut self.last else {
            let bytes = bytes.to_vec();
            self.last = Some(Item { key, bytes });
            return;
        };
        let shared = last.key.common_prefix_length(&key);
        self.leaves.push(last, self.shared.max(shared) + 1);
        self.shared = shared;
        last.key = key;
        last.bytes.clear();
        last.bytes.extend_from_slice(bytes);
    }
}

/// Leaves on their way to the builder.
#[derive(Clone, Debug, Default)]
struct Leaves {
    builder: HashBuilder,
    /// Leaves that are to be hashed, and the paths to them.
    encoded: Batch,
    paths: Vec<Nibbles>,
}

impl Leaves {
    /// Adds the leaf of an item, so many nibbles below the root.
    fn push(&mut self, item: &Item, depth: usize) {
        let rest = item.key.slice(depth..);
        self.encoded
            .push_with(|out| LeafNodeRef::new(&rest, &item.bytes).encode(out));
        if self
            .encoded
            .last()
            .is_some_and(|leaf| leaf.len() < HASHED_BYTES_MIN)
        {
            self.encoded.pop();
            self.hash();
            self.builder.add_leaf(item.key, &item.bytes);
            return;
        }
        self.paths.push(item.key.slice(..depth));
        if self.paths.len() == LEAVES_TOGETHER {
            self.hash();
        }
    }

    fn hash(&mut self) {
        let mut hashes = [B256::ZERO; LEAVES_TOGETHER];
        let hashes = &mut hashes[..self.paths.len()];
        self.encoded.hash_into(hashes);
        for (path, hash) in self.paths.drain(..).zip(hashes) {
            // To the builder it is a subtree of which only the hash is known.
            self.builder.add_branch(path, *hash, false);
        }
        self.encoded.clear();
    }

    fn root(mut self) -> B256 {
        self.hash();
        self.builder.root()
    }
}

#[cfg(test)]
mod tests {
    use alloy_trie::root::ordered_trie_root_encoded;

    use super::*;

    /// Items of lengths that make leaves shorter and longer than a hash, among each other.
    fn items(count: usize, lengths: &[usize]) -> Vec<Vec<u8>> {
        (0..count)
            .map(|index| vec![index as u8; lengths[index % lengths.len()]])
            .collect()
    }

    #[test]
    fn roots_equal_those_of_all_items_at_once() {
        for lengths in [&[1_usize][..], &[400], &[1, 29, 30, 31, 32, 100], &[700, 2]] {
            let items = items(700, lengths);
            let mut growing = OrderedRoot::default();
            for count in 0..items.len() {
                let expected = ordered_trie_root_encoded(&items[..count]);
                assert_eq!(growing.clone().root(), expected, "{count} of {lengths:?} bytes");
                growing.push(&items[count]);
            }
            assert_eq!(growing.count(), 700);
        }
    }
}
