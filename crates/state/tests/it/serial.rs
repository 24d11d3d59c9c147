//! Random histories of many writers are serialisable in the order of their sequences: the graph of who read and wrote
//! which version of what is rebuilt from what each commit logged, and no edge of it goes back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use alloy_primitives::{Address, U256};
use rapid_primitives::{Account, AccountChange, CommitSequence, Fate, ReadState};
use rapid_state::{Commit, Credit, Snapshot, State, StateConfig, StateKey};

use crate::model::{Model, removed, wiped};

const BENEFICIARY: Address = Address::repeat_byte(0xbe);

/// Accounts with nonce, balance and slots; few, so that commits meet.
const CONTRACTS: u64 = 3;
const SLOTS: u64 = 4;

/// Accounts that are credited, read, and written.
const HOLDERS: u64 = 4;

/// Commits of each writer.
const COMMITS: usize = if cfg!(miri) { 5 } else { 400 };

fn contract(index: u64) -> Address {
    Address::left_padding_from(&(0xc0 + index).to_be_bytes())
}

fn holder(index: u64) -> Address {
    Address::left_padding_from(&(0x40 + index).to_be_bytes())
}

/// What a commit logged.
#[derive(Debug)]
struct Logged {
    sequence: u64,
    accounts: Vec<(Address, Option<Account>)>,
    slots: Vec<(Address, U256, U256)>,
    changes: Vec<AccountChange>,
    credits: Vec<(Credit, U256)>,
    withheld: u64,
}

/// A small generator with a fixed seed: the schedule varies, the work does not.
struct Random(u64);

impl Random {
    fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn yields(&mut self) {
        if self.below(3) == 0 {
            thread::yield_now();
        }
    }
}

/// Every value that is written is another, so a value read says which commit wrote it.
static NEXT_VALUE: AtomicU64 = AtomicU64::new(1);

fn value() -> u64 {
    NEXT_VALUE.fetch_add(1, SeqCst)
}

/// Executes and commits; `None` if it was refused.
fn run(
    view: &rapid_state::Recording,
    writer: &mut rapid_state::Writer,
    random: &mut Random,
) -> Option<Logged> {
    let mut accounts = Vec::new();
    let mut slots = Vec::new();
    for _ in 0..random.below(3) {
        let address = holder(random.below(HOLDERS));
        accounts.push((address, view.account(&address).ok()?));
        random.yields();
    }
    for _ in 0..random.below(4) {
        let (address, slot) = (contract(random.below(CONTRACTS)), U256::from(random.below(SLOTS)));
        slots.push((address, slot, view.storage(&address, &slot).ok()?));
        random.yields();
    }
    let mut changes: BTreeMap<Address, AccountChange> = BTreeMap::new();
    for _ in 0..random.below(3) {
        let address = contract(random.below(CONTRACTS));
        let change = changes
            .entry(address)
            .or_insert_with(|| AccountChange::new(address));
        if change.fate == Fate::Removed {
            continue;
        }
        let slot = U256::from(random.below(SLOTS));
        if change.storage.iter().all(|(written, _)| *written != slot) {
            let cleared = random.below(5) == 0;
            change
                .storage
                .push((slot, U256::from(if cleared { 0 } else { value() })));
        }
        if random.below(3) == 0 {
            change.nonce = Some(value());
        }
        match random.below(12) {
            0 => *change = removed(address),
            1 => *change = wiped(address, value()),
            _ => {}
        }
    }
    if random.below(2) == 0 {
        let address = holder(random.below(HOLDERS));
        let change = AccountChange {
            nonce: Some(value()),
            balance: Some(U256::from(value())),
            ..AccountChange::new(address)
        };
        changes.insert(address, change);
    }
    let credits: Vec<_> = (0..random.below(3))
        .map(|_| Credit {
            address: holder(random.below(HOLDERS)),
            wei: U256::from(random.below(9)),
        })
        .collect();
    let withheld = random.below(5);
    let changes: Vec<_> = changes.into_values().collect();
    random.yields();
    let reads = view.take_reads();
    let committed = writer.commit(&Commit {
        reads: &reads,
        changes: &changes,
        credits: &credits,
        withheld: U256::from(withheld),
    });
    let logged = committed.ok().map(|committed| Logged {
        sequence: committed.sequence.0,
        accounts,
        slots,
        changes,
        credits: credits
            .iter()
            .copied()
            .zip(committed.balances().iter().copied())
            .collect(),
        withheld,
    });
    view.reuse(reads);
    logged
}

/// The versions of a key: values and who wrote them, in the order of the writers' sequences.
type Versions = Vec<(U256, u64)>;

