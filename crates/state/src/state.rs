//! The state and its versions: commit, cut, publish, and the view of executors.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use alloy_primitives::{Address, B256, U256};
use arc_swap::ArcSwap;
use rapid_primitives::{Account, AccountChange, CommitSequence, ReadState, WriteState};
use revm::bytecode::Bytecode;

use crate::{
    Commit, Conflict, OutOfMemory, ReadSet, Recording, Snapshot, StateConfig, VersionGone,
    account::storage_of,
    cuts::Cuts,
    lease::{Hold, Lease, Leases},
    sweep::Sweep,
    sync::{
        Mutex,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    table::Lookup,
    tables::Tables,
    writers::{AllWriters, Writers},
};

/// The state. Clones are handles to the same state.
///
/// It begins empty at version 0, which is published. What a [commit](Self::commit) writes is seen by [`Newest`] at
/// once and by [`published`](Self::published) after [`publish`](Self::publish).
#[derive(Clone, Debug)]
pub struct State(pub(crate) Arc<Shared>);

/// What a state holds in memory, in numbers. Commits in flight may or may not be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateUsage {
    /// Accounts, including removed ones that a retained version still sees.
    pub account_entries: usize,
    /// Slots, including cleared ones that a retained version still sees.
    pub slot_entries: usize,
    /// Bytes of the tables: entries and indexes, without code.
    pub table_bytes: usize,
    /// Bytes of the past at the last cut, as [`StateConfig`] counts them.
    pub retained_bytes: usize,
    /// Versions that snapshots hold, the published one included.
    pub leased_versions: usize,
}

/// What the handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) tables: Tables,
    pub(crate) writers: Writers,
    /// Last sequence taken.
    pub(crate) sequence: AtomicU64,
    pub(crate) cuts: Cuts,
    /// Up to the newest version; each cut adds what was kept since. Only what is from before the floor, which is a version, is
    /// subtracted, so it is never below zero; relaxed.
    pub(crate) retained_bytes: AtomicUsize,
    pub(crate) leases: Arc<Leases>,
    pub(crate) published: ArcSwap<Lease>,
    publishing: Mutex<()>,
    /// Held by who trims, and by who must not be trimmed under.
    pub(crate) trimming: Mutex<Sweep>,
    pub(crate) rewinds: Mutex<Rewinds>,
    pub(crate) config: StateConfig,
}

impl State {
    /// An empty state. It takes address space for the largest state there can be, and memory for what it holds.
    ///
    /// # Errors
    /// [`OutOfMemory`] where the system limits address space.
    pub fn new(config: StateConfig) -> Result<Self, OutOfMemory> {
        let leases = Arc::new(Leases::default());
        let empty = leases
            .lease(0, Hold::Leased)
            .expect("the floor of a new state is 0");
        Ok(Self(Arc::new(Shared {
            tables: Tables::new()?,
            writers: Writers::new(),
            sequence: AtomicU64::new(0),
            cuts: Cuts::default(),
            retained_bytes: AtomicUsize::new(0),
            leases,
            published: ArcSwap::new(empty),
            publishing: Mutex::new(()),
            trimming: Mutex::default(),
            rewinds: Mutex::new(Rewinds::default()),
            config,
        })))
    }

    /// Makes room for this many accounts and slots more, so that loading them does not grow the tables step by step.
    ///
    /// # Errors
    /// [`OutOfMemory`] if the system does not have the memory.
    pub fn reserve(&self, accounts: usize, slots: usize) -> Result<(), OutOfMemory> {
        self.0.tables.accounts.make_room(accounts)?;
        self.0.tables.slots.make_room(slots)
    }

    /// The newest committed values, published or not. For executors only: everybody else reads snapshots.
    #[must_use]
    pub fn newest(&self) -> Newest {
        Newest(self.clone())
    }

    /// The newest committed values, for one of several workers: remembers what was read, for
    /// [`commit`](Self::commit).
    #[must_use]
    pub fn recording(&self) -> Recording {
        Recording::new(self.clone(), ReadSet::new())
    }

    /// The published version. Takes no lock.
    #[must_use]
    pub fn published(&self) -> Snapshot {
        Snapshot::new(Arc::clone(&self.0), self.0.published.load_full())
    }

