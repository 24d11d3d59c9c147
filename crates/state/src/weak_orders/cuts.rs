//! Cuts: a version has the whole of each commit up to it, and nothing of later ones.

use alloy_primitives::U256;
use rapid_primitives::ReadState;
use rapid_sync::thread;

use super::{
    explore,
    model::{address, balance},
    state,
};
use crate::{Commit, ReadSet, Snapshot, State, Writer};

const BENEFICIARY: u8 = 5;

/// Makes two balances the same, and withholds as much more as they are more.
fn commit(writer: &mut Writer, value: u64) {
    let reads = ReadSet::new();
    let changes = [balance(address(0), value), balance(address(1), value)];
    let committed = writer.commit(&Commit {
        reads: &reads,
        changes: &changes,
        credits: &[],
        withheld: U256::ONE,
    });
    committed.unwrap();
}

fn check(version: &Snapshot) -> u64 {
    let balances = [0, 1, BENEFICIARY].map(|index| {
        let account = version.account(&address(index)).unwrap();
        account.map_or(0, |account| account.balance.to::<u64>())
    });
    assert_eq!(balances, [balances[0]; 3], "version {}", version.sequence());
    balances[0]
}

fn begin() -> (State, Writer) {
    let state = state();
    state.withhold_for(address(BENEFICIARY));
    let mut writer = state.writer();
    commit(&mut writer, 1);
    state.publish(state.cut());
    (state, writer)
}

#[test]
fn a_version_is_whole_while_others_commit() {
    explore(2, || {
        let (state, mut writer) = begin();
        let writing = thread::spawn(move || commit(&mut writer, 2));
        let cut = state.cut();
        let version = state.get_at(cut).unwrap();
        let seen = check(&version);
        writing.join().unwrap();
        assert_eq!(check(&version), seen, "a version stays what it is");
        assert_eq!(check(&state.get_at(state.cut()).unwrap()), 2);
    });
}

/// A version that is held is read while what it has is overwritten.
#[test]
fn a_version_stays_what_it_is_while_it_is_overwritten() {
    explore(2, || {
        let (state, mut writer) = begin();
        let held = state.published();
        let reading = thread::spawn(move || assert_eq!(check(&held), 1));
        commit(&mut writer, 2);
        state.publish(state.cut());
        reading.join().unwrap();
    });
}