/// From the log alone: who wrote which version of each slot, and of each nonce. Wiped slots get the version zero.
fn versions(log: &[Logged]) -> BTreeMap<StateKey, Versions> {
    let mut versions: BTreeMap<StateKey, Versions> = BTreeMap::new();
    let mut write = |key, value, sequence| {
        let of_key = versions.entry(key).or_insert_with(|| vec![(U256::ZERO, 0)]);
        of_key.push((value, sequence));
    };
    // Slots of an account that does not exist are not written.
    let mut existing = BTreeSet::new();
    for logged in log {
        for change in &logged.changes {
            if change.clears_storage() {
                for slot in (0..SLOTS).map(U256::from) {
                    write(StateKey::Slot(change.address, slot), U256::ZERO, logged.sequence);
                }
            }
            if change.nonce.is_some() {
                existing.insert(change.address);
            } else if change.fate == Fate::Removed {
                existing.remove(&change.address);
            }
            let exists = existing.contains(&change.address);
            for (slot, value) in change.storage.iter().filter(|_| exists) {
                write(StateKey::Slot(change.address, *slot), *value, logged.sequence);
            }
            if let Some(nonce) = change.nonce {
                write(
                    StateKey::Account(change.address),
                    U256::from(nonce),
                    logged.sequence,
                );
            }
        }
    }
    versions
}

/// Each read is of the last version before the reader: its writer comes before it (RAW), and the next writer of the key
/// after it (WAR). That writers of a key follow each other (WAW) is how the versions were put in order.
fn check_edges(log: &[Logged]) {
    let versions = versions(log);
    let check = |key: StateKey, seen: U256, reader: u64| {
        let Some(versions) = versions.get(&key) else {
            assert_eq!(seen, U256::ZERO, "{key:?} was never written");
            return;
        };
        // Zero is written more than once; then one of the versions must fit.
        let fits = versions.iter().enumerate().any(|(nth, (value, writer))| {
            let next = versions[nth + 1..].iter().find(|(_, next)| next > writer);
            *value == seen && *writer < reader && next.is_none_or(|(_, next)| *next >= reader)
        });
        assert!(fits, "{key:?} = {seen} read by {reader}, of {versions:?}");
    };
    for logged in log {
        for (address, account) in &logged.accounts {
            let nonce = account.map_or(0, |account| account.nonce);
            check(StateKey::Account(*address), U256::from(nonce), logged.sequence);
        }
        for (address, slot, value) in &logged.slots {
            check(StateKey::Slot(*address, *slot), *value, logged.sequence);
        }
    }
}

/// One after the other, in the order of their sequences, the commits read what they have read; credits see what they have
/// seen; and versions are what they are.
fn check_replay(state: &State, log: &[Logged], mut cuts: Vec<Snapshot>) {
    cuts.sort_unstable_by_key(Snapshot::sequence);
    cuts.dedup_by_key(|cut| cut.sequence());
    let mut cuts = cuts.into_iter().peekable();
    let mut model = Model::default();
    let mut fees = 0;
    for logged in log {
        while let Some(cut) = cuts.next_if(|cut| cut.sequence().0 < logged.sequence) {
            check_cut(&model, fees, &cut);
        }
        for (address, account) in &logged.accounts {
            assert_eq!(model.account(address), *account, "read by {}", logged.sequence);
        }
        for (address, slot, value) in &logged.slots {
            assert_eq!(model.slot(address, slot), *value, "read by {}", logged.sequence);
        }
        model.apply(&logged.changes);
        for (credit, balance) in &logged.credits {
            assert_eq!(model.credit(credit), *balance, "credited by {}", logged.sequence);
        }
        fees += logged.withheld;
    }
    cuts.for_each(|cut| check_cut(&model, fees, &cut));
    check_cut(&model, fees, &state.get_at(state.cut()).unwrap());
}

fn check_cut(model: &Model, fees: u64, cut: &Snapshot) {
    let mut expected = model.clone();
    expected.credit(&Credit {
        address: BENEFICIARY,
        wei: U256::from(fees),
    });
    assert_eq!(Model::scan(cut).unwrap(), expected, "version {}", cut.sequence());
}

fn check(threads: u64) {
    let state = State::new(StateConfig::default()).unwrap();
    state.withhold_for(BENEFICIARY);
    let (writing, cuts) = (AtomicBool::new(true), Mutex::new(Vec::new()));
    let mut log: Vec<_> = thread::scope(|scope| {
        let writers: Vec<_> = (0..threads)
            .map(|thread| {
                let state = &state;
                scope.spawn(move || {
                    let mut random = Random(0x9e37_79b9 * (thread + 1) + threads);
                    let (view, mut writer) = (state.recording(), state.writer());
                    (0..COMMITS)
                        .filter_map(|_| run(&view, &mut writer, &mut random))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        scope.spawn(|| {
            while writing.load(SeqCst) {
                let cut: CommitSequence = state.cut();
                cuts.lock().unwrap().push(state.get_at(cut).unwrap());
                thread::yield_now();
            }
        });
        let log = writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect();
        writing.store(false, SeqCst);
        log
    });
    log.sort_unstable_by_key(|logged: &Logged| logged.sequence);
    assert!(
        log.windows(2).all(|pair| pair[0].sequence < pair[1].sequence),
        "each commit has its own sequence"
    );
    assert!(!log.is_empty());
    check_edges(&log);
    check_replay(&state, &log, cuts.into_inner().unwrap());
}

#[test]
fn histories_of_one_writer_are_serial() {
    check(1);
}

#[test]
fn histories_of_two_writers_are_serialisable() {
    check(2);
}

#[test]
fn histories_of_four_writers_are_serialisable() {
    check(4);
}

#[test]
fn histories_of_eight_writers_are_serialisable() {
    check(8);
}
