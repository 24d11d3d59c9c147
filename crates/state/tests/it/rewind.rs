//! Rewinds: back to old values under new sequences.

use rapid_primitives::{CommitSequence, Fate};
use rapid_state::{ReadSet, State, StateConfig};

use crate::model::{Model, address, balance, contract, removed, slots, wiped};

#[test]
fn a_rewind_restores_wiped_and_removed_storage() {
    let state = State::new(StateConfig::default()).unwrap();
    let commit = |changes: &[_]| {
        let committed = state.commit(&ReadSet::new(), changes).unwrap();
        assert_eq!(state.cut(), committed);
        committed
    };
    let target = commit(&[
        contract(address(0), &[(1, 1), (2, 2)]),
        contract(address(1), &[(3, 3)]),
    ]);
    let at_target = Model::read(&state.newest()).unwrap();
    commit(&[slots(address(0), &[(1, 9)]), balance(address(2), 5)]);
    commit(&[wiped(address(0), 1), removed(address(1))]);
    commit(&[slots(address(0), &[(2, 7), (4, 4)])]);
    let newest = commit(&[contract(address(1), &[(4, 4)])]);
    let before = Model::read(&state.newest()).unwrap();
    let snapshot = state.get_at(newest).unwrap();

    let (sequence, changes) = state.rewind_to(target).unwrap();

    assert_eq!(sequence, newest.next());
    assert_eq!(Model::read(&state.newest()).unwrap(), at_target);
    assert_eq!(Model::scan(&state.get_at(sequence).unwrap()).unwrap(), at_target);
    assert_eq!(
        Model::scan(&snapshot).unwrap(),
        before,
        "readers of the abandoned version still see it"
    );
    let mut applied = before;
    applied.apply(&changes);
    assert_eq!(applied, at_target);
    let fates: Vec<_> = changes
        .iter()
        .map(|change| (change.address, change.fate))
        .collect();
    let expected = [
        (address(0), Fate::Wiped),
        (address(1), Fate::Wiped),
        (address(2), Fate::Removed),
    ];
    assert_eq!(fates, expected);
}

#[test]
fn a_rewind_to_the_newest_version_changes_nothing() {
    let state = State::new(StateConfig::default()).unwrap();
    let newest = state.commit(&ReadSet::new(), &[balance(address(0), 1)]).unwrap();
    let (sequence, changes) = state.rewind_to(newest).unwrap();
    assert_eq!((sequence, changes.len()), (newest.next(), 0));
}

#[test]
fn a_version_that_is_not_kept_cannot_be_rewound_to() {
    let state = State::new(StateConfig {
        retained_bytes: 0,
        leased_bytes: 0,
    })
    .unwrap();
    for count in 1..5 {
        state.publish(
            state
                .commit(&ReadSet::new(), &[balance(address(0), count)])
                .unwrap(),
        );
    }
    assert!(state.rewind_to(CommitSequence(2)).is_err());
    assert!(state.rewind_to(CommitSequence(5)).is_err());
    assert_eq!(state.sequence(), CommitSequence(4));
}
