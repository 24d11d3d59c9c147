//! What a commit notices of others.

use alloy_primitives::{Bytes, U256};
use rapid_primitives::{CodeChange, ReadState};

use super::*;
use crate::{Draft, State, StateConfig};

fn change(index: u8, nonce: Option<u64>, slots: &[(u64, u64)]) -> AccountChange {
    AccountChange {
        nonce,
        storage: slots
            .iter()
            .map(|(slot, value)| (U256::from(*slot), U256::from(*value)))
            .collect(),
        ..AccountChange::new(Address::repeat_byte(index))
    }
}

/// A contract with a slot, an account without, and one that only a draft has.
fn state() -> (State, Draft) {
    let state = State::new(StateConfig::default()).unwrap();
    let changes = [change(1, Some(1), &[(1, 1)]), change(2, Some(1), &[])];
    let committed = state.commit(&ReadSet::new(), &changes).unwrap();
    let mut draft = Draft::begin(state.get_at(committed).unwrap());
    draft.apply(&[change(3, Some(1), &[])]).unwrap();
    (state, draft)
}

#[test]
fn writing_nothing_is_noticed_to_be_something_when_another_was_first() {
    let removed = AccountChange {
        fate: Fate::Removed,
        ..change(4, None, &[])
    };
    let cases = [
        (change(1, None, &[(2, 0)]), change(1, None, &[(2, 5)])),
        (change(2, None, &[(2, 0)]), change(2, None, &[(2, 5)])),
        (change(4, None, &[(2, 7)]), change(4, Some(1), &[(2, 5)])),
        (removed, change(4, Some(1), &[])),
    ];
    for (nothing, first) in cases {
        let (state, _draft) = state();
        let (reads, mut held) = Default::default();
        let mut batch = Batch::new(&state.0.tables, 0, &reads, &mut held);
        batch.add(&nothing).unwrap();
        batch.sequenced(state.0.take_sequence());
        assert_eq!(batch.check_unlocked(), Ok(()));
        state
            .commit(&ReadSet::new(), std::slice::from_ref(&first))
            .unwrap();
        assert_eq!(batch.check_unlocked(), Err(Busy), "{nothing:?} after {first:?}");
    }
}

/// What was read as absent is written before the commit's sequence and ended after it.
#[test]
fn what_is_absent_again_was_not_always() {
    let ended = |index, fate| AccountChange {
        fate,
        ..change(index, None, &[])
    };
    // With another storage, which has another slot.
    let begun_anew = |index| AccountChange {
        fate: Fate::Wiped,
        balance: Some(U256::ZERO),
        code: Some(CodeChange::new(Bytes::new())),
        ..change(index, Some(7), &[(3, 7)])
    };
    let cases = [
        (change(1, None, &[(2, 5)]), change(1, None, &[(2, 0)])),
        (change(2, None, &[(2, 5)]), ended(2, Fate::Removed)),
        (change(4, Some(1), &[(2, 5)]), ended(4, Fate::Removed)),
        (change(1, None, &[(2, 5)]), begun_anew(1)),
        (change(2, None, &[(2, 5)]), begun_anew(2)),
    ];
    for (first, last) in cases {
        let (state, _draft) = state();
        let reader = state.recording();
        reader.storage(&first.address, &U256::from(2)).unwrap();
        let slot = reader.take_reads();
        reader.account(&Address::repeat_byte(4)).unwrap();
        let account = reader.take_reads();
        state
            .commit(&ReadSet::new(), std::slice::from_ref(&first))
            .unwrap();
        let (mut first_held, mut other_held) = Default::default();
        let mut of_slot = Batch::new(&state.0.tables, 0, &slot, &mut first_held);
        let mut of_account = Batch::new(&state.0.tables, 0, &account, &mut other_held);
        of_slot.sequenced(state.0.take_sequence());
        of_account.sequenced(state.0.take_sequence());
        state
            .commit(&ReadSet::new(), std::slice::from_ref(&last))
            .unwrap();
        assert!(matches!(of_slot.validate(), Err(Failed::Busy)), "{first:?}");
        let other = first.address != Address::repeat_byte(4);
        assert!(of_account.validate().is_ok() == other);
        of_slot.sequenced(state.0.take_sequence());
        assert!(of_slot.validate().is_ok(), "it is absent as it was");
    }
}

#[test]
fn an_account_that_only_a_draft_has_is_locked_to_write_nothing() {
    let (state, _draft) = state();
    let (reads, mut held, mut others) = Default::default();
    let mut batch = Batch::new(&state.0.tables, 0, &reads, &mut held);
    batch.add(&change(3, None, &[(2, 7)])).unwrap();
    let mut other = Batch::new(&state.0.tables, 0, &reads, &mut others);
    assert_eq!(other.add(&change(3, Some(1), &[])), Err(Busy));
}

#[test]
fn an_account_that_another_is_making_is_not_taken_for_absent() {
    let (state, _draft) = state();
    let address = Address::repeat_byte(4);
    let reader = state.recording();
    reader.storage(&address, &U256::ONE).unwrap();
    let reads = reader.take_reads();
    let tables = &state.0.tables;
    let mut held = Held::default();
    let batch = Batch::new(tables, 0, &reads, &mut held);
    let made = tables.accounts.insert_locked(&address).unwrap();
    assert!(matches!(batch.validate(), Err(Failed::Busy)));
    tables.accounts.unlock_or_free(made, 0);
    assert!(batch.validate().is_ok());
}
