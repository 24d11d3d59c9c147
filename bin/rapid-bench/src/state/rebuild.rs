//! Reference: alloy's `HashBuilder`, which computes a root, or a proof, from all leaves.

use super::leaves::{AccountLeaves, Leaves, SlotLeaf};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, TrieAccount, proof::ProofRetainer};

/// The state root.
pub(crate) fn root(leaves: &Leaves) -> B256 {
    let mut builder = HashBuilder::default();
    add_accounts(&mut builder, leaves.accounts().iter().map(account_leaf));
    builder.root()
}

/// The root of leaves in any order: hashes all keys, sorts, and rebuilds.
pub(crate) fn root_unsorted(leaves: Leaves) -> B256 {
    root(&leaves.hashed_and_sorted())
}

/// The nodes that prove an account, and those that prove each of its slots.
pub(crate) fn proof(leaves: &Leaves, address: Address, slots: &[U256]) -> (Vec<Bytes>, Vec<Vec<Bytes>>) {
    let hashed = keccak256(address);
    let target = Nibbles::unpack_array(&hashed.0);
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![target]));
    let mut slot_proofs = Vec::new();
    let accounts = leaves.accounts().iter().map(|account| {
        if account.hashed != hashed {
            return account_leaf(account);
        }
        let (storage_root, proofs) = prove_slots(&account.slots, slots);
        slot_proofs = proofs;
        (account.hashed, trie_account(account, storage_root))
    });
    add_accounts(&mut builder, accounts);
    builder.root();
    (nodes_towards(&builder.take_proof_nodes(), target), slot_proofs)
}

fn prove_slots(leaves: &[SlotLeaf], slots: &[U256]) -> (B256, Vec<Vec<Bytes>>) {
    let targets: Vec<_> = slots
        .iter()
        .map(|slot| Nibbles::unpack_array(&keccak256(slot.to_be_bytes::<32>()).0))
        .collect();
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(targets.clone()));
    add_slots(&mut builder, leaves);
    let root = builder.root();
    let nodes = builder.take_proof_nodes();
    let proofs = targets.into_iter().map(|target| nodes_towards(&nodes, target));
    (root, proofs.collect())
}

fn nodes_towards(nodes: &alloy_trie::proof::ProofNodes, target: Nibbles) -> Vec<Bytes> {
    let nodes = nodes.matching_nodes_sorted(&target).into_iter();
    nodes.map(|(_, node)| node).collect()
}

fn account_leaf(account: &AccountLeaves) -> (B256, TrieAccount) {
    (
        account.hashed,
        trie_account(account, storage_root(&account.slots)),
    )
}

fn trie_account(account: &AccountLeaves, storage_root: B256) -> TrieAccount {
    let fields = account.account;
    TrieAccount::new(fields.nonce, fields.balance, storage_root, fields.code_hash)
}

fn storage_root(slots: &[SlotLeaf]) -> B256 {
    if slots.is_empty() {
        return EMPTY_ROOT_HASH;
    }
    let mut builder = HashBuilder::default();
    add_slots(&mut builder, slots);
    builder.root()
}

fn add_slots(builder: &mut HashBuilder, slots: &[SlotLeaf]) {
    let mut value = Vec::with_capacity(40);
    for slot in slots {
        value.clear();
        slot.value.encode(&mut value);
        builder.add_leaf(Nibbles::unpack_array(&slot.hashed.0), &value);
    }
}

fn add_accounts(builder: &mut HashBuilder, accounts: impl Iterator<Item = (B256, TrieAccount)>) {
    let mut value = Vec::with_capacity(128);
    for (hashed, account) in accounts {
        value.clear();
        account.encode(&mut value);
        builder.add_leaf(Nibbles::unpack_array(&hashed.0), &value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::leaves::Shape;
    use alloy_trie::proof::verify_proof;

    #[test]
    fn roots_do_not_depend_on_who_sorts() {
        let shape = Shape::many_storages(1_000);
        let leaves = Leaves::of(shape.world(1), shape);
        assert_eq!(root(&leaves), root_unsorted(leaves.by_keys()));
        let accounts = leaves.accounts().iter();
        let expected = alloy_trie::root::state_root(accounts.map(account_leaf));
        assert_eq!(root(&leaves), expected);
    }

    #[test]
    fn proofs_verify() {
        let shape = Shape::one_storage(500);
        let leaves = Leaves::of(shape.world(1), shape);
        let account = &leaves.accounts()[0];
        let keys: Vec<_> = account.slots[..3].iter().map(|slot| slot.key).collect();
        let (account_proof, slots) = proof(&leaves, account.address, &keys);
        let (hashed, leaf) = account_leaf(account);
        let encoded = alloy_rlp::encode(leaf);
        verify_proof(
            root(&leaves),
            Nibbles::unpack(hashed),
            Some(encoded),
            &account_proof,
        )
        .unwrap();
        for (slot, nodes) in account.slots.iter().zip(&slots) {
            let value = Some(alloy_rlp::encode(slot.value));
            verify_proof(leaf.storage_root, Nibbles::unpack(slot.hashed), value, nodes).unwrap();
        }
    }
}
