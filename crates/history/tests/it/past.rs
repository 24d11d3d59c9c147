//! The state after every block is what a simple model says it was.

use std::sync::Arc;

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use proptest::prelude::*;
use rapid_history::{AccountRevert, BlockReverts, History, Past, PastError};
use rapid_primitives::Account;

use crate::state_chain::{Action, StateChain, actions, address, addresses, code, slots};

/// Compares all that can be asked about past state with the model; `first` is the first block whose state is kept.
pub(crate) fn check_past(history: &History, model: &StateChain, first: u64) {
    let head = model.states.len() as u64 - 1;
    assert_eq!(history.first_state_block().unwrap(), Some(first));
    for number in 0..first {
        let refused = history.state_after(number).map(|_| ());
        assert!(
            matches!(refused, Err(PastError::NotKept { number: asked, first: oldest })
                if (asked, oldest) == (number, first)),
            "{refused:?}"
        );
        assert_eq!(history.reverts(number).unwrap(), None);
    }
    for number in first..=head {
        check_state(history, model, number);
    }
    for number in first + 1..=head {
        let reverts = &*model.chain.records[number as usize].reverts;
        assert_eq!(history.reverts(number).unwrap().as_ref(), Some(reverts));
    }
    for number in [head + 1, u64::MAX] {
        let refused = history.account_after(number, &Address::ZERO);
        assert!(
            matches!(refused, Err(PastError::NotStored { head: Some(newest), .. }) if newest == head),
            "{refused:?}"
        );
        assert_eq!(history.reverts(number).unwrap(), None);
    }
}

fn check_state(history: &History, model: &StateChain, number: u64) {
    let then = &model.states[number as usize];
    let now = &model.states[model.states.len() - 1];
    let later = &model.chain.records[number as usize + 1..];
    let net = BlockReverts::merged(later.iter().map(|record| &*record.reverts));
    let past = history.state_after(number).unwrap();
    assert_eq!(past.number(), number);
    assert_eq!(Some(past.head()), history.head().unwrap());
    for address in addresses() {
        let revert = net.accounts().iter().find(|revert| revert.address == address);
        let account = past.account(&address).unwrap();
        assert_eq!(account, revert.map_or(Past::Unchanged, |revert| revert.account));
        let account = account.or_now(|| Ok::<_, ()>(now.accounts.get(&address).copied()));
        assert_eq!(account, Ok(then.accounts.get(&address).copied()));
        for slot in slots() {
            let value = history.storage_after(number, &address, &slot).unwrap();
            assert_eq!(past.storage(&address, &slot).unwrap(), value);
            let value = value.or_now(|| Ok::<_, ()>(now.slot(address, slot)));
            assert_eq!(value, Ok(then.slot(address, slot)));
        }
    }
    assert_eq!(history.reverts_to(number).unwrap(), net);
    let mut reverted = now.clone();
    reverted.revert(&net);
    assert_eq!(&reverted, then);
    check_codes(history, model);
}

