//! Credits and withheld fees.

use alloy_primitives::{Address, U256};
use rapid_primitives::{AccountChange, CommitSequence, ReadState};
use rapid_sync::thread;

use super::{
    check_nothing_left, commit, explore,
    model::{Model, address, balance, code, slots},
    publish, state,
};
use crate::{Commit, Conflict, Credit, ReadSet, Recording, Snapshot, State, StateKey, Writer};

const BENEFICIARY: u8 = 5;

/// What a commit did, and the balances it was told of.
struct Done {
    sequence: CommitSequence,
    /// What it read of one account.
    read: Option<(Address, U256)>,
    changes: Vec<AccountChange>,
    credits: Vec<(Credit, U256)>,
    withheld: u64,
}

fn credit(index: u8, wei: u64) -> Credit {
    Credit {
        address: address(index),
        wei: U256::from(wei),
    }
}

fn balance_of<R: ReadState>(view: &R, index: u8) -> Result<U256, R::Error> {
    let account = view.account(&address(index))?;
    Ok(account.map_or(U256::ZERO, |account| account.balance))
}

fn try_commit(
    writer: &mut Writer,
    view: &Recording,
    changes: Vec<AccountChange>,
    credits: &[Credit],
    withheld: u64,
) -> Result<Done, Conflict> {
    let reads = view.take_reads();
    let committed = writer.commit(&Commit {
        reads: &reads,
        changes: &changes,
        credits,
        withheld: U256::from(withheld),
    })?;
    let balances = committed.balances().iter().copied();
    Ok(Done {
        sequence: committed.sequence,
        read: None,
        credits: credits.iter().copied().zip(balances).collect(),
        changes,
        withheld,
    })
}

/// Commits without reads: nothing can be in the way.
fn credits(state: &State, credits: &[Credit], withheld: u64) -> Done {
    try_commit(
        &mut state.writer(),
        &state.recording(),
        Vec::new(),
        credits,
        withheld,
    )
    .unwrap()
}

/// Doubles a balance that is read, until nobody is in between.
fn double(state: &State, index: u8, credits: &[Credit]) -> Done {
    let (view, mut writer) = (state.recording(), state.writer());
    loop {
        let Ok(seen) = balance_of(&view, index);
        let change = AccountChange {
            balance: Some(seen * U256::from(2)),
            ..AccountChange::new(address(index))
        };
        if let Ok(done) = try_commit(&mut writer, &view, vec![change], credits, 0) {
            return Done {
                read: Some((address(index), seen)),
                ..done
            };
        }
        thread::yield_now();
    }
}

/// One after the other, in the order of their sequences, commits read and credit what they have.
fn check_serial(state: &State, mut model: Model, mut done: Vec<Done>) {
    done.sort_unstable_by_key(|done| done.sequence);
    let mut fees = U256::ZERO;
    for done in done {
        if let Some((address, seen)) = done.read {
            let balance = model
                .account(&address)
                .map_or(U256::ZERO, |account| account.balance);
            assert_eq!(balance, seen, "read by {}", done.sequence);
        }
        model.apply(&done.changes);
        for (credit, balance) in &done.credits {
            assert_eq!(model.credit(credit), *balance, "credited by {}", done.sequence);
        }
        fees += U256::from(done.withheld);
    }
    model.credit(&Credit {
        address: address(BENEFICIARY),
        wei: fees,
    });
    let _ = state.cut();
    assert_eq!(Model::read(&state.newest()).unwrap(), model);
}

