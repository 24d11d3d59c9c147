//! The generic trie against a sorted map and alloy's full rebuild, on keys chosen to meet what hashed keys hardly
//! ever do: long shared prefixes, embedded nodes, extensions that split and merge.

use std::collections::BTreeMap;

use alloy_primitives::{B256, Bytes, U256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, proof::verify_proof, root::storage_root};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    encode::HASHED_FROM_BYTES,
    node::Slot,
    path::KEY_NIBBLES,
    trie::{SlotWrite, Trie, sort_last_wins},
};

type Model = BTreeMap<B256, U256>;
type Writes = Vec<(B256, U256)>;

fn oracle(model: &Model) -> B256 {
    storage_root(model.iter().map(|(key, value)| (*key, *value)))
}

fn write(trie: &mut Trie<U256>, writes: &Writes) -> bool {
    let mut edits = writes
        .iter()
        .map(|(key, value)| (*key, SlotWrite(*value)))
        .collect();
    sort_last_wins(&mut edits);
    trie.apply(&mut edits)
}

fn write_model(model: &mut Model, writes: &Writes) {
    for (key, value) in writes {
        if value.is_zero() {
            model.remove(key);
        } else {
            model.insert(*key, *value);
        }
    }
}

fn build(model: &Model) -> Trie<U256> {
    Trie::build(model.iter().map(|(key, value)| (*key, *value)).collect())
}

fn assert_proves(trie: &Trie<U256>, model: &Model, key: B256) {
    assert_eq!(trie.get(&key), model.get(&key));
    let expected = model.get(&key).map(alloy_rlp::encode);
    let proof = trie.prove(&key);
    verify_proof(trie.root(), Nibbles::unpack(key), expected, &proof)
        .unwrap_or_else(|error| panic!("proof of {key} in {model:?}: {error}; {proof:?}"));
}

/// Checks the shape that makes a trie of given contents unique, and that memoised hashes are those of the nodes.
fn assert_sound(slot: &Slot<U256>, start: usize) {
    if let Some(hash) = slot.hash().get() {
        let fresh = slot.encode(start);
        assert_eq!(
            *hash,
            alloy_primitives::keccak256(fresh.as_slice()),
            "stale hash at depth {start}"
        );
    }
    match slot {
        Slot::Leaf { value, .. } => assert!(!value.is_zero()),
        Slot::Branch { node, .. } => {
            assert!(node.depth() >= start && node.depth() < KEY_NIBBLES);
            assert!(node.len() >= 2, "a branch of one child");
            for (nibble, child) in node.children() {
                assert_eq!(crate::path::nibble(child.any_key(), node.depth()), nibble);
                assert_sound(child, node.depth() + 1);
            }
        }
    }
}

/// Keys that part at a few depths only, so that whole paths are shared and nodes at the bottom are embedded.
fn key() -> impl Strategy<Value = B256> {
    let turn = (
        select(vec![0usize, 1, 2, 29, 30, 55, 56, 57, 60, 61, 62, 63]),
        0..3u8,
    );
    (select(vec![0x00u8, 0x5a, 0xff]), vec(turn, 0..4)).prop_map(|(fill, turns)| {
        let mut key = B256::repeat_byte(fill);
        for (depth, flip) in turns {
            key[depth / 2] ^= if depth % 2 == 0 { flip << 4 } else { flip };
        }
        key
    })
}

fn value() -> impl Strategy<Value = U256> {
    prop_oneof![
        3 => Just(U256::ZERO),
        4 => (1..200u64).prop_map(U256::from),
        1 => any::<u64>().prop_map(U256::from),
        1 => any::<[u8; 32]>().prop_map(U256::from_be_bytes),
    ]
}

fn batches() -> impl Strategy<Value = Vec<Writes>> {
    vec(vec((key(), value()), 1..30), 20..40)
}

