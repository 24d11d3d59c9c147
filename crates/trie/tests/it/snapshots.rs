//! A clone is a snapshot: it keeps root, values and proofs, alone, across drafts and from many threads.

use std::thread;

use alloy_primitives::{Address, U256};
use proptest::prelude::*;
use rapid_primitives::{AccountChange, Fate};

use crate::model::{Tracked, address, batches, slot};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn clones_stay_as_they_were(batches in batches()) {
        let mut trie = Tracked::default();
        let mut kept = Vec::new();
        for (number, changes) in batches.iter().enumerate() {
            kept.push(trie.clone());
            trie.apply(changes);
            // Snapshots of both kinds: of nodes that were hashed before the clone, and that were not.
            if number % 2 == 0 {
                trie.assert_root();
            }
        }
        for then in &kept {
            then.assert_root();
            for number in 0..24 {
                then.assert_proves(address(number), &[slot(1), slot(19)]);
            }
        }
        // In any order, and those on the way between others too.
        while !kept.is_empty() {
            kept.swap_remove(kept.len() / 2);
        }
        trie.assert_root();
        trie.forest.sweep();
        let rebuilt = trie.rebuilt();
        rebuilt.assert_root();
        prop_assert_eq!(trie.forest.usage().used_bytes, rebuilt.forest.usage().used_bytes);
        prop_assert_eq!(trie.forest.usage().versions, 1);
    }

    /// Two drafts on one parent, as when a proposed block and its rival are both executed.
    #[test]
    fn drafts_on_one_parent_do_not_meet(parent in batches(), left in batches(), right in batches()) {
        let mut trie = Tracked::default();
        for changes in &parent {
            trie.apply(changes);
        }
        let (mut a, mut b) = (trie.clone(), trie.clone());
        for (changes_a, changes_b) in left.iter().zip(&right) {
            a.apply(changes_a);
            b.apply(changes_b);
            a.assert_root();
            b.assert_root();
        }
        trie.assert_root();
        drop(trie);
        a.assert_root();
        let forest = a.forest.clone();
        drop(a);
        b.assert_root();
        forest.sweep();
        prop_assert_eq!(forest.usage().used_bytes, b.rebuilt().forest.usage().used_bytes);
        drop(b);
        forest.sweep();
        prop_assert_eq!(forest.usage().used_bytes, 0);
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
    let mut trie = Tracked::default();
    trie.apply(&changes);
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
    let expected = trie.model.root();
    assert!(roots.iter().all(|root| *root == expected));
}

/// One contract with many slots among many accounts with few: work is handed out in both tries, by several callers
/// at once, and nodes are made and given up by many threads.
#[test]
fn a_pool_gives_the_same_root() {
    let mut trie = Tracked::default();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(4)
        .build()
        .expect("threads start");
    for round in 1..6u64 {
        let changes: Vec<_> = (0..3_000u64)
            .map(|number| {
                let hash = alloy_primitives::keccak256(number.to_be_bytes());
                let mut change = AccountChange::new(Address::from_word(hash));
                change.nonce = Some(round);
                if (number + round) % 7 == 0 {
                    change.fate = Fate::Removed;
                    change.nonce = None;
                    return change;
                }
                let slots = if number == 7 { 3_000 } else { number % 3 };
                change.storage = (0..slots)
                    .map(|slot| (U256::from(slot), U256::from((slot + number) % 5 * round)))
                    .collect();
                change
            })
            .collect();
        let before = (round % 2 == 0).then(|| trie.clone());
        trie.apply_with(&pool, &changes);
        let expected = trie.model.root();
        thread::scope(|scope| {
            for _ in 0..2 {
                let (clone, pool) = (trie.trie.clone(), &pool);
                scope.spawn(move || assert_eq!(clone.root_with(pool), Ok(expected)));
            }
        });
        assert_eq!(trie.trie.root_with(&pool), Ok(expected));
        before.iter().for_each(Tracked::assert_root);
    }
    trie.forest.sweep();
    let rebuilt = trie.rebuilt();
    rebuilt.assert_root();
    assert_eq!(trie.forest.usage().used_bytes, rebuilt.forest.usage().used_bytes);
}
