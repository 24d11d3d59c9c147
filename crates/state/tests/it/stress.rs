//! Many writers and readers at once: serialisable, conserved at every cut, or a clean error.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
};

use alloy_primitives::{Address, U256};
use rapid_primitives::{AccountChange, CommitSequence, ReadState};
use rapid_state::{ReadSet, Snapshot, State, StateConfig, VersionGone};

const WRITERS: u64 = 4;
const TRANSFERS: u64 = 3_000;
const HOLDERS: u64 = 24;
const EACH: u64 = 1_000;

fn holder(index: u64) -> Address {
    Address::left_padding_from(&(index + 1).to_be_bytes())
}

fn token() -> Address {
    Address::repeat_byte(0xee)
}

/// One committed transfer: of coins between accounts, or of tokens between slots.
#[derive(Debug)]
struct Transfer {
    sequence: CommitSequence,
    kind: Kind,
    from: u64,
    to: u64,
    /// What the writer read.
    seen: (u64, u64),
    amount: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Coin,
    Token,
}

fn begin(config: StateConfig) -> State {
    let state = State::new(config).unwrap();
    let mut changes: Vec<_> = (0..HOLDERS)
        .map(|index| AccountChange {
            balance: Some(U256::from(EACH)),
            ..AccountChange::new(holder(index))
        })
        .collect();
    let storage = (0..HOLDERS)
        .map(|index| (U256::from(index), U256::from(EACH)))
        .collect();
    changes.push(AccountChange {
        nonce: Some(1),
        storage,
        ..AccountChange::new(token())
    });
    state.publish(state.commit(&ReadSet::new(), &changes).unwrap());
    state
}

fn read<R: ReadState>(view: &R, kind: Kind, index: u64) -> Result<u64, R::Error> {
    Ok(match kind {
        Kind::Coin => view
            .account(&holder(index))?
            .map_or(0, |account| account.balance.to()),
        Kind::Token => view.storage(&token(), &U256::from(index))?.to(),
    })
}

fn changes(kind: Kind, values: [(u64, u64); 2]) -> Vec<AccountChange> {
    match kind {
        Kind::Coin => values
            .map(|(index, value)| AccountChange {
                balance: Some(U256::from(value)),
                ..AccountChange::new(holder(index))
            })
            .into(),
        Kind::Token => {
            let storage = values
                .map(|(index, value)| (U256::from(index), U256::from(value)))
                .into();
            vec![AccountChange {
                storage,
                ..AccountChange::new(token())
            }]
        }
    }
}

/// A small generator with a fixed seed: the schedule varies, the work does not.
fn random(state: &mut u64, below: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % below
}

fn write(state: &State, writer: u64) -> Vec<Transfer> {
    let mut seed = writer + 1;
    let view = state.recording();
    let mut done = Vec::new();
    for _ in 0..TRANSFERS {
        let kind = if random(&mut seed, 2) == 0 {
            Kind::Coin
        } else {
            Kind::Token
        };
        let from = random(&mut seed, HOLDERS);
        let to = (from + 1 + random(&mut seed, HOLDERS - 1)) % HOLDERS;
        let share = random(&mut seed, 4) + 1;
        loop {
            let Ok(seen) = read(&view, kind, from).and_then(|a| Ok((a, read(&view, kind, to)?)));
            let amount = seen.0 / share;
            let changes = changes(kind, [(from, seen.0 - amount), (to, seen.1 + amount)]);
            if let Ok(sequence) = state.commit(&view.take_reads(), &changes) {
                done.push(Transfer {
                    sequence,
                    kind,
                    from,
                    to,
                    seen,
                    amount,
                });
                break;
            }
        }
    }
    done
}

fn check(snapshot: &Snapshot) -> Result<(), VersionGone> {
    for kind in [Kind::Coin, Kind::Token] {
        let mut sum = 0;
        for index in 0..HOLDERS {
            sum += read(snapshot, kind, index)?;
        }
        assert_eq!(
            sum,
            HOLDERS * EACH,
            "{kind:?} conserved at version {}",
            snapshot.sequence()
        );
    }
    let mut scanned = U256::ZERO;
    snapshot.for_each_account(|account| {
        for slot in account.storage() {
            scanned += slot?.1;
        }
        Ok::<_, VersionGone>(())
    })?;
    assert_eq!(scanned, U256::from(HOLDERS * EACH));
    Ok(())
}

/// Executes the transfers one after the other: each must have read what it would have read then.
fn check_serial(mut transfers: Vec<Transfer>, state: &State) {
    transfers.sort_unstable_by_key(|transfer| transfer.sequence);
    let mut values = BTreeMap::new();
    let mut last = CommitSequence(1);
    for transfer in transfers {
        assert!(transfer.sequence > last, "each commit has its own sequence");
        last = transfer.sequence;
        let value = |index| values.get(&(transfer.kind, index)).copied().unwrap_or(EACH);
        let seen = (value(transfer.from), value(transfer.to));
        assert_eq!(transfer.seen, seen, "{transfer:?}");
        values.insert((transfer.kind, transfer.from), seen.0 - transfer.amount);
        values.insert((transfer.kind, transfer.to), seen.1 + transfer.amount);
    }
    for ((kind, index), value) in values {
        assert_eq!(read(&state.newest(), kind, index).unwrap(), value);
    }
}

/// Runs writers, one sealer that cuts and publishes, and readers; returns how many snapshots were overrun.
fn run(config: StateConfig) -> usize {
    let state = begin(config);
    let (writing, overrun) = (AtomicBool::new(true), AtomicUsize::new(0));
    let transfers = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let state = &state;
                scope.spawn(move || write(state, writer))
            })
            .collect();
        scope.spawn(|| {
            while writing.load(SeqCst) {
                state.publish(state.cut());
                thread::yield_now();
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut old = state.published();
                while writing.load(SeqCst) {
                    let new = state.published();
                    for snapshot in [&old, &new] {
                        overrun.fetch_add(usize::from(check(snapshot).is_err()), SeqCst);
                    }
                    if new.sequence().0 > old.sequence().0 + 500 {
                        old = new;
                    }
                }
            });
        }
        let transfers = writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect();
        writing.store(false, SeqCst);
        transfers
    });
    check_serial(transfers, &state);
    state.publish(state.cut());
    check(&state.published()).unwrap();
    assert!(state.usage().retained_bytes <= config.retained_bytes);
    overrun.into_inner()
}

#[test]
fn transfers_are_serialisable_and_conserved_at_every_cut() {
    assert_eq!(
        run(StateConfig {
            retained_bytes: 32 << 10,
            leased_bytes: usize::MAX / 2
        }),
        0
    );
}

#[test]
fn readers_that_are_overrun_see_an_error_and_nothing_wrong() {
    run(StateConfig {
        retained_bytes: 0,
        leased_bytes: 0,
    });
}
