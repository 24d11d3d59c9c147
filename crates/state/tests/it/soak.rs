//! Many writers and readers at once, for long: everything anybody read is what the plainest state says of that version.
//!
//! `RAPID_STATE_OPERATIONS` keys are written or read, a few hundred thousand if it is not set. Each writer has accounts of its own,
//! so the state at any version is what each had committed by then. Between rounds, when nobody else is there, drafts
//! are adopted and the state goes back over whole rounds.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
};

use alloy_primitives::{Address, U256};
use rapid_primitives::{Account, AccountChange, CommitSequence, Fate, ReadState};
use rapid_state::{Draft, ReadSet, Snapshot, State, StateConfig, StateView, VersionGone};

use crate::model::{Model, code};

const OPERATIONS: usize = 300_000;
const WRITERS: u8 = 4;
const READERS: u8 = 2;
const COMMITS_PER_ROUND: usize = 1_000;

/// Of each reader: they would leave the writers no time.
const READS_PER_ROUND: usize = 10_000;

/// Some ten old values: readers are overrun now and then.
const RETAINED_BYTES: usize = 1 << 10;

/// A few keys that everybody meets at, and many that come and go.
const HOT: (u16, u64) = (4, 6);
const COLD: (u16, u64) = (1_500, 40);

/// A small generator with a fixed seed: the schedule varies, the work hardly does.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }

    /// An account of a writer's, and one of the slots it may have.
    fn key(&mut self, writer: u8) -> (Address, U256) {
        let (first, (accounts, slots)) = if self.below(2) == 0 {
            (0, HOT)
        } else {
            (HOT.0, COLD)
        };
        let account = first + self.below(accounts.into()) as u16;
        let mut address = Address::repeat_byte(0xcc);
        address.0[0] = writer;
        address.0[17..19].copy_from_slice(&account.to_be_bytes());
        (address, U256::from(self.below(slots)))
    }

    fn value(&mut self) -> U256 {
        match self.below(8) {
            0..3 => U256::ZERO,
            3 => U256::MAX - U256::from(self.below(9)),
            _ => U256::from(self.below(1 << 40)),
        }
    }

    fn change(&mut self, writer: u8) -> AccountChange {
        let (address, _) = self.key(writer);
        let mut change = AccountChange::new(address);
        match self.below(20) {
            0 => {
                change.fate = Fate::Removed;
                return change;
            }
            1 => {
                change.fate = Fate::Wiped;
                change.nonce = Some(1);
                change.balance = Some(self.value());
                change.code = Some(code(self.below(3) as u8));
            }
            2..10 => {
                change.nonce = Some(self.below(1 << 20));
                change.balance = (self.below(2) == 0).then(|| self.value());
                change.code = (self.below(4) == 0).then(|| code(self.below(3) as u8));
            }
            // Slots alone lock nothing else.
            _ => {}
        }
        for _ in 0..self.below(6) {
            let (_, slot) = self.key(writer);
            if change.storage.iter().all(|(known, _)| *known != slot) {
                change.storage.push((slot, self.value()));
            }
        }
        change
    }

    fn changes(&mut self, writer: u8) -> Vec<AccountChange> {
        (0..=self.below(3)).map(|_| self.change(writer)).collect()
    }
}

fn writer_of(address: &Address) -> usize {
    address.0[0].into()
}

fn keys_in(changes: &[AccountChange]) -> usize {
    changes.iter().map(|change| 1 + change.storage.len()).sum()
}

/// What a writer committed, in order.
type History = Vec<(CommitSequence, Vec<AccountChange>)>;

/// What somebody read in a version.
struct Read {
    version: CommitSequence,
    address: Address,
    slot: U256,
    account: Option<Account>,
    value: U256,
}

fn write(state: &State, writer: u8, seed: u64) -> History {
    let mut random = Random::new(seed);
    let view = state.recording();
    let commit = |_| {
        let changes = random.changes(writer);
        for _ in 0..random.below(4) {
            let (address, slot) = random.key(writer);
            let (Ok(_), Ok(_)) = (view.account(&address), view.storage(&address, &slot));
        }
        // Nobody else writes here, so what was read holds; but whoever trims may be taken for somebody who writes.
        let sequence = state
            .commit(&view.take_reads(), &changes)
            .or_else(|_| state.commit(&ReadSet::new(), &changes))
            .unwrap();
        (sequence, changes)
    };
    (0..COMMITS_PER_ROUND).map(commit).collect()
}

