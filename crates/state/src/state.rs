//! The state and its versions: commit, cut, publish, and the view of executors.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
};

use alloy_primitives::{Address, B256, U256};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rapid_primitives::{Account, AccountChange, CommitSequence, ReadState};
use revm::bytecode::Bytecode;

use crate::{
    Conflict, ReadSet, Recording, Snapshot, StateConfig, VersionGone,
    code::CodeTable,
    lease::{Lease, Leases},
    shards::Tables,
    stripe::Stripes,
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
    /// Bytes of the past, as [`StateConfig`] counts them.
    pub retained_bytes: usize,
    /// Versions that snapshots hold, the published one included.
    pub leased_versions: usize,
}

/// What the handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) tables: Tables,
    pub(crate) codes: CodeTable,
    pub(crate) stripes: Stripes,
    /// Last sequence taken.
    pub(crate) sequence: AtomicU64,
    pub(crate) next_storage_id: AtomicU64,
    pub(crate) retained_bytes: AtomicUsize,
    pub(crate) leases: Arc<Leases>,
    pub(crate) published: ArcSwap<Lease>,
    publishing: Mutex<()>,
    /// Held by who trims, and by who must not be trimmed under.
    pub(crate) trimming: Mutex<()>,
    pub(crate) rewinds: Mutex<Rewinds>,
    pub(crate) config: StateConfig,
}

impl State {
    /// An empty state.
    #[must_use]
    pub fn new(config: StateConfig) -> Self {
        let leases = Arc::new(Leases::default());
        let empty = leases.lease(0).expect("the floor of a new state is 0");
        Self(Arc::new(Shared {
            tables: Tables::new(),
            codes: CodeTable::new(),
            stripes: Stripes::new(),
            sequence: AtomicU64::new(0),
            next_storage_id: AtomicU64::new(1),
            retained_bytes: AtomicUsize::new(0),
            leases,
            published: ArcSwap::new(empty),
            publishing: Mutex::new(()),
            trimming: Mutex::new(()),
            rewinds: Mutex::new(Rewinds::default()),
            config,
        }))
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

    /// A version that is still retained; any commit's sequence is a version.
    ///
    /// # Errors
    /// [`VersionGone`] when the version was trimmed or is not committed yet.
    pub fn get_at(&self, version: CommitSequence) -> Result<Snapshot, VersionGone> {
        // Beyond the published version a commit at or below the version may be in flight: wait for it.
        let committed = version <= self.published_sequence() || version <= self.cut();
        let lease = if committed {
            self.0.leases.lease(version.0)
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
    /// the present ones are not written again. Locks are taken on the shards involved only.
    ///
    /// # Errors
    /// [`Conflict`] with the first key that changed; nothing was written.
    pub fn commit(&self, reads: &ReadSet, changes: &[AccountChange]) -> Result<CommitSequence, Conflict> {
        let mut ring = self.0.stripes.mine();
        self.0.commit(&mut ring, reads, changes)
    }

    /// Sequence of the newest commit, which may be in flight still; 0 before the first.
    #[must_use]
    pub fn sequence(&self) -> CommitSequence {
        CommitSequence(self.0.sequence.load(SeqCst))
    }

    /// A clean cut: all commits up to the returned sequence are complete, and all later ones will be above it.
    ///
    /// Waits for the commits in flight and holds up new ones for that moment.
    #[must_use]
    pub fn cut(&self) -> CommitSequence {
        let _no_commits = self.0.stripes.all();
        self.sequence()
    }

    /// Makes a version the published one, then forgets versions beyond the configured bounds.
    ///
    /// When a later version is published already, that stays. Waits for commits in flight, so a published version is
    /// never torn.
    ///
    /// # Panics
    /// If no commit took the sequence yet.
    pub fn publish(&self, version: CommitSequence) {
        let cut = self.cut();
        assert!(
            version <= cut,
            "version {version} published before it was committed; newest is {cut}"
        );
        let mut replaced = None;
        let one_at_a_time = self.0.publishing.lock();
        if version > self.published_sequence() {
            let lease = self
                .0
                .leases
                .lease(version.0)
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
        self.0.codes.get(hash)
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.0.tables
    }
}

impl Shared {
    /// Commits unconditionally, if the newest state is that of version `base`.
    ///
    /// # Errors
    /// The newest sequence, if it is not; nothing was written.
    pub(crate) fn commit_on(
        &self,
        base: u64,
        changes: &[AccountChange],
    ) -> Result<CommitSequence, CommitSequence> {
        let mut rings = self.stripes.all();
        let newest = self.sequence.load(SeqCst);
        {
            let rewinds = self.rewinds.lock();
            if rewinds.origin(base) != rewinds.origin(newest) {
                return Err(CommitSequence(newest));
            }
        }
        Ok(self
            .commit(&mut rings[0], &ReadSet::new(), changes)
            .expect("nothing was read, so nothing conflicts"))
    }

    pub(crate) fn usage(&self) -> StateUsage {
        StateUsage {
            account_entries: self.tables.account_cells.load(Relaxed),
            slot_entries: self.tables.slot_cells.load(Relaxed),
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

impl ReadState for Newest {
    type Error = Infallible;

    fn account(&self, address: &Address) -> Result<Option<Account>, Infallible> {
        Ok(self
            .0
            .tables()
            .newest_account(address)
            .map(|(_, record)| record.account))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Infallible> {
        Ok(self
            .0
            .tables()
            .newest_slot(address, slot)
            .map_or(U256::ZERO, |(_, value)| value))
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, Infallible> {
        Ok(self.0.code(hash))
    }
}