fn check_codes(history: &History, model: &StateChain) {
    for code in model.chain.records.iter().flat_map(|record| &record.codes) {
        assert_eq!(history.code(&code.hash).unwrap().as_ref(), Some(&code.code));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn random_changes(blocks in prop::collection::vec(actions(), 0..12), split: prop::sample::Index) {
        let dir = tempfile::tempdir().unwrap();
        let model = StateChain::of(&blocks);
        let records = &model.chain.records;
        let split = split.index(records.len());
        {
            let history = model.chain.open(dir.path());
            history.append(&records[..split]).unwrap();
            // Overlapping with what is there.
            history.append(&records[split / 2..]).unwrap();
            check_past(&history, &model, 0);
        }
        check_past(&model.chain.open(dir.path()), &model, 0);
    }

    #[test]
    fn unwinding_and_another_branch(
        blocks in prop::collection::vec(actions(), 1..10),
        branch in prop::collection::vec(actions(), 0..6),
        keep: prop::sample::Index,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = StateChain::of(&blocks);
        let history = model.chain.open(dir.path());
        history.append(&model.chain.records).unwrap();
        let keep = keep.index(model.states.len());
        history.unwind_to(keep as u64).unwrap();
        let gone = model.clone();
        model.truncate(keep + 1);
        check_past(&history, &model, 0);
        check_codes(&history, &gone);
        branch.iter().for_each(|actions| model.grow_by(actions));
        history.append(&model.chain.records).unwrap();
        check_past(&history, &model, 0);
        drop(history);
        check_past(&model.chain.open(dir.path()), &model, 0);
    }

    #[test]
    fn old_changes_go_and_newer_ones_stay(
        blocks in prop::collection::vec(actions(), 1..10),
        more in prop::collection::vec(actions(), 0..4),
        cuts in prop::collection::vec(0u64..14, 1..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = StateChain::of(&blocks);
        let history = model.chain.open(dir.path());
        history.append(&model.chain.records).unwrap();
        let mut first = 0;
        for cut in cuts {
            history.prune_changes_below(cut).unwrap();
            // At most to the head, the state after which is the live one.
            first = first.max(cut.min(model.states.len() as u64).saturating_sub(1));
            check_past(&history, &model, first);
            prop_assert_eq!(history.prune_changes_below(cut).unwrap(), 0);
        }
        more.iter().for_each(|actions| model.grow_by(actions));
        history.append(&model.chain.records).unwrap();
        check_past(&history, &model, first);
        // Unwinding does not bring back what is gone, but what comes then is kept.
        history.unwind_to(first / 2).unwrap();
        model.truncate(first as usize / 2 + 1);
        check_past(&history, &model, first / 2);
        more.iter().for_each(|actions| model.grow_by(actions));
        history.append(&model.chain.records).unwrap();
        check_past(&history, &model, first / 2);
    }
}

/// A block that pays many accounts and clears one with many slots: several chunks and, when removed, several steps.
fn large_reverts(accounts: u64, slots: u64) -> BlockReverts {
    let paid = |index: u64| AccountRevert {
        address: Address::from_word(B256::from(U256::from(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)))),
        account: Past::Was(Some(Account {
            nonce: index,
            ..Account::default()
        })),
        storage: Vec::new(),
    };
    let mut reverts: Vec<_> = (1..=accounts).map(paid).collect();
    reverts.push(AccountRevert {
        address: Address::repeat_byte(0xff),
        account: Past::Was(None),
        storage: (0..slots)
            .map(|slot| (!U256::from(slot), U256::from(slot)))
            .collect(),
    });
    BlockReverts::new(reverts)
}

#[test]
fn large_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = StateChain::of(&vec![Vec::new(); 4]);
    let history = model.chain.open(dir.path());
    let reverts = Arc::new(large_reverts(30_000, 10_000));
    for record in &mut model.chain.records[1..] {
        record.reverts = Arc::clone(&reverts);
    }
    history.append(&model.chain.records).unwrap();
    assert_eq!(history.reverts(4).unwrap().as_ref(), Some(&*reverts));
    assert_eq!(history.reverts_to(0).unwrap(), *reverts);

    assert_eq!(history.prune_changes_below(4).unwrap(), 3 * 40_001);
    assert_eq!(history.reverts(3).unwrap(), None);
    assert_eq!(history.reverts(4).unwrap().as_ref(), Some(&*reverts));
    assert_eq!(history.reverts_to(3).unwrap(), *reverts);

    assert_eq!(history.unwind_to(2).unwrap(), 2);
    history.append(&model.chain.records).unwrap();
    assert_eq!(history.reverts_to(2).unwrap(), *reverts);
    let last = Address::repeat_byte(0xff);
    let slot = !U256::from(9_999);
    assert_eq!(history.account_after(2, &last).unwrap(), Past::Was(None));
    assert_eq!(
        history.storage_after(2, &last, &slot).unwrap(),
        Past::Was(U256::from(9_999))
    );
    assert_eq!(history.storage_after(4, &last, &slot).unwrap(), Past::Unchanged);
}

#[test]
fn code_outlives_the_contract_and_its_block() {
    let dir = tempfile::tempdir().unwrap();
    let model = StateChain::of(&[
        vec![(0, Action::Deploy(2)), (1, Action::Deploy(0))],
        vec![(0, Action::Remove)],
        vec![(2, Action::Deploy(2))],
    ]);
    let history = model.chain.open(dir.path());
    history.append(&model.chain.records).unwrap();
    let destroyed = history.account_after(1, &address(0)).unwrap();
    assert!(
        matches!(destroyed, Past::Was(Some(account)) if account.code_hash == code(2).hash),
        "{destroyed:?}"
    );
    history.unwind_to(0).unwrap();
    for index in [1, 2] {
        assert_eq!(history.code(&code(index).hash).unwrap(), Some(code(index).code));
    }
    assert_eq!(
        history.code(&KECCAK256_EMPTY).unwrap(),
        Some(code(0).code),
        "a delegation that was cleared"
    );
    assert_eq!(history.code(&code(3).hash).unwrap(), None);
}

#[test]
fn a_past_state_is_of_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let model = StateChain::of(&[vec![(0, Action::Pay(1))], vec![(0, Action::Pay(2))]]);
    let records = &model.chain.records;
    let history = model.chain.open(dir.path());
    assert!(matches!(
        history.state_after(0),
        Err(PastError::NotStored {
            number: 0,
            head: None
        })
    ));
    assert_eq!(history.first_state_block().unwrap(), None);
    history.append(&records[..2]).unwrap();
    let past = history.state_after(1).unwrap();
    history.append(&records[2..]).unwrap();
    assert_eq!(past.account(&address(0)).unwrap(), Past::Unchanged);
    assert_eq!(past.head().number, 1);
    assert_eq!(
        history.account_after(1, &address(0)).unwrap(),
        Past::Was(model.states[1].accounts.get(&address(0)).copied())
    );
}
