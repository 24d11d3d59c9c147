//! What fails changes nothing.

use std::sync::atomic::Ordering::Relaxed;

use alloy_primitives::{Address, U256};
use rapid_primitives::AccountChange;
use rapid_trie::TrieError;

use crate::model::{Tracked, address};

fn changes(from: u64, count: u64) -> Vec<AccountChange> {
    (from..from + count)
        .map(|number| {
            let hash = alloy_primitives::keccak256(number.to_be_bytes());
            let mut change = AccountChange::new(Address::from_word(hash));
            change.nonce = Some(number + 1);
            change.storage = (0..4)
                .map(|slot| (U256::from(slot), U256::from(number + 1)))
                .collect();
            change
        })
        .collect()
}

#[test]
fn without_memory_nothing_changes() {
    let mut trie = Tracked::with_limit(6 << 20);
    let mut from = 0;
    let error = loop {
        match trie.try_apply(&changes(from, 500)) {
            Ok(()) => from += 500,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, TrieError::OutOfMemory { limit_bytes, .. } if limit_bytes == 6 << 20),
        "{error}"
    );
    assert!(from >= 2_000, "{from} accounts fitted");
    trie.assert_root();
    let used = trie.forest.usage().used_bytes;
    // Also on a version that others see.
    let clone = trie.clone();
    assert!(trie.try_apply(&changes(from, 5_000)).is_err());
    trie.forest.sweep();
    assert_eq!(trie.forest.usage().used_bytes, used);
    assert_eq!(trie.forest.usage().versions, 1);
    drop(clone);
    // What needs little memory still works, and makes room.
    for number in (0..from).step_by(250) {
        let mut changes = changes(number, 250);
        for change in &mut changes {
            change.nonce = Some(0);
            change.storage.iter_mut().for_each(|slot| slot.1 = U256::ZERO);
        }
        trie.apply(&changes);
    }
    trie.assert_root();
    trie.forest.sweep();
    assert_eq!(trie.forest.usage().used_bytes, 0);
    trie.apply(&changes(0, 500));
    trie.assert_root();
}

#[test]
fn without_the_state_nothing_changes() {
    let mut trie = Tracked::default();
    trie.apply(&changes(0, 100));
    trie.assert_root();
    let unhashed = {
        let mut fork = trie.clone();
        fork.apply(&changes(50, 100));
        fork
    };
    trie.gone.store(true, Relaxed);
    assert_eq!(trie.try_apply(&changes(20, 200)), Err(TrieError::VersionGone));
    assert_eq!(unhashed.trie.root(), Err(TrieError::VersionGone));
    let mut fork = unhashed.clone();
    assert_eq!(fork.try_apply(&changes(0, 1)), Err(TrieError::VersionGone));
    drop(unhashed);
    let unhashed = fork;
    // A root that is known stays known.
    trie.assert_root();
    trie.gone.store(false, Relaxed);
    assert_eq!(
        unhashed.trie.root(),
        Err(TrieError::VersionGone),
        "part of it may have been hashed"
    );
    trie.apply(&changes(20, 200));
    trie.assert_root();
    drop(unhashed);
    trie.forest.sweep();
    assert_eq!(
        trie.forest.usage().used_bytes,
        trie.rebuilt().forest.usage().used_bytes
    );
}

#[test]
fn changes_of_another_state_are_refused() {
    let mut trie = Tracked::default();
    trie.apply(&changes(0, 10));
    let mut change = changes(3, 1).remove(0);
    change.storage = vec![(U256::from(77), U256::from(1))];
    let state = trie.trie.state().clone();
    assert_eq!(trie.trie.apply(state, &[change]), Err(TrieError::UnknownEntry));
    trie.assert_root();
    // One that has never existed is not there to be changed.
    let state = trie.trie.state().clone();
    assert_eq!(trie.trie.apply(state, &[AccountChange::new(address(9))]), Ok(()));
    trie.assert_root();
}
