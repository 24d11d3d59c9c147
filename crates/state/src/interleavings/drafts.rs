//! Drafts that come and go while others commit.

use std::sync::Arc;

use alloy_primitives::U256;
use rapid_primitives::ReadState;
use rapid_sync::thread;

use super::{
    check_nothing_left, commit, explore,
    model::{Model, address, contract, removed, slots},
    publish, state,
};
use crate::Draft;

#[test]
fn a_draft_that_is_dropped_leaves_nothing_whoever_commits() {
    explore(|| {
        let state = state(0, usize::MAX / 2);
        commit(&state, &[contract(address(0), &[(1, 1)])]);
        publish(&state);
        let drafting = [2, 3].map(|value| {
            let state = state.clone();
            thread::spawn(move || {
                let mut draft = Draft::begin(state.published());
                let changes = [
                    slots(address(0), &[(2, value)]),
                    contract(address(1), &[(1, value)]),
                ];
                draft.apply(&changes).unwrap();
                let slot = draft.storage(&address(0), &U256::from(2)).unwrap();
                assert_eq!(slot, U256::from(value));
            })
        });
        commit(
            &state,
            &[slots(address(0), &[(2, 9)]), contract(address(1), &[(1, 9)])],
        );
        publish(&state);
        commit(&state, &[slots(address(0), &[(2, 0)]), removed(address(1))]);
        publish(&state);
        drafting.into_iter().for_each(|draft| draft.join().unwrap());
        check_nothing_left(&state);
    });
}

/// Entries change hands between keys while drafts reserve them.
#[test]
fn an_entry_that_ends_while_it_is_reserved_is_nobody_elses() {
    explore(|| {
        let state = state(0, usize::MAX / 2);
        let drafting = [1, 2].map(|index| {
            let state = state.clone();
            thread::spawn(move || {
                let mut draft = Draft::begin(state.published());
                draft.apply(&[contract(address(index), &[])]).unwrap();
                assert!(draft.account(&address(index)).unwrap().is_some());
                draft.discard();
                let mut draft = Draft::begin(state.published());
                draft.apply(&[contract(address(1), &[])]).unwrap();
            })
        });
        drafting.into_iter().for_each(|draft| draft.join().unwrap());
        check_nothing_left(&state);
    });
}

#[test]
fn a_draft_is_adopted_whole() {
    explore(|| {
        let state = state(0, usize::MAX / 2);
        let base = commit(&state, &[contract(address(0), &[(1, 1)])]);
        publish(&state);
        let mut draft = Draft::begin(state.published());
        draft
            .apply(&[removed(address(0)), contract(address(1), &[(1, 2), (2, 2)])])
            .unwrap();
        let reader = {
            let state = state.clone();
            thread::spawn(move || {
                let cut = publish(&state);
                let seen = Model::scan(&state.get_at(cut).unwrap()).unwrap();
                assert_eq!(seen.0.len(), 1, "the old account or the new one");
                assert_eq!(seen.0.contains_key(&address(1)), seen.slot_count() == 2);
            })
        };
        draft.adopt(&state).unwrap();
        state.rewind_to(base).ok();
        draft.adopt(&state).ok();
        drop(draft);
        reader.join().unwrap();
        check_nothing_left(&state);
    });
}

#[test]
fn threads_that_fill_a_draft_leave_nothing_when_it_is_dropped() {
    explore(|| {
        let state = state(0, usize::MAX / 2);
        commit(&state, &[contract(address(0), &[(1, 1)])]);
        publish(&state);
        let mut draft = Draft::begin(state.published());
        let filling = Arc::new(draft.filling(3, 3));
        let filling_it = [1, 2].map(|index| {
            let filling = Arc::clone(&filling);
            thread::spawn(move || {
                filling.change(&[contract(address(index), &[(1, 1)])]).unwrap();
                if index == 1 {
                    filling.change(&[slots(address(0), &[(1, 5)])]).unwrap();
                } else {
                    filling.write(&address(0), &[(U256::from(2), U256::ONE)]).unwrap();
                }
            })
        });
        filling_it.into_iter().for_each(|thread| thread.join().unwrap());
        draft.take_in(Arc::into_inner(filling).unwrap()).unwrap();
        let slot = |account, slot| draft.storage(&address(account), &U256::from(slot)).unwrap();
        assert_eq!([slot(0, 1), slot(0, 2)], [5, 1].map(U256::from));
        assert_eq!([slot(1, 1), slot(2, 1)], [U256::ONE; 2]);
        drop(draft);
        check_nothing_left(&state);
    });
}