fn read(snapshot: &Snapshot, address: Address, slot: U256) -> Result<Read, VersionGone> {
    Ok(Read {
        version: snapshot.sequence(),
        address,
        slot,
        account: snapshot.account(&address)?,
        value: snapshot.storage(&address, &slot)?,
    })
}

/// Holds one version for a while and looks at the newest in between.
fn look(state: &State, working: &AtomicBool, seed: u64, gone: &AtomicUsize) -> Vec<Read> {
    let mut random = Random::new(seed);
    let mut reads = Vec::new();
    while working.load(SeqCst) && reads.len() < READS_PER_ROUND {
        let held = state.published();
        for _ in 0..random.below(2_000) {
            let (address, slot) = random.key(random_writer(seed, reads.len()));
            match read(&held, address, slot) {
                Ok(read) => reads.push(read),
                Err(_) => {
                    gone.fetch_add(1, SeqCst);
                    assert!(read(&held, address, slot).is_err(), "what is gone stays gone");
                    break;
                }
            }
            reads.extend(read(&state.published(), address, slot));
        }
        thread::yield_now();
    }
    reads
}

fn random_writer(seed: u64, nth: usize) -> u8 {
    ((seed as usize + nth) % usize::from(WRITERS)) as u8
}

/// Begins drafts and drops them; what a draft was told it says.
fn draft(state: &State, working: &AtomicBool, seed: u64) -> usize {
    let mut random = Random::new(seed);
    let mut count = 0;
    while working.load(SeqCst) {
        count += 1;
        let mut draft = Draft::begin(state.published());
        let mut told = Model::default();
        for nth in 0..random.below(6) as usize {
            let changes = random.changes(random_writer(seed, nth));
            if draft.apply(&changes).is_err() {
                break;
            }
            let child = Draft::begin_on(&draft);
            told.apply(&changes);
            for (address, (_, slots)) in told.0.iter().take(20) {
                for (slot, value) in slots {
                    let said = child.storage(address, slot);
                    // An account that the draft only gave slots may not exist.
                    let exists = child.account(address).is_ok_and(|account| account.is_some());
                    assert!(said.is_err() || !exists || said == Ok(*value), "{address} {slot}");
                }
            }
        }
    }
    count
}

struct Soak {
    state: State,
    models: Vec<Model>,
    random: Random,
    operations: usize,
    gone: AtomicUsize,
}

impl Soak {
    fn new() -> Self {
        let state = State::new(StateConfig {
            retained_bytes: RETAINED_BYTES,
            leased_bytes: RETAINED_BYTES,
        });
        Self {
            state: state.unwrap(),
            models: vec![Model::default(); WRITERS.into()],
            random: Random::new(1),
            operations: 0,
            gone: AtomicUsize::new(0),
        }
    }

