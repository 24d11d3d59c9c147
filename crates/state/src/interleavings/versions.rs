//! Commits, cuts, trimming, and who reads meanwhile.

use alloy_primitives::{Address, U256};
use rapid_primitives::{AccountChange, CommitSequence, ReadState};
use rapid_sync::thread;

use super::{
    check_nothing_left, commit, explore,
    model::{Model, address, contract, removed, slots, wiped},
    publish, state,
};
use crate::{Snapshot, State, VersionGone};

/// A commit: what it read, and what it wrote.
struct Done {
    sequence: CommitSequence,
    reads: Vec<(Address, u64, U256)>,
    changes: Vec<AccountChange>,
}

/// Commits what `changes` makes of the values of the slots in `reads`, until nobody is in between.
fn run(state: &State, reads: &[(u8, u64)], changes: impl Fn(&[u64]) -> Vec<AccountChange>) -> Done {
    let view = state.recording();
    loop {
        let reads: Vec<_> = reads
            .iter()
            .map(|(index, slot)| {
                let Ok(value) = view.storage(&address(*index), &U256::from(*slot));
                (address(*index), *slot, value)
            })
            .collect();
        let values: Vec<_> = reads.iter().map(|(_, _, value)| value.to()).collect();
        let changes = changes(&values);
        if let Ok(sequence) = state.commit(&view.take_reads(), &changes) {
            return Done {
                sequence,
                reads,
                changes,
            };
        }
        thread::yield_now();
    }
}

/// One after the other, in the order of their sequences, commits read what they have read and lead where they have led.
fn check_serial(state: &State, mut model: Model, mut done: Vec<Done>) {
    done.sort_unstable_by_key(|done| done.sequence);
    for done in &done {
        for (address, slot, value) in &done.reads {
            assert_eq!(
                model.slot(address, &U256::from(*slot)),
                *value,
                "read by {}",
                done.sequence
            );
        }
        model.apply(&done.changes);
    }
    assert_eq!(Model::read(&state.newest()).unwrap(), model);
}

#[test]
fn commits_are_serialisable() {
    explore(|| {
        let state = state(0, 0);
        let begin = [contract(address(0), &[(1, 5), (2, 5)])];
        let mut model = Model::default();
        model.apply(&begin);
        commit(&state, &begin);
        // Where the storage was wiped, nothing is left to be moved.
        let move_one = |values: &[u64]| {
            let left = values[0].saturating_sub(1);
            vec![slots(address(0), &[(1, left), (2, values[1] + 1)])]
        };
        let other = {
            let state = state.clone();
            thread::spawn(move || {
                [
                    run(&state, &[(0, 1), (0, 2)], move_one),
                    run(&state, &[(1, 1)], |values| {
                        vec![contract(address(1), &[(1, values[0] + 1), (3, 3)])]
                    }),
                ]
            })
        };
        let third = {
            let state = state.clone();
            thread::spawn(move || {
                [
                    run(&state, &[(1, 1)], |values| {
                        vec![contract(address(2), &[(1, values[0])])]
                    }),
                    run(&state, &[], |_| {
                        vec![removed(address(1)), slots(address(2), &[(1, 0)])]
                    }),
                ]
            })
        };
        let mut done = vec![
            run(&state, &[(0, 1), (0, 2)], move_one),
            run(&state, &[], |_| vec![slots(address(1), &[(1, 0), (2, 2)])]),
            run(&state, &[], |_| {
                vec![slots(address(0), &[(3, 0)]), wiped(address(0), 3)]
            }),
        ];
        done.extend(other.join().unwrap());
        done.extend(third.join().unwrap());
        check_serial(&state, model, done);
        check_nothing_left(&state);
    });
}

/// Two commits, each of which writes what the other relies on finding nothing at.
#[test]
fn a_commit_that_finds_nothing_is_in_order_too() {
    explore(|| {
        let state = state(0, 0);
        let begin = [contract(address(0), &[(1, 1)])];
        let mut model = Model::default();
        model.apply(&begin);
        commit(&state, &begin);
        let other = {
            let state = state.clone();
            thread::spawn(move || {
                run(&state, &[(1, 1)], |_| {
                    vec![slots(address(0), &[(2, 2)]), contract(address(2), &[(1, 1)])]
                })
            })
        };
        let mine = run(&state, &[], |_| {
            vec![
                slots(address(0), &[(2, 0)]),
                removed(address(2)),
                contract(address(1), &[(1, 1)]),
            ]
        });
        check_serial(&state, model, vec![mine, other.join().unwrap()]);
    });
}

/// A slot, a storage and an account that are absent, then there, then absent again.
#[test]
fn what_was_absent_in_between_is_not_what_is_absent_again() {
    explore(|| {
        let state = state(0, 0);
        let begin = [contract(address(0), &[(1, 1)])];
        let mut model = Model::default();
        model.apply(&begin);
        commit(&state, &begin);
        let copy = |reads: [(u8, u64); 1], index| {
            let state = state.clone();
            thread::spawn(move || {
                run(&state, &reads, |values| {
                    vec![contract(address(index), &[(1, values[0])])]
                })
            })
        };
        let copies = [copy([(0, 2)], 2), copy([(1, 1)], 3)];
        let written = [slots(address(0), &[(2, 2)]), contract(address(1), &[(1, 1)])];
        let mut done = vec![run(&state, &[], |_| written.to_vec())];
        done.push(run(&state, &[], |_| {
            vec![slots(address(0), &[(2, 0)]), removed(address(1))]
        }));
        done.extend(copies.map(|copy| copy.join().unwrap()));
        check_serial(&state, model, done);
    });
}

