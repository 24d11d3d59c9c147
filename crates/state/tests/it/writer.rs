//! Writers: credits without reads, fees withheld until the next version.

use alloy_primitives::{Address, U256};
use rapid_primitives::{AccountChange, CommitSequence, Fate, ReadState};
use rapid_state::{Commit, Conflict, Credit, Draft, ReadSet, State, StateConfig, StateKey, Writer};

use crate::model::{address, balance, code, contract, removed, slots, wiped};

const BENEFICIARY: Address = Address::repeat_byte(0xbe);

fn state() -> State {
    State::new(StateConfig::default()).unwrap()
}

fn credit(index: u8, wei: u64) -> Credit {
    Credit {
        address: address(index),
        wei: U256::from(wei),
    }
}

/// Commits without reads; returns the sequence and the balances.
fn commit(
    writer: &mut Writer,
    changes: &[AccountChange],
    credits: &[Credit],
    withheld: u64,
) -> Result<(CommitSequence, Vec<u64>), Conflict> {
    let committed = writer.commit(&Commit {
        reads: &ReadSet::new(),
        changes,
        credits,
        withheld: U256::from(withheld),
    })?;
    let balances = committed.balances().iter().map(|balance| balance.to());
    Ok((committed.sequence, balances.collect()))
}

fn balance_of<R: ReadState>(view: &R, address: Address) -> u64 {
    let account = view.account(&address).ok().flatten();
    account.map_or(0, |account| account.balance.to())
}

#[test]
fn a_credit_is_added_to_what_is_there() {
    let state = state();
    let (mut one, mut other) = (state.writer(), state.writer());
    commit(&mut one, &[balance(address(0), 5)], &[], 0).unwrap();
    let (_, balances) = commit(&mut one, &[], &[credit(0, 3), credit(1, 7)], 0).unwrap();
    assert_eq!(balances, [8, 7]);
    let (_, balances) = commit(&mut other, &[], &[credit(1, 1), credit(0, 1), credit(1, 1)], 0).unwrap();
    assert_eq!(balances, [8, 9, 9]);
    let newest = state.newest();
    assert_eq!([0, 1].map(|index| balance_of(&newest, address(index))), [9, 9]);
    assert_eq!(newest.account(&address(1)).unwrap().unwrap().nonce, 0);
}

#[test]
fn a_credit_comes_after_the_changes() {
    let state = state();
    let mut writer = state.writer();
    commit(&mut writer, &[contract(address(0), &[(1, 1)])], &[], 0).unwrap();
    let changes = [balance(address(0), 40), removed(address(1))];
    let (_, balances) = commit(&mut writer, &changes, &[credit(0, 2), credit(1, 3)], 0).unwrap();
    assert_eq!(balances, [42, 3]);
    assert_eq!(
        state.newest().storage(&address(0), &U256::ONE).unwrap(),
        U256::ONE
    );
}

#[test]
fn nothing_added_to_nothing_makes_nothing() {
    let state = state();
    let mut writer = state.writer();
    let (_, balances) = commit(&mut writer, &[], &[credit(0, 0)], 0).unwrap();
    assert_eq!(balances, [0]);
    assert_eq!(state.usage().account_entries, 0);
    // An entry that stays because the past is seen through it.
    commit(&mut writer, &[balance(address(0), 1)], &[], 0).unwrap();
    let held = state.get_at(state.cut()).unwrap();
    commit(&mut writer, &[removed(address(0))], &[], 0).unwrap();
    let (_, balances) = commit(&mut writer, &[], &[credit(0, 0)], 0).unwrap();
    assert_eq!(balances, [0]);
    assert_eq!(state.newest().account(&address(0)).unwrap(), None);
    assert_eq!(balance_of(&held, address(0)), 1);
}

#[test]
fn what_has_code_is_not_credited() {
    let delegated = AccountChange {
        code: Some(code(2)),
        ..AccountChange::new(address(0))
    };
    for with_code in [wiped(address(0), 1), delegated] {
        let state = state();
        let mut writer = state.writer();
        commit(&mut writer, &[with_code, contract(address(1), &[(1, 1)])], &[], 0).unwrap();
        let entries = || (state.usage().account_entries, state.usage().slot_entries);
        let before = entries();
        for wei in [0, 1] {
            let refused = commit(
                &mut writer,
                &[balance(address(2), 1), slots(address(1), &[(1, 2), (2, 2)])],
                &[credit(3, 1), credit(0, wei)],
                5,
            );
            let key = StateKey::Account(address(0));
            assert_eq!(refused, Err(Conflict { key }));
            assert_eq!(entries(), before, "no trace is left");
        }
        assert_eq!(balance_of(&state.newest(), address(0)), 0);
        assert_eq!(
            state.newest().storage(&address(1), &U256::ONE).unwrap(),
            U256::ONE
        );
    }
}

#[test]
fn a_balance_does_not_wrap() {
    let state = state();
    let rich = AccountChange {
        balance: Some(U256::MAX),
        ..AccountChange::new(address(0))
    };
    let mut writer = state.writer();
    commit(&mut writer, &[rich], &[], 0).unwrap();
    let credit = |wei| Credit {
        address: address(0),
        wei: U256::from(wei),
    };
    let mut credited = |wei| {
        let credits = [credit(wei)];
        let commit = Commit {
            reads: &ReadSet::new(),
            changes: &[],
            credits: &credits,
            withheld: U256::ZERO,
        };
        writer.commit(&commit).map(|committed| committed.balances()[0])
    };
    assert_eq!(credited(0), Ok(U256::MAX));
    let key = StateKey::Account(address(0));
    assert_eq!(credited(1), Err(Conflict { key }));
}

