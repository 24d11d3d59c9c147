//! Proofs of accounts and slots (EIP-1186).

use alloy_primitives::{Address, B256, Bytes, U256};
use rapid_primitives::Account;

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
