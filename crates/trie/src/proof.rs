//! Proofs of accounts and slots (EIP-1186).

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use rapid_primitives::Account;

use crate::{
    TrieError,
    arena::Arena,
    leaves::{Leaves, Values},
    node::{Branch, Contract, Field, Slot},
    path::{Path, nibble},
    rlp::{self, HASHED_FROM_BYTES, Reference},
};

/// Everything `eth_getProof` answers about one account.
///
/// A proof lists the encoded nodes from the root towards the key. It ends at the leaf of the key, or at the node that
/// shows that there is none. Nodes of fewer than 32 bytes are part of the node before them. The proof from an empty
/// trie is an empty list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProof {
    /// The account.
    pub address: Address,
    /// Its fields; `None` if it does not exist, which `account_proof` then shows.
    pub account: Option<Account>,
    /// Root of its storage trie; the root of the empty trie if it has no storage or does not exist.
    pub storage_root: B256,
    /// Nodes from the state root towards the account.
    pub account_proof: Vec<Bytes>,
    /// One proof per slot asked for, in that order.
    pub storage: Vec<SlotProof>,
}

/// The proof of one storage slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotProof {
    /// The slot.
    pub key: B256,
    /// Its value; zero if the storage trie does not have it, which `proof` then shows.
    pub value: U256,
    /// Nodes from the storage root towards the slot.
    pub proof: Vec<Bytes>,
}

/// The nodes from the root of a trie towards `key`, as far as the trie goes: they prove its value, or that it has none.
/// Nodes embedded in their parent are not repeated; an empty trie has no nodes. The trie must be hashed.
pub(crate) fn prove(
    arena: &Arena,
    root: Slot,
    key: &B256,
    leaves: &impl Leaves,
) -> Result<Vec<Bytes>, TrieError> {
    let mut nodes = Nodes::default();
    let mut next = root;
    let mut start = 0;
    loop {
        next = match next {
            Slot::Empty => break,
            Slot::Leaf(id) => {
                nodes.push(&encode_leaf(id, EMPTY_ROOT_HASH, start, leaves)?);
                break;
            }
            Slot::Contract(place) => {
                let contract = Contract::load(arena, place);
                nodes.push(&encode_leaf(
                    contract.account,
                    storage_root(&contract),
                    start,
                    leaves,
                )?);
                break;
            }
            Slot::Branch(place) => {
                let branch = Branch::at(arena, place);
                let extension = branch.extension();
                let mut body = Vec::new();
                rlp::push_branch(&mut body, &branch);
                if !extension.is_empty() {
                    nodes.push(&encode_extension(&extension, &body));
                }
                if extension.shared_with(key, start) < extension.len() {
                    break;
                }
                nodes.push(&body);
                start += extension.len() + 1;
                branch.slot(nibble(key, start - 1))
            }
        };
    }
    Ok(nodes.0)
}

/// The root of a contract's storage, which must be hashed.
pub(crate) fn storage_root(contract: &Contract) -> B256 {
    match contract.root.field {
        Field::Hash(root) => root,
        _ => unreachable!("a hashed trie has hashed storage"),
    }
}

fn encode_leaf(id: u32, root: B256, start: usize, leaves: &impl Leaves) -> Result<Vec<u8>, TrieError> {
    let (mut keys, mut values) = (Vec::new(), Values::default());
    leaves.keys(&[id], &mut keys)?;
    leaves.values(&[id], &[root], &mut values)?;
    let mut node = Vec::new();
    rlp::push_leaf(&mut node, &keys[0], start, values.get(0));
    Ok(node)
}

fn encode_extension(extension: &Path, body: &[u8]) -> Vec<u8> {
    let mut node = Vec::new();
    if body.len() < HASHED_FROM_BYTES {
        rlp::push_extension(&mut node, extension, Reference::Short(body));
    } else {
        rlp::push_extension(&mut node, extension, Reference::Hash(&keccak256(body)));
    }
    node
}

#[derive(Debug, Default)]
struct Nodes(Vec<Bytes>);

impl Nodes {
    fn push(&mut self, node: &[u8]) {
        if self.0.is_empty() || node.len() >= HASHED_FROM_BYTES {
            self.0.push(Bytes::copy_from_slice(node));
        }
    }
}