/// Two slots and two balances above 2^128, of which every commit keeps the sum.
fn pair(value: u64) -> Vec<AccountChange> {
    let balance = |balance: U256| Some(balance + (U256::ONE << 128));
    let value_of = |index, value| AccountChange {
        balance: balance(U256::from(value)),
        ..slots(address(index), &[(1, value)])
    };
    vec![value_of(0, 10 + value), value_of(1, 20 - value)]
}

fn check_pair(snapshot: &Snapshot) -> Result<(), VersionGone> {
    let mut sum = U256::ZERO;
    for index in 0..2 {
        let account = snapshot.account(&address(index))?.expect("it is never removed");
        let slot = snapshot.storage(&address(index), &U256::ONE)?;
        assert_eq!(account.balance, slot + (U256::ONE << 128));
        sum += slot;
    }
    assert_eq!(sum, U256::from(30), "version {}", snapshot.sequence());
    Ok(())
}

#[test]
fn a_version_is_never_torn() {
    explore(|| {
        let state = state(0, usize::MAX / 2);
        commit(&state, &pair(0));
        publish(&state);
        let writer = {
            let state = state.clone();
            thread::spawn(move || {
                commit(&state, &pair(1));
                commit(&state, &pair(2));
            })
        };
        let cutter = {
            let state = state.clone();
            thread::spawn(move || {
                let cut = publish(&state);
                check_pair(&state.get_at(cut).unwrap()).unwrap();
            })
        };
        let held = state.published();
        check_pair(&held).unwrap();
        check_pair(&state.published()).unwrap();
        check_pair(&held).unwrap();
        drop(held);
        writer.join().unwrap();
        cutter.join().unwrap();
        check_nothing_left(&state);
    });
}

#[test]
fn a_reader_of_a_version_that_is_trimmed_sees_it_or_an_error() {
    explore(|| {
        let state = state(0, 0);
        commit(&state, &pair(0));
        publish(&state);
        let held = state.published();
        let reader = thread::spawn(move || {
            let first = check_pair(&held);
            let second = check_pair(&held);
            assert!(first.is_ok() || second.is_err(), "what is gone stays gone");
        });
        for value in 1..4 {
            commit(&state, &pair(value));
            publish(&state);
        }
        reader.join().unwrap();
        check_nothing_left(&state);
    });
}

#[test]
fn a_wide_balance_that_is_used_again_is_nobody_elses() {
    explore(|| {
        let state = state(0, 0);
        let balance = |index, balance| AccountChange {
            balance: Some(balance),
            ..AccountChange::new(address(index))
        };
        commit(&state, &[balance(0, U256::MAX)]);
        publish(&state);
        let reader = {
            let state = state.clone();
            thread::spawn(move || {
                let Ok(account) = state.newest().account(&address(0));
                let seen = account.expect("it is never removed").balance;
                assert!(seen >= U256::MAX - U256::ONE, "{seen}");
            })
        };
        for (index, value) in [(0, U256::MAX - U256::ONE), (1, U256::MAX >> 1)] {
            commit(&state, &[balance(index, value)]);
            publish(&state);
        }
        reader.join().unwrap();
        check_nothing_left(&state);
    });
}

#[test]
fn a_storage_that_is_used_again_is_nobody_elses() {
    explore(|| {
        let state = state(0, 0);
        let begin = [contract(address(0), &[(1, 11)])];
        let mut model = Model::default();
        model.apply(&begin);
        commit(&state, &begin);
        publish(&state);
        let reader = {
            let state = state.clone();
            thread::spawn(move || {
                let Ok(value) = state.newest().storage(&address(0), &U256::ONE);
                assert!([0, 11].contains(&value.to::<u64>()), "{value}");
            })
        };
        let copier = {
            let state = state.clone();
            thread::spawn(move || {
                run(&state, &[(0, 1)], |values| {
                    vec![contract(address(2), &[(1, values[0])])]
                })
            })
        };
        let mut done = vec![run(&state, &[], |_| vec![removed(address(0))])];
        publish(&state);
        done.push(run(&state, &[], |_| {
            vec![contract(address(1), &[(1, 22), (2, 23)])]
        }));
        publish(&state);
        reader.join().unwrap();
        done.push(copier.join().unwrap());
        check_serial(&state, model, done);
        check_nothing_left(&state);
    });
}

#[test]
fn the_floor_is_always_a_version() {
    explore(|| {
        let state = state(0, 0);
        let writer = {
            let state = state.clone();
            thread::spawn(move || {
                commit(&state, &[contract(address(0), &[(1, 1)])]);
                commit(&state, &[removed(address(0))]);
                publish(&state);
            })
        };
        let asker = {
            let state = state.clone();
            thread::spawn(move || drop(state.get_at(CommitSequence(1))))
        };
        writer.join().unwrap();
        assert!(state.get_at(state.oldest_sequence()).is_ok());
        asker.join().unwrap();
        check_nothing_left(&state);
    });
}
