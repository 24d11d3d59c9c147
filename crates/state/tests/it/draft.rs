//! Drafts: begun, applied to, adopted or discarded.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

use alloy_primitives::U256;
use rapid_primitives::{AccountChange, CommitSequence, ReadState};
use rapid_state::{AdoptError, Draft, DraftFilling, ReadSet, State, StateConfig, StateView};

use crate::model::{Model, address, balance, code, contract, removed, slots, wiped};

fn state() -> State {
    let state = State::new(StateConfig::default()).unwrap();
    let initial = [contract(address(0), &[(1, 1), (2, 2)]), balance(address(1), 10)];
    state.publish(state.commit(&ReadSet::new(), &initial).unwrap());
    state
}

fn balance_in(view: &impl ReadState, index: u8) -> u64 {
    view.account(&address(index))
        .unwrap()
        .map_or(0, |account| account.balance.to())
}

#[test]
fn an_adopted_draft_is_the_newest_state() {
    let state = state();
    let mut draft = Draft::begin(state.published());
    draft
        .apply(&[balance(address(1), 11), slots(address(0), &[(1, 5)])])
        .unwrap();
    draft
        .apply(&[wiped(address(2), 1), slots(address(0), &[(1, 1), (2, 0)])])
        .unwrap();
    let drafted = Model::read(&draft).unwrap();
    assert_eq!(balance_in(&state.newest(), 1), 10, "a draft is private");
    assert!(state.code(&code(1).hash).is_none());
    let adopted = draft.adopt(&state).unwrap();
    assert_eq!(draft.adopted_at(), Some(adopted));
    assert_eq!(Model::read(&state.newest()).unwrap(), drafted);
    assert_eq!(Model::read(&draft).unwrap(), drafted, "and stays readable");
}

#[test]
fn changes_are_net() {
    let state = state();
    let mut draft = Draft::begin(state.published());
    draft
        .apply(&[
            balance(address(1), 11),
            slots(address(0), &[(1, 5), (2, 6)]),
            balance(address(3), 1),
        ])
        .unwrap();
    draft
        .apply(&[
            balance(address(1), 10),
            slots(address(0), &[(1, 1)]),
            removed(address(3)),
        ])
        .unwrap();
    assert_eq!(draft.changes(), [slots(address(0), &[(2, 6)])]);
    draft.apply(&[removed(address(0))]).unwrap();
    assert_eq!(draft.changes(), [removed(address(0))]);
}

#[test]
fn a_discarded_draft_leaves_no_trace() {
    let state = state();
    let before = (entries(&state), state.sequence());
    let mut draft = Draft::begin(state.published());
    draft
        .apply(&[wiped(address(2), 1), contract(address(3), &[(1, 1)])])
        .unwrap();
    draft.discard();
    assert_eq!((entries(&state), state.sequence()), before);
    assert!(state.code(&code(1).hash).is_none());
}

#[test]
fn a_draft_on_an_old_base_is_refused() {
    let state = state();
    let mut draft = Draft::begin(state.published());
    draft.apply(&[balance(address(1), 11)]).unwrap();
    let newest = state.commit(&ReadSet::new(), &[balance(address(2), 1)]).unwrap();
    let refused = AdoptError::BaseNotNewest {
        base: CommitSequence(1),
        newest,
    };
    assert_eq!(draft.adopt(&state), Err(refused));
    assert_eq!(balance_in(&state.newest(), 1), 10);
    assert_eq!(draft.adopt(&self::state()), Err(AdoptError::OtherState));
}

#[test]
fn children_are_adopted_after_or_with_their_parent() {
    let state = state();
    let mut parent = Draft::begin(state.published());
    parent
        .apply(&[balance(address(1), 11), slots(address(0), &[(1, 5)])])
        .unwrap();
    let mut child = Draft::begin_on(&parent);
    child.apply(&[balance(address(2), 12)]).unwrap();
    let mut grandchild = Draft::begin_on(&child);
    grandchild.apply(&[removed(address(0))]).unwrap();
    let drafted = Model::read(&grandchild).unwrap();

    parent.adopt(&state).unwrap();
    assert_eq!(
        grandchild.changes(),
        [removed(address(0))],
        "its own changes only"
    );
    let adopted = grandchild.adopt(&state).unwrap();
    assert_eq!(Model::read(&state.newest()).unwrap(), drafted);
    let late = child.adopt(&state).unwrap_err();
    assert_eq!(
        late,
        AdoptError::BaseNotNewest {
            base: parent.adopted_at().unwrap(),
            newest: adopted
        }
    );
}

#[test]
fn a_parent_with_children_is_copied_when_it_goes_on() {
    let state = state();
    let mut parent = Draft::begin(state.published());
    parent.apply(&[balance(address(1), 11)]).unwrap();
    let child = Draft::begin_on(&parent);
    parent.apply(&[balance(address(1), 12)]).unwrap();
    assert_eq!((balance_in(&child, 1), balance_in(&parent, 1)), (11, 12));
}

