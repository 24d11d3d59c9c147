//! A trie against a sorted map and alloy's full rebuild, on keys chosen to meet what hashed keys hardly ever do: long
//! shared prefixes, embedded nodes, extensions that split and merge. And the memory of its versions against a walk.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use alloy_primitives::{B256, Bytes, U256};
use alloy_rlp::Encodable;
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, proof::verify_proof};
use parking_lot::RwLock;
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    Forest, TrieError,
    forest::{Change, VersionNumber},
    hash::{Dirty, Place},
    leaves::{Leaves, Values},
    node::{Branch, Contract, Link, Slot, nibbles},
    parts::{Parts, Threads},
    path::nibble,
    plan::{Op, Plan},
    proof::prove,
    writer::Writer,
};

type Model = BTreeMap<B256, U256>;
pub(crate) type Writes = Vec<(B256, U256)>;

/// Places of keys, the same for all versions of all tries of a test.
#[derive(Clone, Default)]
struct Places(Arc<RwLock<Known>>);

type Known = (Vec<B256>, HashMap<B256, u32>);

impl Places {
    fn of(&self, key: B256) -> u32 {
        let (keys, places) = &mut *self.0.write();
        *places.entry(key).or_insert_with(|| {
            keys.push(key);
            keys.len() as u32 - 1
        })
    }
}

/// The leaves of one version.
struct ModelLeaves<'m>(&'m Places, &'m Model);

impl Leaves for ModelLeaves<'_> {
    fn keys(&self, places: &[u32], keys: &mut Vec<B256>) -> Result<(), TrieError> {
        let known = &self.0.0.read().0;
        keys.extend(places.iter().map(|place| known[*place as usize]));
        Ok(())
    }

    fn values(&self, places: &[u32], _: &[B256], values: &mut Values) -> Result<(), TrieError> {
        for place in places {
            let key = self.0.0.read().0[*place as usize];
            self.1[&key].encode(&mut values.bytes);
            values.end();
        }
        Ok(())
    }
}

/// A version of a trie of slots.
pub(crate) struct Trie {
    forest: Forest,
    places: Places,
    number: VersionNumber,
    root: Slot,
    model: Model,
}

impl Drop for Trie {
    fn drop(&mut self) {
        self.forest.0.release(self.number, self.root);
    }
}

impl Trie {
    pub(crate) fn empty() -> Self {
        let forest = Forest::new(64 << 20).expect("address space");
        Self {
            number: forest.0.begin(0).version,
            places: Places::default(),
            root: Slot::Empty,
            model: Model::new(),
            forest,
        }
    }