#[test]
fn no_credit_is_lost_whoever_reads_and_writes_the_account() {
    explore(|| {
        let state = state(0, 0);
        let begin = [balance(address(0), 5)];
        let mut model = Model::default();
        model.apply(&begin);
        commit(&state, &begin);
        let crediting = {
            let state = state.clone();
            thread::spawn(move || {
                [
                    credits(&state, &[credit(0, 3), credit(1, 1)], 0),
                    credits(&state, &[credit(1, 7), credit(0, 11)], 0),
                ]
            })
        };
        let doubling = {
            let state = state.clone();
            thread::spawn(move || double(&state, 0, &[credit(1, 2)]))
        };
        let mut done = vec![double(&state, 1, &[]), credits(&state, &[credit(0, 100)], 0)];
        done.extend(crediting.join().unwrap());
        done.push(doubling.join().unwrap());
        check_serial(&state, model, done);
        check_nothing_left(&state);
    });
}

/// An account that is made by a credit, ended by others, and made again.
#[test]
fn an_account_that_comes_and_goes_gets_its_credits() {
    explore(|| {
        let state = state(0, 0);
        let crediting = [1, 10].map(|wei| {
            let state = state.clone();
            thread::spawn(move || credits(&state, &[credit(0, wei)], 0))
        });
        let ending = {
            let state = state.clone();
            thread::spawn(move || {
                let (view, mut writer) = (state.recording(), state.writer());
                let ended = vec![balance(address(0), 0)];
                let done = try_commit(&mut writer, &view, ended, &[], 0).unwrap();
                publish(&state);
                done
            })
        };
        publish(&state);
        let mut done: Vec<_> = crediting
            .into_iter()
            .map(|crediting| crediting.join().unwrap())
            .collect();
        done.push(ending.join().unwrap());
        check_serial(&state, Model::default(), done);
        check_nothing_left(&state);
    });
}

/// Either the credit is first, or it is refused.
#[test]
fn what_gets_code_is_credited_before_or_not_at_all() {
    explore(|| {
        let state = state(0, 0);
        commit(&state, &[balance(address(0), 5)]);
        let crediting = {
            let state = state.clone();
            thread::spawn(move || {
                let (view, mut writer) = (state.recording(), state.writer());
                try_commit(&mut writer, &view, Vec::new(), &[credit(0, 1), credit(1, 1)], 0)
                    .map(|done| done.sequence)
            })
        };
        let with_code = AccountChange {
            code: Some(code(1)),
            ..AccountChange::new(address(0))
        };
        let coded = commit(&state, &[with_code]);
        let credited = crediting.join().unwrap();
        let key = StateKey::Account(address(0));
        match credited {
            Ok(credited) => assert!(credited < coded),
            Err(conflict) => assert_eq!(conflict, Conflict { key }),
        }
        let given = U256::from(u8::from(credited.is_ok()));
        let newest = state.newest();
        assert_eq!(balance_of(&newest, 0), Ok(U256::from(5) + given));
        assert_eq!(balance_of(&newest, 1), Ok(given));
        check_nothing_left(&state);
    });
}

/// Commits that count themselves in a slot each, and withhold as much: any version has as much as it counts.
fn count(state: &State, index: u64) {
    let (view, mut writer) = (state.recording(), state.writer());
    for count in 1..3 {
        let mut change = slots(address(0), &[(index, count)]);
        change.nonce = Some(1);
        try_commit(&mut writer, &view, vec![change], &[], 1).unwrap();
    }
}

fn check_fees(version: &Snapshot, beneficiaries: &[u8]) -> U256 {
    let slot = |index| version.storage(&address(0), &U256::from(index)).unwrap();
    let counted = slot(1) + slot(2);
    let paid: U256 = beneficiaries
        .iter()
        .map(|index| balance_of(version, *index).unwrap())
        .sum();
    assert_eq!(paid, counted, "version {}", version.sequence());
    paid
}

