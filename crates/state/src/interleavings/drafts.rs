//! Drafts that come and go while others commit.

use rapid_primitives::ReadState;
use shuttle::thread;

use super::{
    check_nothing_left, commit, explore,
    model::{Model, address, contract, removed},
    publish, state,
};
use crate::Draft;

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