proptest! {
    /// 256 cases of about 440 operations by default; `PROPTEST_CASES` sets more.
    #[test]
    fn equals_a_full_rebuild_after_every_batch(batches in batches()) {
        let mut trie = Trie::default();
        let mut model = Model::new();
        let mut snapshots: Vec<(Trie<U256>, Model)> = Vec::new();
        for (number, writes) in batches.iter().enumerate() {
            // Some are taken of a trie that is not hashed yet.
            if number % 2 == 0 {
                snapshots.push((trie.clone(), model.clone()));
            }
            let before = model.clone();
            let changed = write(&mut trie, writes);
            write_model(&mut model, writes);
            prop_assert!(changed || before == model);
            if number % 3 != 0 {
                prop_assert_eq!(trie.root(), oracle(&model));
            }
            if let Some((key, _)) = writes.first() {
                assert_proves(&trie, &model, *key);
            }
        }
        prop_assert_eq!(trie.root(), oracle(&model));
        prop_assert_eq!(build(&model).root(), trie.root());
        for (snapshot, then) in &snapshots {
            prop_assert_eq!(snapshot.root(), oracle(then));
            for (key, _) in &batches[0] {
                assert_proves(snapshot, then, *key);
            }
        }
        if let Some(Slot::Branch { node, .. }) = trie.slot() {
            for (_, child) in node.children() {
                assert_sound(child, node.depth() + 1);
            }
        }
        for key in model.keys() {
            assert_proves(&trie, &model, *key);
        }
        write(&mut trie, &model.keys().map(|key| (*key, U256::ZERO)).collect());
        prop_assert!(trie.is_empty());
        prop_assert_eq!(trie.root(), EMPTY_ROOT_HASH);
    }

    #[test]
    fn order_and_batching_do_not_matter(writes in vec((key(), value()), 1..60), cut in 0..60usize) {
        let (first, second) = writes.split_at(cut.min(writes.len()));
        let (mut at_once, mut in_two, mut one_by_one) = (Trie::default(), Trie::default(), Trie::default());
        write(&mut at_once, &writes);
        for part in [first, second] {
            write(&mut in_two, &part.to_vec());
            in_two.root();
        }
        for each in &writes {
            write(&mut one_by_one, &vec![*each]);
        }
        prop_assert_eq!(at_once.root(), in_two.root());
        prop_assert_eq!(at_once.root(), one_by_one.root());
    }
}

fn hashed(number: u64) -> B256 {
    alloy_primitives::keccak256(number.to_be_bytes())
}

fn sibling(last: u8) -> B256 {
    let mut key = B256::repeat_byte(0x77);
    key[31] = last;
    key
}

/// Leaves of one nibble and a small value take three bytes; the branch of two of them stands in its extension.
#[test]
fn embeds_leaves_and_branches() {
    let mut trie = Trie::default();
    let mut model = Model::new();
    let mut embedded = 0;
    for last in [0x00, 0x01, 0x10, 0x11, 0x12, 0x20] {
        let writes = vec![(sibling(last), U256::from(last + 1))];
        write(&mut trie, &writes);
        write_model(&mut model, &writes);
        assert_eq!(trie.root(), oracle(&model), "after {last:#x}");
        for last in [0x00, 0x01, 0x10, 0x11, 0x12, 0x20, 0x02, 0x30] {
            assert_proves(&trie, &model, sibling(last));
        }
        embedded += count_embedded(trie.slot().expect("not empty"), 0);
    }
    assert!(
        embedded >= 10,
        "the keys were chosen to embed nodes, {embedded} were"
    );
}

fn count_embedded(slot: &Slot<U256>, start: usize) -> usize {
    let below = match slot {
        Slot::Leaf { .. } => 0,
        Slot::Branch { node, .. } => node
            .children()
            .map(|(_, child)| count_embedded(child, node.depth() + 1))
            .sum(),
    };
    below + usize::from(slot.encode(start).as_slice().len() < HASHED_FROM_BYTES)
}

/// A proof lists no embedded node twice, but always the root.
#[test]
fn proofs_leave_embedded_nodes_in_their_parent() {
    let mut trie = Trie::default();
    write(
        &mut trie,
        &vec![(sibling(0x10), U256::from(1)), (sibling(0x11), U256::from(2))],
    );
    let proof: Vec<Bytes> = trie.prove(&sibling(0x10));
    assert_eq!(proof.len(), 1, "extension with the branch and both leaves inside");
}

#[test]
fn writes_without_effect_keep_the_hashes() {
    let mut trie = Trie::default();
    let keys: Vec<B256> = (0..200).map(hashed).collect();
    write(&mut trie, &keys.iter().map(|key| (*key, U256::from(7))).collect());
    trie.root();
    let absent = hashed(1_000);
    assert!(!write(
        &mut trie,
        &vec![(absent, U256::ZERO), (keys[3], U256::from(7))]
    ));
    assert!(
        trie.slot().expect("not empty").hash().get().is_some(),
        "nothing to hash again"
    );
    assert!(write(&mut trie, &vec![(keys[3], U256::from(8))]));
    assert!(trie.slot().expect("not empty").hash().get().is_none());
}