#[test]
fn a_version_has_the_fees_of_its_commits() {
    explore(|| {
        let state = state(0, usize::MAX / 2);
        state.withhold_for(address(BENEFICIARY));
        let writing = [1, 2].map(|index| {
            let state = state.clone();
            thread::spawn(move || count(&state, index))
        });
        let cutting = {
            let state = state.clone();
            thread::spawn(move || {
                let cut = publish(&state);
                check_fees(&state.get_at(cut).unwrap(), &[BENEFICIARY]);
                check_fees(&state.published(), &[BENEFICIARY]);
            })
        };
        // The other cut may be published already, and this one forgotten; and the newest commit may be no version.
        for version in [state.cut(), state.sequence()] {
            if let Ok(version) = state.get_at(version) {
                check_fees(&version, &[BENEFICIARY]);
            }
        }
        writing.into_iter().for_each(|writer| writer.join().unwrap());
        cutting.join().unwrap();
        let version = state.get_at(state.cut()).unwrap();
        assert_eq!(check_fees(&version, &[BENEFICIARY]), U256::from(4));
        drop(version);
        check_nothing_left(&state);
    });
}

#[test]
fn fees_go_to_who_was_named_when_they_were_withheld() {
    explore(|| {
        let state = state(0, usize::MAX / 2);
        state.withhold_for(address(BENEFICIARY));
        let writing = {
            let state = state.clone();
            thread::spawn(move || count(&state, 1))
        };
        let crediting = {
            let state = state.clone();
            thread::spawn(move || drop(credits(&state, &[credit(BENEFICIARY, 0)], 0)))
        };
        let both = [BENEFICIARY, BENEFICIARY - 1];
        state.withhold_for(address(both[1]));
        let early = balance_of(&state.newest(), BENEFICIARY);
        let cut = publish(&state);
        check_fees(&state.get_at(cut).unwrap(), &both);
        writing.join().unwrap();
        crediting.join().unwrap();
        let version = state.get_at(state.cut()).unwrap();
        assert_eq!(check_fees(&version, &both), U256::from(2));
        let late = balance_of(&version, BENEFICIARY).unwrap();
        assert_eq!(early, Ok(late), "nothing is withheld for the first any more");
        drop(version);
        check_nothing_left(&state);
    });
}

#[test]
fn a_rewind_takes_back_the_fees_of_what_it_takes_back() {
    explore(|| {
        let state = state(0, usize::MAX / 2);
        state.withhold_for(address(BENEFICIARY));
        let first = commit(&state, &[slots(address(0), &[]), balance(address(0), 1)]);
        let base = publish(&state);
        assert_eq!(first, base);
        let writing = {
            let state = state.clone();
            thread::spawn(move || count(&state, 1))
        };
        let held = state.published();
        let (rewound, _) = state.rewind_to(base).unwrap();
        check_fees(&state.get_at(rewound).unwrap(), &[BENEFICIARY]);
        assert_eq!(
            Model::read(&state.get_at(rewound).unwrap()).unwrap(),
            Model::read(&held).unwrap()
        );
        writing.join().unwrap();
        let version = state.get_at(state.cut()).unwrap();
        let paid = balance_of(&version, BENEFICIARY).unwrap();
        let counted = version.storage(&address(0), &U256::from(1)).unwrap();
        // The slot says how many were committed before the rewind, unless all were.
        assert!(paid <= counted && counted <= U256::from(2), "{paid} of {counted}");
        drop((version, held));
        check_nothing_left(&state);
    });
}

/// With as many writers as there are, two handles share one.
#[test]
fn writers_that_share_a_workspace_share_no_commit() {
    explore(|| {
        let state = state(0, 0);
        let handles: Vec<_> = (0..5).map(|_| state.writer()).collect();
        let threads = handles.into_iter().map(|mut writer| {
            thread::spawn(move || {
                let reads = ReadSet::new();
                let credits = [credit(0, 1)];
                let committed = writer.commit(&Commit {
                    reads: &reads,
                    changes: &[],
                    credits: &credits,
                    withheld: U256::ZERO,
                });
                committed.unwrap().balances()[0]
            })
        });
        let threads: Vec<_> = threads.collect();
        let mut told: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        told.sort_unstable();
        assert_eq!(told, [1, 2, 3, 4, 5].map(U256::from));
    });
}