#[test]
fn a_reorg_rewinds_and_adopts_the_other_branch_and_back() {
    let state = state();
    let fork = state.published_sequence();
    let mut ours = Draft::begin(state.published());
    ours.apply(&[balance(address(1), 1)]).unwrap();
    let mut theirs = Draft::begin(state.published());
    theirs.apply(&[balance(address(1), 2)]).unwrap();

    ours.adopt(&state).unwrap();
    let mut ours_next = Draft::begin_on(&ours);
    ours_next.apply(&[balance(address(2), 3)]).unwrap();
    state.rewind_to(fork).unwrap();
    theirs.adopt(&state).unwrap();
    assert_eq!(balance_in(&state.newest(), 1), 2);
    assert!(
        ours_next.adopt(&state).is_err(),
        "its parent is not canonical now"
    );

    state.rewind_to(fork).unwrap();
    ours.adopt(&state).unwrap();
    ours_next.adopt(&state).unwrap();
    assert_eq!(
        (balance_in(&state.newest(), 1), balance_in(&state.newest(), 2)),
        (1, 3)
    );
}

#[test]
fn a_long_chain_of_drafts_keeps_no_ancestors() {
    let state = State::new(StateConfig {
        retained_bytes: 0,
        leased_bytes: usize::MAX,
    })
    .unwrap();
    let mut parent = Draft::begin(state.published());
    for count in 1..200 {
        parent.apply(&[balance(address(1), count)]).unwrap();
        // The child is begun before its parent is canonical, so its base must be exchanged later.
        let child = Draft::begin_on(&parent);
        state.publish(parent.adopt(&state).unwrap());
        parent = child;
    }
    assert_eq!(balance_in(&parent, 1), 199);
    assert!(state.usage().leased_versions <= 4, "{:?}", state.usage());
}

#[test]
fn an_adopted_draft_that_goes_on_is_not_adopted() {
    let state = state();
    let base = state.published_sequence();
    let mut draft = Draft::begin(state.published());
    draft.apply(&[balance(address(1), 11)]).unwrap();
    draft.adopt(&state).unwrap();
    draft.apply(&[balance(address(1), 12)]).unwrap();
    assert_eq!(draft.adopted_at(), None);
    assert_eq!(balance_in(&Draft::begin_on(&draft), 1), 12);
    assert!(draft.adopt(&state).is_err());
    state.rewind_to(base).unwrap();
    draft.adopt(&state).unwrap();
    assert_eq!(balance_in(&state.newest(), 1), 12);
}

/// Nothing of the past is kept for longer than somebody holds it.
fn state_without_past(leased_bytes: usize) -> State {
    State::new(StateConfig {
        retained_bytes: 0,
        leased_bytes,
    })
    .unwrap()
}

#[test]
fn a_storage_that_drafts_began_ends_once() {
    let state = state_without_past(usize::MAX / 2);
    let commit = |changes: &[_]| {
        let committed = state.commit(&ReadSet::new(), changes).unwrap();
        state.publish(committed);
        committed
    };
    let base = commit(&[balance(address(5), 1)]);
    let mut draft = Draft::begin(state.published());
    draft
        .apply(&[contract(address(0), &[(1, 1)]), removed(address(0))])
        .unwrap();
    draft.adopt(&state).unwrap();
    let (between, _) = state.rewind_to(base).unwrap();
    draft.adopt(&state).unwrap();
    draft.discard();
    // The past goes in two pieces, each with one of the times that the storage was no account's any more.
    let held = state.get_at(between).unwrap();
    commit(&[balance(address(5), 2)]);
    drop(held);
    commit(&[balance(address(5), 3)]);
    assert_eq!(state.usage().retained_bytes, 0);
    commit(&[contract(address(1), &[(1, 11)]), contract(address(2), &[(1, 22)])]);
    let slot = |index| state.newest().storage(&address(index), &U256::ONE).unwrap();
    assert_eq!((slot(1), slot(2)), (U256::from(11), U256::from(22)));
}

