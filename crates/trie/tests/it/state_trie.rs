//! Roots, merging of partial changes, proofs.

use alloy_primitives::{B256, Bytes, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use proptest::prelude::*;
use rapid_primitives::{Account, AccountChange, CodeChange, Fate};

use crate::model::{Tracked, address, batches, slot};

proptest! {
    /// 256 cases of about 200 account changes with three slots each by default; `PROPTEST_CASES` sets more.
    #[test]
    fn equals_a_full_rebuild_after_every_batch(batches in batches()) {
        let mut trie = Tracked::default();
        for changes in &batches {
            trie.apply(changes);
            trie.assert_root();
            if let Some(change) = changes.first() {
                trie.assert_proves(change.address, &[slot(0), slot(3), slot(200)]);
            }
        }
        trie.rebuilt().assert_root();
        for number in 0..26 {
            trie.assert_proves(address(number), &(0..22).map(slot).collect::<Vec<_>>());
        }
    }

    #[test]
    fn changes_apply_twice_as_once(batches in batches()) {
        let mut trie = Tracked::default();
        for changes in &batches {
            for change in changes {
                trie.apply(std::slice::from_ref(change));
                let once = trie.root();
                trie.apply(std::slice::from_ref(change));
                prop_assert_eq!(trie.root(), once);
            }
        }
    }
}

fn funded(number: u8, storage: &[(u64, u64)]) -> AccountChange {
    let mut change = AccountChange::new(address(number));
    change.nonce = Some(1);
    change.balance = Some(U256::from(number));
    change.code = Some(CodeChange::new(Bytes::from_static(&[0x00])));
    change.storage = storage
        .iter()
        .map(|(slot, value)| (U256::from(*slot), U256::from(*value)))
        .collect();
    change
}

#[test]
fn an_empty_trie_proves_absence_with_no_nodes() {
    let trie = Tracked::default();
    assert_eq!(trie.root(), EMPTY_ROOT_HASH);
    assert_eq!(trie.trie.storage_root(address(1)), Ok(None));
    let proof = trie.trie.proof(address(1), &[slot(1)]).expect("state");
    assert_eq!(proof.account, None);
    assert_eq!(proof.storage_root, EMPTY_ROOT_HASH);
    assert!(proof.account_proof.is_empty());
    assert!(proof.storage[0].proof.is_empty());
    trie.assert_proves(address(1), &[slot(1)]);
}

#[test]
fn a_partial_change_keeps_the_rest() {
    let mut trie = Tracked::default();
    trie.apply(&[funded(1, &[(1, 10), (2, 20)])]);
    let storage_root = trie.trie.storage_root(address(1));
    let mut change = AccountChange::new(address(1));
    change.balance = Some(U256::from(99));
    trie.apply(&[change]);
    let account = trie.trie.account(address(1)).expect("state").expect("exists");
    assert_eq!((account.nonce, account.balance), (1, U256::from(99)));
    assert_eq!(trie.trie.storage_root(address(1)), storage_root);
}

#[test]
fn a_wipe_keeps_only_its_own_slots() {
    let mut trie = Tracked::default();
    trie.apply(&[funded(1, &[(1, 10), (2, 20)])]);
    trie.apply(&[AccountChange {
        fate: Fate::Wiped,
        ..funded(1, &[(2, 21), (3, 30)])
    }]);
    let mut fresh = Tracked::default();
    fresh.apply(&[funded(1, &[(2, 21), (3, 30)])]);
    assert_eq!(trie.root(), fresh.root());
}

#[test]
fn a_removed_account_comes_back_without_its_storage() {
    let mut trie = Tracked::default();
    trie.apply(&[funded(1, &[(1, 10)]), funded(2, &[])]);
    trie.apply(&[AccountChange {
        fate: Fate::Removed,
        ..AccountChange::new(address(1))
    }]);
    assert_eq!(trie.trie.account(address(1)), Ok(None));
    trie.apply(&[funded(1, &[])]);
    assert_eq!(trie.trie.storage_root(address(1)), Ok(Some(EMPTY_ROOT_HASH)));
    trie.apply(&[1, 2].map(|n| AccountChange {
        fate: Fate::Removed,
        ..AccountChange::new(address(n))
    }));
    assert_eq!(trie.root(), EMPTY_ROOT_HASH);
}

#[test]
fn clearing_the_last_slot_gives_the_empty_storage_root() {
    let mut trie = Tracked::default();
    trie.apply(&[funded(1, &[(1, 10)])]);
    assert_ne!(trie.trie.storage_root(address(1)), Ok(Some(EMPTY_ROOT_HASH)));
    trie.apply(&[AccountChange {
        storage: vec![(U256::from(1), U256::ZERO)],
        ..AccountChange::new(address(1))
    }]);
    assert_eq!(trie.trie.storage_root(address(1)), Ok(Some(EMPTY_ROOT_HASH)));
}

#[test]
fn an_account_left_empty_goes_unless_created_empty() {
    let mut trie = Tracked::default();
    let touched = AccountChange {
        balance: Some(U256::ZERO),
        ..AccountChange::new(address(1))
    };
    trie.apply(&[AccountChange {
        balance: Some(U256::from(5)),
        ..touched.clone()
    }]);
    trie.apply(std::slice::from_ref(&touched));
    assert_eq!(trie.root(), EMPTY_ROOT_HASH);
    trie.apply(&[AccountChange {
        fate: Fate::CreatedEmpty,
        ..touched
    }]);
    assert_eq!(trie.trie.account(address(1)), Ok(Some(Account::default())));
}

/// Enough accounts for several levels of branches, with removals that collapse some.
#[test]
fn many_accounts_equal_a_rebuild() {
    let mut trie = Tracked::default();
    for round in 0..20u64 {
        let changes: Vec<AccountChange> = (0..500u64)
            .map(|number| {
                let hash = alloy_primitives::keccak256((round * 250 + number).to_be_bytes());
                let mut change = funded(1, &[(number % 7, round + 1), (number % 5 + 10, round % 2)]);
                change.address = alloy_primitives::Address::from_word(hash);
                change.fate = if number % 11 == round % 11 {
                    Fate::Removed
                } else {
                    Fate::Kept
                };
                change
            })
            .collect();
        trie.apply(&changes);
        trie.assert_root();
    }
    assert!(trie.model.0.len() > 2_000);
    let last = *trie.model.0.keys().next_back().expect("not empty");
    trie.assert_proves(last, &[B256::ZERO, slot(10), slot(11)]);
}

/// Storages of all sizes: more of the small ones than are built together, and some that are larger than that.
#[test]
fn a_trie_built_on_many_threads_is_that_built_on_one() {
    let mut trie = Tracked::default();
    let changes: Vec<AccountChange> = (0..6_000u64)
        .map(|number| {
            let slots = if number % 2_000 == 1_999 {
                6_000
            } else {
                number % 5
            };
            let slots: Vec<_> = (0..slots).map(|slot| (slot, slot + number)).collect();
            let mut change = funded(1, &slots);
            change.address =
                alloy_primitives::Address::from_word(alloy_primitives::keccak256(number.to_be_bytes()));
            change
        })
        .collect();
    trie.apply(&changes);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(4)
        .build()
        .expect("threads");
    for mut rebuilt in [trie.rebuilt(), trie.rebuilt_with(&pool)] {
        rebuilt.assert_root();
        rebuilt.apply(&changes[..100]);
        rebuilt.apply(&[AccountChange {
            fate: Fate::Removed,
            ..AccountChange::new(changes[1_999].address)
        }]);
        rebuilt.assert_root();
    }
}