    /// A version that is still retained. Versions are [cuts](Self::cut), and the sequence of the newest commit, of which
    /// this makes one, unless fees are [withheld](crate::Commit::withheld): then that is not a version, and the cut is
    /// after it.
    ///
    /// # Errors
    /// [`VersionGone`] when the version was trimmed, is not committed yet, or is none.
    pub fn get_at(&self, version: CommitSequence) -> Result<Snapshot, VersionGone> {
        self.hold(version, Hold::Leased)
    }

    /// A version as [`get_at`](Self::get_at) gives it, but one that is never overrun: for who makes sure to be done with it
    /// soon, as the trie is, which at most two blocks wait for.
    ///
    /// # Errors
    /// As for [`get_at`](Self::get_at).
    pub fn pin(&self, version: CommitSequence) -> Result<Snapshot, VersionGone> {
        self.hold(version, Hold::Pinned)
    }

    fn hold(&self, version: CommitSequence, hold: Hold) -> Result<Snapshot, VersionGone> {
        if version.0 > self.0.cuts.newest() {
            let _ = self.cut();
        }
        // Only a version is leased: the floor rises as far as the leases let it, and has to be one. A version is one until the
        // floor is above it, and then it is not leased.
        let lease = if self.0.cuts.contains(version.0) {
            self.0.leases.lease(version.0, hold)
        } else {
            None
        };
        lease
            .map(|lease| Snapshot::new(Arc::clone(&self.0), lease))
            .ok_or_else(|| self.0.version_gone(version.0))
    }

    /// Writes changes, all or nothing, if everything in `reads` is still as it was read.
    ///
    /// Any number of threads may commit at once; the result is as if they had committed one after the other in the
    /// order of their sequences. With an empty read set the commit is unconditional and cannot fail. Values equal to
    /// the present ones are not written again. Only what is written is locked.
    ///
    /// # Panics
    /// If the system has no memory left: the limits on memory stop production long before.
    ///
    /// # Errors
    /// [`Conflict`] with the first key that changed; nothing was written.
    pub fn commit(&self, reads: &ReadSet, changes: &[AccountChange]) -> Result<CommitSequence, Conflict> {
        let commit = Commit {
            reads,
            changes,
            credits: &[],
            withheld: U256::ZERO,
        };
        let mut workspace = self.0.writers.mine();
        self.0.commit(&mut workspace, &commit, &mut Vec::new())
    }

    /// Sequence of the newest commit, which may be in flight still; 0 before the first.
    #[must_use]
    pub fn sequence(&self) -> CommitSequence {
        CommitSequence(self.0.sequence.load(SeqCst))
    }

    /// A clean cut, and a version from now on: all commits up to the returned sequence are complete, and all later ones
    /// will be above it. What is overwritten before the next cut leaves no trace. Fees that were
    /// [withheld](crate::Commit::withheld) become part of the state, as the last commit before the cut.
    ///
    /// Waits for the commits in flight and holds up new ones for that moment.
    #[must_use]
    pub fn cut(&self) -> CommitSequence {
        self.0.cut_now(&mut self.0.writers.all())
    }

    /// Makes a version the published one, then forgets versions beyond the configured bounds.
    ///
    /// When a later version is published already, that stays. Waits for commits in flight, so a published version is
    /// never torn.
    ///
    /// # Panics
    /// If no commit took the sequence yet, or if it is neither a cut nor the newest, of which it makes one as
    /// [`get_at`](Self::get_at) does.
    pub fn publish(&self, version: CommitSequence) {
        let cut = self.cut();
        assert!(
            version <= cut,
            "version {version} published before it was committed; newest is {cut}"
        );
        assert!(
            self.0.cuts.contains(version.0) || version <= self.published_sequence(),
            "version {version} published without a cut"
        );
        let mut replaced = None;
        let one_at_a_time = self.0.publishing.lock();
        if version > self.published_sequence() {
            let lease = self
                .0
                .leases
                .lease(version.0, Hold::Leased)
                .expect("the floor is never above the published version");
            replaced = Some(self.0.published.swap(lease));
        }
        drop(one_at_a_time);
        // Before trimming, which is limited by the leases.
        drop(replaced);
        self.0.trim();
    }

    /// The published version's sequence.
    #[must_use]
    pub fn published_sequence(&self) -> CommitSequence {
        CommitSequence(self.0.published.load().version())
    }