#[test]
fn a_draft_whose_base_is_overrun_answers_with_nothing_wrong() {
    let state = state_without_past(0);
    let commit = |changes: &[_]| state.publish(state.commit(&ReadSet::new(), changes).unwrap());
    commit(&[
        contract(address(0), &[(1, 1)]),
        contract(address(1), &[(5, 5)]),
        balance(address(2), 1),
    ]);
    let mut draft = Draft::begin(state.published());
    draft
        .apply(&[slots(address(0), &[(1, 7)]), slots(address(1), &[(5, 6)])])
        .unwrap();
    draft.apply(&[removed(address(3))]).unwrap();
    let view = StateView::from(draft.clone());
    let account = view.account_id(&address(2)).unwrap();
    assert_eq!(view.account(account).unwrap().unwrap().balance, U256::ONE);
    // The entries of a slot and an account that the draft did not reserve become those of others.
    commit(&[slots(address(0), &[(1, 0)]), removed(address(2))]);
    commit(&[slots(address(1), &[(2, 9)]), balance(address(3), 1)]);
    assert_eq!(view.address(account), address(3));
    assert!(draft.storage(&address(1), &U256::from(2)).is_err());
    assert!(view.account(account).is_err());
    assert!(draft.apply(&[slots(address(1), &[(2, 3)])]).is_err());
}

fn entries(state: &State) -> (usize, usize) {
    let usage = state.usage();
    (usage.account_entries, usage.slot_entries)
}

/// Works the changes out on four threads; an account that had storage has all but the first of its slots in calls of their own.
fn fill(draft: &Draft, changes: &[AccountChange]) -> DraftFilling {
    let (filling, reader) = (draft.filling(changes.len(), 0), draft.reader());
    let mut first = Vec::new();
    let mut others = Vec::new();
    for change in changes {
        let mut change = change.clone();
        if change.storage.len() > 1 && reader.has_storage(&change.address).unwrap() {
            let rest = change.storage.split_off(1);
            others.extend(rest.chunks(5).map(|slots| (change.address, slots.to_vec())));
        }
        first.push(change);
    }
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Relaxed);
                    if let Some(change) = first.get(index) {
                        filling.change(std::slice::from_ref(change)).unwrap();
                    } else if let Some((address, slots)) = others.get(index - first.len()) {
                        filling.write(address, slots).unwrap();
                    } else {
                        return;
                    }
                }
            });
        }
    });
    filling
}

#[test]
fn many_threads_fill_a_draft_as_one_applies() {
    let state = state();
    let many: Vec<_> = (1..=40).map(|slot| (slot, slot)).collect();
    let old = [
        contract(address(2), &many),
        balance(address(3), 7),
        balance(address(4), 7),
    ];
    state.publish(state.commit(&ReadSet::new(), &old).unwrap());
    let before = entries(&state);
    let begun = [slots(address(2), &[(3, 99), (41, 1)]), balance(address(3), 8)];
    let later: Vec<_> = (2..=60).map(|slot| (slot, (slot % 3) * slot)).collect();
    let mut changes = vec![
        slots(address(0), &[(1, 0)]),
        slots(address(2), &later),
        balance(address(3), 9),
        removed(address(4)),
    ];
    changes.extend((5..60).map(|index| contract(address(index), &[(1, 1), (2, u64::from(index))])));
    let drafted = || {
        let mut draft = Draft::begin(state.published());
        draft.apply(&begun).unwrap();
        draft
    };
    for _ in 0..20 {
        let (mut applied, mut filled) = (drafted(), drafted());
        applied.apply(&changes).unwrap();
        let filling = fill(&filled, &changes);
        filled.take_in(filling).unwrap();
        let net = |draft: &Draft| {
            let mut net = draft.changes();
            net.iter_mut().for_each(|change| change.storage.sort_unstable());
            net
        };
        assert_eq!(net(&filled), net(&applied));
        filled.discard();
        applied.discard();
        drop(fill(&drafted(), &changes));
        assert_eq!(
            entries(&state),
            before,
            "of what was taken in and of what was not"
        );
    }
}

#[test]
#[should_panic(expected = "not the one that the filling is of")]
fn a_filling_of_a_draft_that_went_on_is_refused() {
    let mut draft = Draft::begin(state().published());
    let filling = draft.filling(1, 0);
    draft.apply(&[balance(address(1), 3)]).unwrap();
    let _ = draft.take_in(filling);
}

#[test]
fn a_filling_whose_base_is_overrun_is_refused_and_leaves_no_trace() {
    let state = state_without_past(0);
    let commit = |changes: &[_]| state.publish(state.commit(&ReadSet::new(), changes).unwrap());
    commit(&[contract(address(0), &[(1, 1)]), balance(address(1), 1)]);
    let mut draft = Draft::begin(state.published());
    let filling = draft.filling(2, 2);
    filling.change(&[contract(address(2), &[(1, 1)])]).unwrap();
    commit(&[slots(address(0), &[(1, 2)]), balance(address(1), 2)]);
    commit(&[slots(address(0), &[(1, 3)]), balance(address(1), 3)]);
    let before = entries(&state);
    assert!(
        filling
            .change(&[slots(address(0), &[(1, 7)]), balance(address(1), 7)])
            .is_err()
    );
    assert!(draft.take_in(filling).is_err());
    drop(draft);
    assert_eq!(
        entries(&state),
        (before.0 - 1, before.1 - 1),
        "only what was reserved goes"
    );
}
