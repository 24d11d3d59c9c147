//! Commits: atomic, validated, without a trace when refused.

use alloy_primitives::U256;
use rapid_primitives::{CommitSequence, ReadState};
use rapid_state::{Conflict, ReadSet, State, StateConfig, StateKey};

use crate::model::{Model, address, balance, contract, removed, slots, wiped};

fn state() -> State {
    State::new(StateConfig::default()).unwrap()
}

#[test]
fn a_fresh_state_is_empty_and_published() {
    let state = state();
    assert_eq!(state.sequence(), CommitSequence(0));
    assert_eq!(Model::scan(&state.published()).unwrap(), Model::default());
    assert_eq!(state.usage().account_entries, 0);
}

#[test]
fn newest_sees_a_commit_at_once_and_published_after_publish() {
    let state = state();
    let committed = state.commit(&ReadSet::new(), &[balance(address(0), 7)]).unwrap();
    assert_eq!(
        state.newest().account(&address(0)).unwrap().unwrap().balance,
        U256::from(7)
    );
    assert_eq!(state.published().account(&address(0)).unwrap(), None);
    state.publish(committed);
    assert_eq!(
        state.published().account(&address(0)).unwrap().unwrap().balance,
        U256::from(7)
    );
    assert_eq!(state.published().sequence(), committed);
}

#[test]
fn publishing_an_older_version_changes_nothing() {
    let state = state();
    let first = state.commit(&ReadSet::new(), &[balance(address(0), 7)]).unwrap();
    let second = state.commit(&ReadSet::new(), &[balance(address(0), 8)]).unwrap();
    state.publish(second);
    state.publish(first);
    assert_eq!(state.published_sequence(), second);
}

#[test]
#[should_panic(expected = "published before it was committed")]
fn publishing_the_future_panics() {
    state().publish(CommitSequence(1));
}

#[test]
fn reads_and_refused_commits_make_no_entry() {
    let state = state();
    let reader = state.recording();
    assert_eq!(reader.account(&address(0)).unwrap(), None);
    assert_eq!(reader.storage(&address(1), &U256::ONE).unwrap(), U256::ZERO);
    state.commit(&ReadSet::new(), &[balance(address(0), 1)]).unwrap();
    let before = state.usage();
    let new_code = wiped(address(3), 1);
    let hash = new_code.code.as_ref().unwrap().hash;
    let refused = state.commit(&reader.take_reads(), &[new_code, contract(address(2), &[(1, 1)])]);
    assert_eq!(
        refused,
        Err(Conflict {
            key: StateKey::Account(address(0))
        })
    );
    assert_eq!(state.usage().account_entries, before.account_entries);
    assert_eq!(state.usage().slot_entries, before.slot_entries);
    assert_eq!(state.usage().retained_bytes, before.retained_bytes);
    assert!(state.code(&hash).is_none());
}

#[test]
fn asking_ahead_reads_nothing_and_makes_no_entry() {
    let state = state();
    let storage: Vec<_> = (1..50).map(|slot| (slot, slot)).collect();
    let changes = [contract(address(0), &storage), balance(address(1), 7)];
    state.commit(&ReadSet::new(), &changes).unwrap();
    let slots = (0..80).map(|slot| StateKey::Slot(address(slot % 4), U256::from(slot / 2)));
    let accounts = (0..5).map(|index| StateKey::Account(address(index)));
    let keys: Vec<_> = slots.chain(accounts).collect();
    let (before, view) = (state.usage(), state.recording());
    for count in [0, 1, 31, 33, keys.len()] {
        view.prefetch(&keys[..count]);
        state.newest().prefetch(&keys[keys.len() - count..]);
    }
    assert!(view.take_reads().is_empty());
    assert_eq!(state.usage(), before);
    assert_eq!(view.storage(&address(0), &U256::from(8)).unwrap(), U256::from(8));
}