    /// Everybody at once.
    fn round(&mut self) {
        // Nobody is to read what was before the models.
        self.state.publish(self.state.cut());
        let (state, working, gone) = (&self.state, &AtomicBool::new(true), &self.gone);
        let seed = self.random.below(1 << 40);
        let (histories, reads): (Vec<_>, Vec<_>) = thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| scope.spawn(move || write(state, writer, seed + u64::from(writer))))
                .collect();
            let readers: Vec<_> = (0..READERS)
                .map(|reader| scope.spawn(move || look(state, working, seed + 50 + u64::from(reader), gone)))
                .collect();
            scope.spawn(move || draft(state, working, seed + 90));
            scope.spawn(move || {
                while working.load(SeqCst) {
                    state.publish(state.cut());
                    thread::yield_now();
                }
            });
            let histories = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
            working.store(false, SeqCst);
            let reads = readers.into_iter().flat_map(|reader| reader.join().unwrap());
            (histories, reads.collect())
        });
        self.check(histories, reads);
    }

    /// Goes through what was written and read in the order of versions.
    fn check(&mut self, histories: Vec<History>, mut reads: Vec<Read>) {
        self.operations += reads.len();
        reads.sort_unstable_by_key(|read| read.version);
        let mut left: Vec<_> = histories
            .into_iter()
            .map(|history| history.into_iter().peekable())
            .collect();
        for read in reads {
            let writer = writer_of(&read.address);
            let model = &mut self.models[writer];
            while let Some((_, changes)) = left[writer].next_if(|(sequence, _)| *sequence <= read.version) {
                self.operations += keys_in(&changes);
                model.apply(&changes);
            }
            assert_eq!(
                model.account(&read.address),
                read.account,
                "version {}",
                read.version
            );
            assert_eq!(
                model.slot(&read.address, &read.slot),
                read.value,
                "version {}",
                read.version
            );
        }
        for (model, rest) in self.models.iter_mut().zip(left) {
            for (_, changes) in rest {
                self.operations += keys_in(&changes);
                model.apply(&changes);
            }
        }
        self.check_newest();
    }

    fn check_newest(&mut self) -> Snapshot {
        let newest = self.state.get_at(self.state.sequence()).unwrap();
        let mut seen = vec![Model::default(); WRITERS.into()];
        for account in newest.accounts() {
            let account = account.unwrap();
            let model = &mut seen[writer_of(&account.address())].0;
            model.insert(account.address(), (account.account(), Default::default()));
        }
        for slot in newest.slots() {
            let slot = slot.unwrap();
            let model = &mut seen[writer_of(&slot.address)].0;
            let (_, slots) = model.get_mut(&slot.address).unwrap();
            assert_eq!(slots.insert(slot.slot, slot.value), None);
        }
        assert!(
            seen == self.models,
            "a scan of {} is what was written",
            newest.sequence()
        );
        self.operations += self.models.iter().map(Model::slot_count).sum::<usize>();
        newest
    }

    /// When nobody looks at the past, there is what exists and nothing else, once dead storages are swept.
    fn check_nothing_left(&self) {
        for _ in 0..40 {
            let last = self.state.commit(&ReadSet::new(), &[]).unwrap();
            self.state.publish(last);
        }
        let usage = self.state.usage();
        assert_eq!(usage.leased_versions, 1);
        assert!(usage.retained_bytes <= RETAINED_BYTES);
        if usage.retained_bytes == 0 {
            let accounts: usize = self.models.iter().map(|model| model.0.len()).sum();
            let slots: usize = self.models.iter().map(Model::slot_count).sum();
            assert_eq!((usage.account_entries, usage.slot_entries), (accounts, slots));
        }
    }

    fn changes(&mut self) -> Vec<AccountChange> {
        let nth = self.random.below(4) as usize;
        self.random.changes(random_writer(0, nth))
    }

    fn apply(&mut self, changes: &[AccountChange]) {
        for change in changes {
            self.models[writer_of(&change.address)].apply(std::slice::from_ref(change));
        }
    }

    /// A branch of drafts is adopted, gone back from, and adopted again.
    fn branch(&mut self) {
        let base = self.check_newest();
        let before = self.models.clone();
        let mut branch = vec![Draft::begin(base.clone())];
        for _ in 0..3 {
            let changes = self.changes();
            let mut child = Draft::begin_on(branch.last().unwrap());
            child.apply(&changes).unwrap();
            self.apply(&changes);
            branch.push(child);
        }
        for draft in &branch {
            draft.adopt(&self.state).unwrap();
        }
        self.check_newest();
        let after = std::mem::replace(&mut self.models, before);
        self.state.rewind_to(base.sequence()).unwrap();
        self.check_newest();
        if self.random.below(2) == 0 {
            let tip = branch.pop().unwrap();
            for draft in &branch {
                draft.adopt(&self.state).unwrap();
            }
            tip.adopt(&self.state).unwrap();
            self.models = after;
            let view = StateView::from(tip);
            self.check_newest();
            view.check().unwrap();
        }
    }
}

#[test]
fn whoever_reads_whatever_is_right() {
    let operations =
        std::env::var("RAPID_STATE_OPERATIONS").map_or(OPERATIONS, |count| count.parse().unwrap());
    let mut soak = Soak::new();
    let mut rounds = 0;
    while soak.operations < operations {
        rounds += 1;
        soak.round();
        if rounds % 3 == 0 {
            soak.branch();
        }
        if rounds % 5 == 0 {
            // Pinned, or the round would overrun it.
            let before = soak.models.clone();
            let version = soak.state.pin(soak.state.sequence()).unwrap();
            soak.round();
            soak.state.rewind_to(version.sequence()).unwrap();
            soak.models = before;
            soak.check_newest();
        }
    }
    soak.check_nothing_left();
    println!(
        "{} operations in {rounds} rounds, {} reads of versions gone, {:?}",
        soak.operations,
        soak.gone.load(SeqCst),
        soak.state.usage()
    );
}
