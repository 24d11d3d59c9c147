//! A clone is a snapshot: it keeps root, values and proofs, alone, across drafts and from many threads.

use std::thread;

use alloy_primitives::{Address, U256};
use proptest::prelude::*;
use rapid_primitives::AccountChange;
use rapid_trie::StateTrie;

use crate::model::{Model, address, batches, slot};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn clones_stay_as_they_were(batches in batches()) {
        let mut trie = StateTrie::default();
        let mut model = Model::default();
        let mut kept = Vec::new();
        for (number, changes) in batches.iter().enumerate() {
            kept.push((trie.clone(), model.clone()));
            trie.apply(changes);
            model.apply(changes);
            // Snapshots of both kinds: of nodes that were hashed before the clone, and that were not.
            if number % 2 == 0 {
                prop_assert_eq!(trie.root(), model.root());
            }
        }
        for (clone, then) in &kept {
            prop_assert_eq!(clone.root(), then.root());
            for number in 0..24 {
                then.assert_proves(clone, address(number), &[slot(1), slot(19)]);
            }
        }
    }

    /// Two drafts on one parent, as when a proposed block and its rival are both executed.
    #[test]
    fn drafts_on_one_parent_do_not_meet(parent in batches(), left in batches(), right in batches()) {
        let mut trie = StateTrie::default();
        let mut model = Model::default();
        for changes in &parent {
            trie.apply(changes);
            model.apply(changes);
        }
        let (mut a, mut b) = (trie.clone(), trie.clone());
        let (mut model_a, mut model_b) = (model.clone(), model.clone());
        for (changes_a, changes_b) in left.iter().zip(&right) {
            a.apply(changes_a);
            model_a.apply(changes_a);
            b.apply(changes_b);
            model_b.apply(changes_b);
            prop_assert_eq!(a.root(), model_a.root());
            prop_assert_eq!(b.root(), model_b.root());
        }
        prop_assert_eq!(trie.root(), model.root());
    }
}

#[test]
fn threads_may_ask_for_the_root_at_once() {
    let changes: Vec<_> = (0..2_000u64)
        .map(|number| {
            let hash = alloy_primitives::keccak256(number.to_be_bytes());
            let mut change = AccountChange::new(Address::from_word(hash));
            change.nonce = Some(number + 1);
            change
        })
        .collect();
    let mut trie = StateTrie::default();
    trie.apply(&changes);
    let mut model = Model::default();
    model.apply(&changes);
    let roots: Vec<_> = thread::scope(|scope| {
        let askers: Vec<_> = (0..8)
            .map(|_| {
                let clone = trie.clone();
                scope.spawn(move || clone.root())
            })
            .collect();
        askers
            .into_iter()
            .map(|asker| asker.join().expect("no panic"))
            .collect()
    });
    assert!(roots.iter().all(|root| *root == model.root()));
}

/// One contract with many slots among many accounts with few: work is handed out in both tries, by several callers
/// at once.
#[test]
fn a_pool_gives_the_same_root() {
    let mut model = Model::default();
    let mut trie = StateTrie::default();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(4)
        .build()
        .expect("threads start");
    for round in 1..4u64 {
        let changes: Vec<_> = (0..3_000u64)
            .map(|number| {
                let hash = alloy_primitives::keccak256(number.to_be_bytes());
                let mut change = AccountChange::new(Address::from_word(hash));
                change.nonce = Some(round);
                let slots = if number == 7 { 3_000 } else { number % 3 };
                change.storage = (0..slots)
                    .map(|slot| (U256::from(slot), U256::from(slot % 5 * round)))
                    .collect();
                change
            })
            .collect();
        trie.apply(&changes);
        model.apply(&changes);
        let expected = model.root();
        thread::scope(|scope| {
            for _ in 0..2 {
                let (clone, pool) = (trie.clone(), &pool);
                scope.spawn(move || assert_eq!(clone.root_with(pool), expected));
            }
        });
        assert_eq!(trie.root_with(&pool), expected);
    }
}