    fn leaves(&self) -> ModelLeaves<'_> {
        ModelLeaves(&self.places, &self.model)
    }

    /// A version that begins as this one, and is changed.
    pub(crate) fn fork(&self, writes: &Writes) -> Self {
        self.root();
        let change = self.forest.0.begin(self.number);
        let mut fork = Self {
            forest: self.forest.clone(),
            places: self.places.clone(),
            number: change.version,
            root: self.root,
            model: self.model.clone(),
        };
        fork.change(change, writes);
        fork
    }

    /// Changes the version itself, if no other began as this one.
    pub(crate) fn write(&mut self, writes: &Writes) -> bool {
        let Some(change) = self.forest.0.resume(self.number) else {
            return false;
        };
        self.change(change, writes);
        true
    }

    fn change(&mut self, change: Change, writes: &Writes) {
        let last: BTreeMap<_, _> = writes.iter().copied().collect();
        let ops: Vec<_> = last
            .iter()
            .map(|(key, value)| {
                let id = self.places.of(*key);
                let slot = if value.is_zero() {
                    Slot::Empty
                } else {
                    Slot::Leaf(id)
                };
                Op { key: *key, id, slot }
            })
            .collect();
        for (key, value) in last {
            if value.is_zero() {
                self.model.remove(&key);
            } else {
                self.model.insert(key, value);
            }
        }
        let forest = &*self.forest.0;
        let mut plan = Plan::default();
        plan.add(self.root, 0, 0..ops.len());
        let threads = if change.version.is_multiple_of(2) {
            Threads::Pool
        } else {
            Threads::One
        };
        let mut parts = Parts::descend(plan, forest, &ops, &self.leaves(), threads).expect("known keys");
        let promise = forest
            .heap
            .promise(parts.units(), 1 + parts.writers())
            .expect("memory");
        let before = forest.heap.used_bytes();
        let mut writer = Writer::new(&forest.heap, change);
        parts.combine(forest, change, &mut writer, &ops);
        let lists = writer.into_lists();
        assert!(
            forest.heap.used_bytes() <= before + parts.units() * 16,
            "no more than was promised"
        );
        let root = parts.result(0);
        drop(promise);
        self.root = root;
        self.forest.0.finish(change, lists.0, lists.1);
    }

    fn root(&self) -> B256 {
        let mut dirty = Dirty::default();
        dirty.add(Link::unknown(self.root), 0, Place::Root);
        let threads = if self.number.is_multiple_of(3) {
            Threads::Pool
        } else {
            Threads::One
        };
        let root = dirty.hash_all(&self.forest.0, &self.leaves(), threads, &|_| Ok(()));
        root.expect("known leaves").unwrap_or(EMPTY_ROOT_HASH)
    }

    pub(crate) fn assert_root(&self) {
        assert_eq!(self.root(), oracle(&self.model), "{:?}", self.model);
    }

    fn prove(&self, key: &B256) -> Vec<Bytes> {
        prove(self.forest.0.arena(), self.root, key, &self.leaves()).expect("known leaves")
    }

    /// Of a trie that is hashed.
    fn assert_proves(&self, key: B256) {
        let expected = self.model.get(&key).map(alloy_rlp::encode);
        let proof = self.prove(&key);
        verify_proof(oracle(&self.model), Nibbles::unpack(key), expected, &proof)
            .unwrap_or_else(|error| panic!("proof of {key} in {:?}: {error}; {proof:?}", self.model));
    }

    /// Checks the shape that makes a trie of given contents unique, and that the leaves are the model's.
    pub(crate) fn assert_sound(&self) {
        let mut leaves = Vec::new();
        self.walk(self.root, 0, &mut leaves);
        let expected: Vec<_> = self.model.keys().map(|key| self.places.of(*key)).collect();
        assert_eq!(leaves, expected);
    }

    fn walk(&self, slot: Slot, start: usize, leaves: &mut Vec<u32>) {
        match slot {
            Slot::Empty | Slot::Contract(_) => {}
            Slot::Leaf(id) => leaves.push(id),
            Slot::Branch(place) => {
                let branch = Branch::at(self.forest.0.arena(), place);
                assert!(branch.head.len() >= 2, "a branch of one child");
                let depth = start + branch.extension().len();
                for at in nibbles(branch.head.children) {
                    let first = leaves.len();
                    self.walk(branch.slot(at), depth + 1, leaves);
                    let key = self.places.0.read().0[leaves[first] as usize];
                    assert_eq!(nibble(&key, depth), at);
                    assert_eq!(branch.extension().shared_with(&key, start), depth - start);
                    if let Slot::Branch(child) = branch.slot(at) {
                        let child = Branch::at(self.forest.0.arena(), child);
                        assert!(child.head.birth <= branch.head.birth, "nothing below is younger");
                    }
                }
            }
        }
    }
}

fn oracle(model: &Model) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in model {
        builder.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(value));
    }
    builder.root()
}

/// Bytes of all nodes that these versions, and those on the way between them, see.
fn reachable_bytes(forest: &Forest, versions: &[&Trie]) -> u64 {
    let mut slots = forest.0.kept_roots();
    slots.extend(versions.iter().map(|version| version.root));
    let arena = forest.0.arena();
    let mut seen = HashSet::new();
    let mut units = 0;
    while let Some(slot) = slots.pop() {
        match slot {
            Slot::Branch(place) if seen.insert(place) => {
                let branch = Branch::at(arena, place);
                units += branch.head.units() as u64;
                slots.extend(nibbles(branch.head.children).map(|at| branch.slot(at)));
            }
            Slot::Contract(place) if seen.insert(place) => {
                units += 4;
                slots.push(Contract::load(arena, place).root.slot);
            }
            _ => {}
        }
    }
    units * 16
}

pub(crate) fn assert_no_leak(versions: &[&Trie]) {
    let Some(first) = versions.first() else { return };
    first.forest.sweep();
    assert_eq!(
        first.forest.usage().used_bytes,
        reachable_bytes(&first.forest, versions)
    );
}