/// A reader of `key`, then a commit of `between`: what becomes of the reader's commit.
fn race(between: &[rapid_primitives::AccountChange], key: StateKey) -> Result<CommitSequence, Conflict> {
    let state = state();
    let initial = [
        contract(address(0), &[(1, 1)]),
        contract(address(1), &[]),
        balance(address(2), 5),
    ];
    state.commit(&ReadSet::new(), &initial).unwrap();
    let reader = state.recording();
    match key {
        StateKey::Account(address) => drop(reader.account(&address).unwrap()),
        StateKey::Slot(address, slot) => drop(reader.storage(&address, &slot).unwrap()),
    }
    state.commit(&ReadSet::new(), between).unwrap();
    state.commit(&reader.take_reads(), &[balance(address(5), 1)])
}

#[test]
fn what_was_read_must_still_hold() {
    let slot = |index, slot| StateKey::Slot(address(index), U256::from(slot));
    let conflicts = [
        (balance(address(2), 6), StateKey::Account(address(2))),
        (removed(address(2)), StateKey::Account(address(2))),
        (balance(address(4), 1), StateKey::Account(address(4))),
        (slots(address(0), &[(1, 2)]), slot(0, 1)),
        (slots(address(0), &[(1, 0)]), slot(0, 1)),
        (slots(address(0), &[(2, 9)]), slot(0, 2)),
        (slots(address(1), &[(1, 9)]), slot(1, 1)),
        (contract(address(4), &[(1, 9)]), slot(4, 1)),
        (wiped(address(0), 2), slot(0, 1)),
        (removed(address(0)), slot(0, 1)),
    ];
    for (between, key) in conflicts {
        assert_eq!(
            race(std::slice::from_ref(&between), key),
            Err(Conflict { key }),
            "{between:?}"
        );
    }
}

#[test]
fn what_was_not_read_does_not_matter() {
    let slot = |index, slot| StateKey::Slot(address(index), U256::from(slot));
    let holds = [
        (balance(address(3), 6), StateKey::Account(address(2))),
        (balance(address(2), 5), StateKey::Account(address(2))),
        (slots(address(0), &[(2, 2)]), slot(0, 1)),
        (slots(address(0), &[(1, 2)]), StateKey::Account(address(0))),
        (balance(address(0), 2), slot(0, 1)),
        (removed(address(0)), slot(0, 3)),
        (removed(address(4)), StateKey::Account(address(4))),
    ];
    for (between, key) in holds {
        assert!(
            race(std::slice::from_ref(&between), key).is_ok(),
            "{between:?} {key:?}"
        );
    }
}

#[test]
fn one_commit_may_change_an_account_more_than_once() {
    let state = State::new(StateConfig {
        retained_bytes: 0,
        leased_bytes: usize::MAX,
    })
    .unwrap();
    let changes = [
        contract(address(0), &[(1, 1), (2, 2)]),
        slots(address(0), &[(1, 3)]),
        wiped(address(0), 1),
        slots(address(0), &[(4, 4)]),
        contract(address(1), &[(1, 1)]),
        removed(address(1)),
    ];
    let mut model = Model::default();
    model.apply(&changes);
    let committed = state.commit(&ReadSet::new(), &changes).unwrap();
    assert_eq!(Model::read(&state.newest()).unwrap(), model);
    state.publish(committed);
    assert_eq!(Model::scan(&state.published()).unwrap(), model);
    assert_eq!(state.usage().retained_bytes, 0);
    assert_eq!(
        (state.usage().account_entries, state.usage().slot_entries),
        (1, 1),
        "nothing is left behind"
    );
}

#[test]
fn wiped_storage_is_reclaimed_when_no_version_sees_it() {
    let state = State::new(StateConfig {
        retained_bytes: 0,
        leased_bytes: usize::MAX,
    })
    .unwrap();
    let storage: Vec<_> = (0..100).map(|slot| (slot, 1)).collect();
    state.publish(
        state
            .commit(&ReadSet::new(), &[contract(address(0), &storage)])
            .unwrap(),
    );
    let before = state.published();
    state.publish(state.commit(&ReadSet::new(), &[removed(address(0))]).unwrap());
    assert_eq!(before.storage(&address(0), &U256::from(99)).unwrap(), U256::ONE);
    assert_eq!(before.account_storage(&address(0)).unwrap().count(), 100);
    assert_eq!(state.usage().slot_entries, 100);
    drop(before);
    state.publish(state.commit(&ReadSet::new(), &[]).unwrap());
    assert_eq!(
        (state.usage().account_entries, state.usage().slot_entries),
        (0, 0)
    );
}