#[test]
fn a_credit_conflicts_with_no_reader_but_those_of_the_account() {
    let state = state();
    let mut writer = state.writer();
    commit(
        &mut writer,
        &[balance(address(0), 5), balance(address(1), 5)],
        &[],
        0,
    )
    .unwrap();
    for (index, holds) in [(0, false), (1, true)] {
        let reader = state.recording();
        reader.account(&address(index)).unwrap();
        commit(&mut writer, &[], &[credit(0, 1)], 0).unwrap();
        let refused = state.commit(&reader.take_reads(), &[]);
        assert_eq!(refused.is_ok(), holds);
    }
}

#[test]
fn fees_are_the_beneficiarys_with_the_next_version() {
    let state = state();
    state.withhold_for(BENEFICIARY);
    let (mut one, mut other) = (state.writer(), state.writer());
    let (first, _) = commit(&mut one, &[balance(address(0), 1)], &[], 3).unwrap();
    commit(&mut other, &[balance(address(1), 1)], &[], 4).unwrap();
    let (last, _) = commit(&mut one, &[], &[], 5).unwrap();
    assert_eq!(balance_of(&state.newest(), BENEFICIARY), 0);
    let cut = state.cut();
    assert_eq!(cut.0, last.0 + 1, "fees are a commit of their own");
    assert!(state.get_at(last).is_err() && state.get_at(first).is_err());
    assert_eq!(balance_of(&state.get_at(cut).unwrap(), BENEFICIARY), 12);
    assert_eq!(state.cut(), cut, "nothing is left to be paid");
    commit(&mut other, &[], &[], 1).unwrap();
    assert_eq!(balance_of(&state.get_at(cut).unwrap(), BENEFICIARY), 12);
    state.publish(cut);
    assert_eq!(balance_of(&state.published(), BENEFICIARY), 12);
    assert_eq!(balance_of(&state.get_at(state.cut()).unwrap(), BENEFICIARY), 13);
}

#[test]
fn every_beneficiary_gets_what_was_withheld_for_it() {
    let state = state();
    let mut writer = state.writer();
    // One with code: paying runs none.
    commit(&mut writer, &[wiped(BENEFICIARY, 1)], &[], 0).unwrap();
    state.withhold_for(BENEFICIARY);
    commit(&mut writer, &[], &[], 3).unwrap();
    state.withhold_for(BENEFICIARY);
    assert_eq!(balance_of(&state.newest(), BENEFICIARY), 0);
    state.withhold_for(address(0));
    assert_eq!(balance_of(&state.newest(), BENEFICIARY), 3);
    commit(&mut writer, &[], &[credit(0, 1)], 4).unwrap();
    let version = state.get_at(state.cut()).unwrap();
    assert_eq!(balance_of(&version, BENEFICIARY), 3);
    assert_eq!(balance_of(&version, address(0)), 5);
}

#[test]
#[should_panic(expected = "named before")]
fn fees_of_nobody_are_a_mistake() {
    let _ = commit(&mut state().writer(), &[], &[], 1);
}

#[test]
fn a_rewind_takes_fees_back_and_a_draft_stands_on_them() {
    let state = state();
    state.withhold_for(BENEFICIARY);
    let mut writer = state.writer();
    commit(&mut writer, &[balance(address(0), 1)], &[], 3).unwrap();
    let base = state.cut();
    let mut draft = Draft::begin(state.get_at(base).unwrap());
    draft.apply(&[balance(address(1), 9)]).unwrap();
    commit(&mut writer, &[], &[], 4).unwrap();
    assert!(draft.adopt(&state).is_err(), "the newest state has a fee more");
    assert_eq!(balance_of(&state.newest(), BENEFICIARY), 7);
    commit(&mut writer, &[], &[], 5).unwrap();
    let (_, changes) = state.rewind_to(base).unwrap();
    assert_eq!(changes, [balance(BENEFICIARY, 3)]);
    draft.adopt(&state).unwrap();
    let version = state.get_at(state.cut()).unwrap();
    assert_eq!(balance_of(&version, BENEFICIARY), 3);
    assert_eq!(balance_of(&version, address(1)), 9);
}

/// The memory of commits is used again, also after one that was refused halfway.
#[test]
fn commits_of_all_sizes_follow_each_other() {
    let state = state();
    let mut writer = state.writer();
    for round in 1..200u64 {
        let count = round * 37 % 300;
        let storage: Vec<_> = (0..count).map(|slot| (slot, round)).collect();
        let reader = state.recording();
        for (slot, _) in &storage {
            reader.storage(&address(0), &U256::from(*slot)).unwrap();
        }
        let credits: Vec<_> = (1..4).map(|index| credit(index, round)).collect();
        let (reads, changes) = (reader.take_reads(), [contract(address(0), &storage)]);
        let made = Commit {
            reads: &reads,
            changes: &changes,
            credits: &credits,
            withheld: U256::ZERO,
        };
        let committed = writer.commit(&made).unwrap();
        let total = round * (round + 1) / 2;
        assert_eq!(committed.balances(), [U256::from(total); 3]);
        let again = writer.commit(&made).map(|committed| committed.sequence);
        assert_eq!(again.is_ok(), count == 0, "what was read has changed");
        if again.is_ok() {
            let fate = AccountChange {
                fate: Fate::Removed,
                ..AccountChange::new(address(1))
            };
            let spent = (2..4).map(|index| balance(address(index), total)).chain([fate]);
            let changes: Vec<_> = spent.collect();
            commit(&mut writer, &changes, &[credit(1, total)], 0).unwrap();
        }
        for (slot, value) in storage {
            let read = state.newest().storage(&address(0), &U256::from(slot)).unwrap();
            assert_eq!(read, U256::from(value));
        }
    }
}
