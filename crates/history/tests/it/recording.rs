//! Changes that are recorded at some starts and not at others.

use std::path::Path;

use proptest::prelude::*;
use rapid_history::{ChangeRecording, History, HistoryConfig};

use crate::{
    past::check_past,
    state_chain::{Action, StateChain, actions, code},
};

fn open(dir: &Path, model: &StateChain, changes: ChangeRecording) -> History {
    let config = HistoryConfig {
        changes,
        ..model.chain.config()
    };
    History::open(dir, &config).unwrap()
}

fn recording() -> impl Strategy<Value = ChangeRecording> {
    prop_oneof![Just(ChangeRecording::Record), Just(ChangeRecording::Skip)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn state_is_known_from_the_last_block_without_changes(
        runs in prop::collection::vec((recording(), prop::collection::vec(actions(), 0..4)), 1..5),
        keep: prop::sample::Index,
        more in prop::collection::vec(actions(), 0..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = StateChain::new();
        let mut first = 0;
        for (changes, blocks) in &runs {
            let history = open(dir.path(), &model, *changes);
            blocks.iter().for_each(|actions| model.grow_by(actions));
            let blocks = model.states.len() as u64;
            let is_stored = history.head().unwrap().is_some_and(|head| head.number + 1 == blocks);
            history.append(&model.chain.records).unwrap();
            if *changes == ChangeRecording::Skip && !is_stored {
                first = blocks - 1;
            }
            check_past(&history, &model, first);
        }
        // A later start can unwind into what was not recorded, and record from there.
        let history = open(dir.path(), &model, ChangeRecording::Record);
        let keep = keep.index(model.states.len());
        history.unwind_to(keep as u64).unwrap();
        model.truncate(keep + 1);
        first = first.min(keep as u64);
        check_past(&history, &model, first);
        more.iter().for_each(|actions| model.grow_by(actions));
        history.append(&model.chain.records).unwrap();
        check_past(&history, &model, first);
    }
}

#[test]
fn code_is_kept_also_where_changes_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let model = StateChain::of(&[vec![(0, Action::Deploy(2))]]);
    let history = open(dir.path(), &model, ChangeRecording::Skip);
    history.append(&model.chain.records).unwrap();
    assert_eq!(history.reverts(1).unwrap(), None);
    for index in [1, 2] {
        assert_eq!(history.code(&code(index).hash).unwrap(), Some(code(index).code));
    }
}