    /// The oldest version that [`get_at`](Self::get_at) can still answer.
    #[must_use]
    pub fn oldest_sequence(&self) -> CommitSequence {
        CommitSequence(self.0.leases.floor())
    }

    /// How much the state holds.
    #[must_use]
    pub fn usage(&self) -> StateUsage {
        self.0.usage()
    }

    /// The code with this hash, analysed; `None` if no committed account ever had it. The raw bytes are its
    /// `original_bytes()`.
    #[must_use]
    pub fn code(&self, hash: &B256) -> Option<Bytecode> {
        self.0.tables.parts.codes.get(hash)
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.0.tables
    }
}

impl Shared {
    /// Makes a version of all that was committed, and of the fees withheld.
    pub(crate) fn cut_now(&self, all: &mut AllWriters<'_>) -> CommitSequence {
        self.pay_withheld(all);
        self.tell_bytes(all);
        let newest = self.sequence.load(SeqCst);
        self.cuts.note(newest);
        CommitSequence(newest)
    }

    pub(crate) fn take_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, SeqCst) + 1
    }

    pub(crate) fn usage(&self) -> StateUsage {
        StateUsage {
            account_entries: self.tables.accounts.count(),
            slot_entries: self.tables.slots.count(),
            table_bytes: self.tables.accounts.bytes() + self.tables.slots.bytes(),
            retained_bytes: self.retained_bytes.load(Relaxed),
            leased_versions: self.leases.len(),
        }
    }

    pub(crate) fn version_gone(&self, version: u64) -> VersionGone {
        metrics::counter!("rapid_reth_state_versions_gone_total").increment(1);
        VersionGone {
            version: CommitSequence(version),
            oldest: CommitSequence(self.leases.floor()),
            newest: CommitSequence(self.sequence.load(SeqCst)),
        }
    }
}

/// Which versions are equal to older ones because somebody rewound to those. Bounded by the retained window: entries
/// below the floor are dropped when trimming.
#[derive(Debug, Default)]
pub(crate) struct Rewinds(BTreeMap<u64, u64>);

impl Rewinds {
    /// The first version that had the content of `version`.
    pub(crate) fn origin(&self, version: u64) -> u64 {
        self.0.get(&version).copied().unwrap_or(version)
    }

    /// Notes that `version` has the content of `older`.
    pub(crate) fn note(&mut self, version: u64, older: u64) {
        self.0.insert(version, self.origin(older));
    }

    pub(crate) fn forget_below(&mut self, floor: u64) {
        self.0 = self.0.split_off(&floor);
    }
}

/// The newest committed values, as executors see them: a read may be newer than the one before it.
#[derive(Clone, Debug)]
pub struct Newest(State);

impl Newest {
    pub(crate) fn tables(&self) -> &Tables {
        self.0.tables()
    }
}

impl ReadState for Newest {
    type Error = Infallible;

    fn account(&self, address: &Address) -> Result<Option<Account>, Infallible> {
        let (_, record) = self.0.tables().newest_account(address);
        Ok(record.map(|record| record.account))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Infallible> {
        let tables = self.0.tables();
        loop {
            let (owner, storage) = tables.newest_storage(address, slot);
            let Lookup::Entry(owner, _) = owner else {
                return Ok(U256::ZERO);
            };
            if storage.is_none() {
                return Ok(U256::ZERO);
            }
            let value = match tables.slots.lookup(&(storage, *slot)) {
                Lookup::Entry(_, cell) => U256::from_limbs(cell.value),
                Lookup::Absent(_) => U256::ZERO,
            };
            // A storage that was wiped in between may be another account's by now, and so may the entry.
            let now = tables.accounts.entries.read(owner);
            if now.is_some_and(|(of, cell)| of == *address && storage_of(&cell.value) == storage) {
                return Ok(value);
            }
        }
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, Infallible> {
        Ok(self.0.code(hash))
    }
}

/// For the one executor of a state, who reads and writes in place: what it applies is committed unconditionally, so nobody else
/// may commit meanwhile what it has read.
impl WriteState for Newest {
    fn apply(&mut self, changes: &[AccountChange]) -> Result<(), Infallible> {
        self.0
            .commit(&ReadSet::new(), changes)
            .expect("a commit that read nothing has no conflict");
        Ok(())
    }
}
