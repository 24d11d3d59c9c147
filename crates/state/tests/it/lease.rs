//! Leases: held within the bound, a clean error beyond it.

use alloy_primitives::U256;
use rapid_primitives::{CommitSequence, ReadState};
use rapid_state::{ReadSet, Snapshot, State, StateConfig, VersionGone};

use crate::model::{Model, address, balance, contract, slots};

const BOUND: usize = 64 << 10;

fn state_with_lease(leased_bytes: usize) -> (State, Snapshot) {
    let state = State::new(StateConfig {
        retained_bytes: BOUND,
        leased_bytes,
    })
    .unwrap();
    let first = [balance(address(0), 1), contract(address(1), &[(1, 1)])];
    state.publish(state.commit(&ReadSet::new(), &first).unwrap());
    let snapshot = state.published();
    (state, snapshot)
}

/// Commits and publishes until so much of the past would be there if nothing were forgotten.
fn commit_until(state: &State, unbounded_bytes: usize) {
    let (mut added, mut count) = (0, 1);
    while added < unbounded_bytes {
        count += 1;
        let before = state.usage().retained_bytes;
        let changes = [balance(address(0), count), slots(address(1), &[(1, count)])];
        state.commit(&ReadSet::new(), &changes).unwrap();
        let cut = state.cut();
        added += state.usage().retained_bytes - before;
        state.publish(cut);
    }
}

#[test]
fn the_retained_window_is_bounded_without_leases() {
    let (state, snapshot) = state_with_lease(BOUND);
    drop(snapshot);
    commit_until(&state, BOUND / 2);
    assert!(
        state.get_at(CommitSequence(0)).is_ok(),
        "kept while there is room"
    );
    commit_until(&state, BOUND * 4);
    assert!(state.usage().retained_bytes <= BOUND);
    assert!(state.oldest_sequence() > CommitSequence(1));
    let gone = state.get_at(CommitSequence(1)).unwrap_err();
    assert_eq!(gone.oldest, state.oldest_sequence());
    assert!(state.get_at(state.oldest_sequence()).is_ok());
}

#[test]
fn a_lease_holds_its_version_beyond_the_window() {
    let (state, snapshot) = state_with_lease(usize::MAX / 2);
    commit_until(&state, BOUND * 4);
    assert_eq!(snapshot.account(&address(0)).unwrap().unwrap().balance, U256::ONE);
    assert_eq!(snapshot.storage(&address(1), &U256::ONE).unwrap(), U256::ONE);
    let clone = snapshot.clone();
    drop(snapshot);
    commit_until(&state, BOUND);
    assert_eq!(Model::scan(&clone).unwrap(), Model::read(&clone).unwrap());
    drop(clone);
    commit_until(&state, 1);
    assert!(
        state.usage().retained_bytes <= BOUND,
        "the window shrinks when the lease ends"
    );
}

#[test]
fn an_overrun_lease_is_a_clean_error() {
    let (state, snapshot) = state_with_lease(BOUND);
    commit_until(&state, BOUND * 3 / 2);
    assert!(
        snapshot.account(&address(0)).is_ok(),
        "within the bound of leases"
    );
    commit_until(&state, BOUND * 4);
    assert!(state.usage().retained_bytes <= BOUND * 2);
    let gone = VersionGone {
        version: snapshot.sequence(),
        oldest: state.oldest_sequence(),
        newest: state.sequence(),
    };
    assert_eq!(snapshot.account(&address(0)), Err(gone));
    assert_eq!(snapshot.storage(&address(1), &U256::ONE), Err(gone));
    assert_eq!(snapshot.accounts().find_map(Result::err), Some(gone));
    assert_eq!(Model::scan(&snapshot), Err(gone));
    assert!(Model::scan(&state.published()).is_ok());
}

#[test]
fn what_is_not_published_is_never_trimmed() {
    let state = State::new(StateConfig {
        retained_bytes: 0,
        leased_bytes: 0,
    })
    .unwrap();
    state.publish(state.commit(&ReadSet::new(), &[balance(address(0), 1)]).unwrap());
    for count in 2..1000 {
        let committed = state
            .commit(&ReadSet::new(), &[balance(address(0), count)])
            .unwrap();
        assert_eq!(state.cut(), committed);
    }
    assert_eq!(
        state.published().account(&address(0)).unwrap().unwrap().balance,
        U256::ONE
    );
    assert!(state.get_at(CommitSequence(500)).is_ok());
    state.publish(CommitSequence(500));
    assert_eq!(
        state.published().account(&address(0)).unwrap().unwrap().balance,
        U256::from(500)
    );
    assert!(state.get_at(CommitSequence(499)).is_err());
}

#[test]
fn the_future_is_not_a_version() {
    let state = State::new(StateConfig::default()).unwrap();
    let gone = state.get_at(CommitSequence(1)).unwrap_err();
    assert_eq!(
        (gone.version, gone.newest),
        (CommitSequence(1), CommitSequence(0))
    );
}
