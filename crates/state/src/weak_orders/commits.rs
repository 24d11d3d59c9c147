//! Commits: the order of their sequences is a serial one, and credits are all there.

use alloy_primitives::{Address, U256};
use rapid_primitives::{AccountChange, ReadState};
use rapid_sync::thread;

use super::{
    explore,
    model::{address, balance},
    state,
};
use crate::{Commit, Conflict, Credit, ReadSet, State, Writer};

fn balance_of(state: &impl ReadState, address: &Address) -> U256 {
    let account = state
        .account(address)
        .unwrap_or_else(|_| unreachable!("it is there"));
    account.map_or(U256::ZERO, |account| account.balance)
}

/// Reads one balance and makes another one more.
fn copy(state: &State, from: Address, to: Address) -> Result<(), Conflict> {
    let view = state.recording();
    let seen = balance_of(&view, &from);
    let change = AccountChange {
        balance: Some(seen + U256::ONE),
        ..AccountChange::new(to)
    };
    state.commit(&view.take_reads(), &[change]).map(drop)
}

/// Each reads what the other writes: one after the other, the second sees what the first wrote.
#[test]
fn of_two_commits_that_read_what_the_other_writes_one_sees_the_other() {
    explore(2, || {
        let state = state();
        let (first, second) = (address(0), address(1));
        state
            .commit(&ReadSet::new(), &[balance(first, 1), balance(second, 1)])
            .unwrap();
        let other = {
            let state = state.clone();
            thread::spawn(move || copy(&state, first, second).is_ok())
        };
        let mine = copy(&state, second, first).is_ok();
        let others = other.join().unwrap();
        let newest = state.newest();
        let found = [first, second].map(|address| balance_of(&newest, &address).to::<u64>());
        let expected: &[[u64; 2]] = match (mine, others) {
            (true, true) => &[[2, 3], [3, 2]],
            (true, false) => &[[2, 1]],
            (false, true) => &[[1, 2]],
            (false, false) => &[[1, 1]],
        };
        assert!(expected.contains(&found), "{found:?} of {mine} and {others}");
    });
}

fn credit(writer: &mut Writer, wei: u64) -> U256 {
    let credits = [Credit {
        address: address(0),
        wei: U256::from(wei),
    }];
    let reads = ReadSet::new();
    let committed = writer.commit(&Commit {
        reads: &reads,
        changes: &[],
        credits: &credits,
        withheld: U256::ZERO,
    });
    committed.unwrap().balances()[0]
}

#[test]
fn no_credit_is_lost() {
    explore(2, || {
        let state = state();
        state
            .commit(&ReadSet::new(), &[balance(address(0), 100)])
            .unwrap();
        let (mut mine, mut others) = (state.writer(), state.writer());
        let other = thread::spawn(move || credit(&mut others, 10));
        let told = [credit(&mut mine, 1), other.join().unwrap()].map(|balance| balance.to::<u64>());
        assert!([[101, 111], [111, 110]].contains(&told), "{told:?}");
        assert_eq!(balance_of(&state.newest(), &address(0)), U256::from(111));
    });
}