/// Keys that part at a few depths only, so that whole paths are shared and nodes at the bottom are embedded.
fn key() -> impl Strategy<Value = B256> {
    let turn = (
        select(vec![
            0usize, 1, 2, 15, 16, 17, 18, 29, 30, 32, 33, 34, 48, 49, 50, 55, 56, 57, 60, 61, 62, 63,
        ]),
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

fn writes(most: usize) -> impl Strategy<Value = Writes> {
    vec((key(), value()), 1..most)
}

fn batches() -> impl Strategy<Value = Vec<Writes>> {
    vec(writes(30), 20..40)
}

/// What is done to a set of versions; numbers are taken modulo how many there are.
#[derive(Clone, Debug)]
enum Step {
    Fork(usize, Writes),
    Write(usize, Writes),
    Drop(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let version = 0..64usize;
    let step = prop_oneof![
        4 => (version.clone(), writes(12)).prop_map(|(version, writes)| Step::Fork(version, writes)),
        2 => (version.clone(), writes(12)).prop_map(|(version, writes)| Step::Write(version, writes)),
        3 => version.prop_map(Step::Drop),
    ];
    vec(step, 1..60)
}

proptest! {
    /// 256 cases of about 440 operations by default; `PROPTEST_CASES` sets more.
    #[test]
    fn equals_a_full_rebuild_after_every_batch(batches in batches()) {
        let mut trie = Trie::empty();
        for (number, writes) in batches.iter().enumerate() {
            match number % 3 {
                0 => trie = trie.fork(writes),
                _ => assert!(trie.write(writes)),
            }
            trie.assert_sound();
            if number % 4 != 0 {
                trie.assert_root();
                trie.assert_proves(writes[0].0);
            }
        }
        trie.assert_root();
        for key in trie.model.keys() {
            trie.assert_proves(*key);
        }
        assert_no_leak(&[&trie]);
        let mut rebuilt = Trie::empty();
        rebuilt.write(&trie.model.clone().into_iter().collect());
        rebuilt.assert_root();
        rebuilt.assert_sound();
        prop_assert_eq!(rebuilt.forest.usage().used_bytes, trie.forest.usage().used_bytes);
        let all = trie.model.keys().map(|key| (*key, U256::ZERO)).collect();
        trie.write(&all);
        prop_assert_eq!(trie.root, Slot::Empty);
        trie.assert_root();
        trie.forest.sweep();
        prop_assert_eq!(trie.forest.usage().used_bytes, 0);
    }

    #[test]
    fn order_and_batching_do_not_matter(writes in writes(60), cut in 0..60usize) {
        let (first, second) = writes.split_at(cut.min(writes.len()));
        let (mut at_once, mut in_two, mut one_by_one) = (Trie::empty(), Trie::empty(), Trie::empty());
        at_once.write(&writes);
        for part in [first, second] {
            in_two.write(&part.to_vec());
            in_two.root();
        }
        for each in &writes {
            one_by_one.write(&vec![*each]);
        }
        prop_assert_eq!(at_once.root(), in_two.root());
        prop_assert_eq!(at_once.root(), one_by_one.root());
        at_once.assert_root();
    }

    /// Whatever is forked, changed and dropped in whatever order: every version keeps its contents, and the memory in
    /// use is what they can reach.
    #[test]
    fn versions_keep_what_they_see_and_nothing_more(steps in steps(), sweeps in any::<bool>()) {
        let mut versions = vec![Trie::empty()];
        for step in steps {
            let count = versions.len();
            match step {
                Step::Fork(version, writes) => {
                    let fork = versions[version % count].fork(&writes);
                    versions.push(fork);
                }
                Step::Write(version, writes) => {
                    versions[version % count].write(&writes);
                }
                Step::Drop(version) if count > 1 => {
                    versions.swap_remove(version % count);
                }
                Step::Drop(_) => {}
            }
            if sweeps {
                assert_no_leak(&versions.iter().collect::<Vec<_>>());
            }
        }
        for version in &versions {
            version.assert_sound();
            version.assert_root();
        }
        assert_no_leak(&versions.iter().collect::<Vec<_>>());
        let forest = versions[0].forest.clone();
        drop(versions);
        forest.sweep();
        prop_assert_eq!(forest.usage().used_bytes, 0);
        prop_assert_eq!(forest.usage().versions, 0);
    }
}

fn sibling(last: u8) -> B256 {
    let mut key = B256::repeat_byte(0x77);
    key[31] = last;
    key
}

/// Leaves of one nibble and a small value take three bytes; the branch of two of them stands in its extension.
#[test]
fn embeds_leaves_and_branches() {
    let mut trie = Trie::empty();
    let lasts = [0x00, 0x01, 0x10, 0x11, 0x12, 0x20, 0x02, 0x30];
    for last in &lasts[..6] {
        trie.write(&vec![(sibling(*last), U256::from(last + 1))]);
        trie.assert_root();
        for last in lasts {
            trie.assert_proves(sibling(last));
        }
    }
    for last in lasts {
        trie.write(&vec![(sibling(last), U256::MAX)]);
        trie.assert_root();
    }
    for last in lasts {
        trie.write(&vec![(sibling(last), U256::ZERO)]);
        trie.assert_root();
    }
}

/// A proof lists no embedded node twice, but always the root.
#[test]
fn proofs_leave_embedded_nodes_in_their_parent() {
    let mut trie = Trie::empty();
    trie.write(&vec![
        (sibling(0x10), U256::from(1)),
        (sibling(0x11), U256::from(2)),
    ]);
    trie.assert_root();
    let proof = trie.prove(&sibling(0x10));
    assert_eq!(proof.len(), 1, "extension with the branch and both leaves inside");
}
