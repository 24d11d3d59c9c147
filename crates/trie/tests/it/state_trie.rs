//! Roots, merging of partial changes, proofs.

use alloy_primitives::{B256, Bytes, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use proptest::prelude::*;
use rapid_primitives::{Account, AccountChange, CodeChange, Fate};
use rapid_trie::StateTrie;

use crate::model::{Model, address, batches, slot};

proptest! {
    /// 256 cases of about 200 account changes with three slots each by default; `PROPTEST_CASES` sets more.
    #[test]
    fn equals_a_full_rebuild_after_every_batch(batches in batches()) {
        let mut trie = StateTrie::default();
        let mut model = Model::default();
        for changes in &batches {
            trie.apply(changes);
            model.apply(changes);
            prop_assert_eq!(trie.root(), model.root());
            if let Some(change) = changes.first() {
                model.assert_proves(&trie, change.address, &[slot(0), slot(3), slot(200)]);
            }
        }
        prop_assert_eq!(model.trie().root(), model.root());
        for number in 0..26 {
            model.assert_proves(&trie, address(number), &(0..22).map(slot).collect::<Vec<_>>());
        }
    }

    #[test]
    fn changes_apply_twice_as_once(batches in batches()) {
        let mut trie = StateTrie::default();
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
    let trie = StateTrie::default();
    assert_eq!(trie.root(), EMPTY_ROOT_HASH);
    assert_eq!(trie.storage_root(address(1)), None);
    let proof = trie.proof(address(1), &[slot(1)]);
    assert_eq!(proof.account, None);
    assert_eq!(proof.storage_root, EMPTY_ROOT_HASH);
    assert!(proof.account_proof.is_empty());
    assert!(proof.storage[0].proof.is_empty());
    Model::default().assert_proves(&trie, address(1), &[slot(1)]);
}

#[test]
fn a_partial_change_keeps_the_rest() {
    let mut trie = StateTrie::default();
    trie.apply(&[funded(1, &[(1, 10), (2, 20)])]);
    let storage_root = trie.storage_root(address(1));
    let mut change = AccountChange::new(address(1));
    change.balance = Some(U256::from(99));
    trie.apply(&[change]);
    let account = trie.account(address(1)).expect("exists");
    assert_eq!((account.nonce, account.balance), (1, U256::from(99)));
    assert_eq!(trie.storage_root(address(1)), storage_root);
}

#[test]
fn a_wipe_keeps_only_its_own_slots() {
    let mut trie = StateTrie::default();
    trie.apply(&[funded(1, &[(1, 10), (2, 20)])]);
    trie.apply(&[AccountChange {
        fate: Fate::Wiped,
        ..funded(1, &[(2, 21), (3, 30)])
    }]);
    let mut fresh = StateTrie::default();
    fresh.apply(&[funded(1, &[(2, 21), (3, 30)])]);
    assert_eq!(trie.root(), fresh.root());
}

#[test]
fn a_removed_account_comes_back_without_its_storage() {
    let mut trie = StateTrie::default();
    trie.apply(&[funded(1, &[(1, 10)]), funded(2, &[])]);
    trie.apply(&[AccountChange {
        fate: Fate::Removed,
        ..AccountChange::new(address(1))
    }]);
    assert_eq!(trie.account(address(1)), None);
    trie.apply(&[funded(1, &[])]);
    assert_eq!(trie.storage_root(address(1)), Some(EMPTY_ROOT_HASH));
    trie.apply(&[1, 2].map(|n| AccountChange {
        fate: Fate::Removed,
        ..AccountChange::new(address(n))
    }));
    assert_eq!(trie.root(), EMPTY_ROOT_HASH);
}

#[test]
fn clearing_the_last_slot_gives_the_empty_storage_root() {
    let mut trie = StateTrie::default();
    trie.apply(&[funded(1, &[(1, 10)])]);
    assert_ne!(trie.storage_root(address(1)), Some(EMPTY_ROOT_HASH));
    trie.apply(&[AccountChange {
        storage: vec![(U256::from(1), U256::ZERO)],
        ..AccountChange::new(address(1))
    }]);
    assert_eq!(trie.storage_root(address(1)), Some(EMPTY_ROOT_HASH));
}

#[test]
fn an_account_left_empty_goes_unless_created_empty() {
    let mut trie = StateTrie::default();
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
    assert_eq!(trie.account(address(1)), Some(Account::default()));
}

#[test]
fn building_takes_the_last_of_equal_keys_and_no_zero_slots() {
    let account = Account {
        nonce: 1,
        ..Account::default()
    };
    let storage = |value: u64| vec![(U256::from(1), U256::from(value)), (U256::from(2), U256::ZERO)];
    let twice = [
        (address(1), Account::default(), storage(4)),
        (address(1), account, storage(5)),
    ];
    let once = [(address(1), account, vec![(U256::from(1), U256::from(5))])];
    assert_eq!(
        StateTrie::from_accounts(twice).root(),
        StateTrie::from_accounts(once).root()
    );
}

/// Enough accounts for several levels of branches, with removals that collapse some.
#[test]
fn many_accounts_equal_a_rebuild() {
    let mut model = Model::default();
    let mut trie = StateTrie::default();
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
        model.apply(&changes);
        assert_eq!(trie.root(), model.root(), "round {round}");
    }
    assert!(model.0.len() > 2_000);
    let last = *model.0.keys().next_back().expect("not empty");
    model.assert_proves(&trie, last, &[B256::ZERO, slot(10), slot(11)]);
}
