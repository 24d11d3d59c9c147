//! One arena for all tries, and which versions of them are alive.
//!
//! Versions form a tree: each begins as a copy of its parent. What a version replaces or removes it *retires*: its
//! parent still sees it. So a node is seen by the versions from the one it was born in down to, but not including,
//! those that retired it, and no reference is counted:
//!
//! - A version that is dropped and has no children takes with it what was born in it.
//! - A version that is dropped and has one child is merged into it: what was born in the former and retired by the
//!   latter, nobody sees any more.
//! - A version that is dropped and has several children stays, as a ghost, until it has fewer.
//!
//! After a merge the child counts as born what its parent gave birth to: a node belongs to a version if it was born
//! after the version's parent. A version's parent is always one that was made earlier, so its number is lower.
//!
//! Nodes that nobody sees wait in a queue and are freed a bounded number at a time, in the order in which they became
//! unseen: a node may refer to others that were unseen later, and freeing it looks at their births.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;

use crate::{
    TrieError,
    arena::{ARENA_BYTES_MAX, Arena},
    heap::Heap,
    node::{Branch, CONTRACT_UNITS, Contract, Slot, VERSION_MAX, nibbles},
};

/// Nodes that are freed when a version is dropped or changed: a fraction of a millisecond. Few in tests, where much is
/// to wait.
const SWEEP_NODES: usize = if cfg!(test) { 2 } else { 2_048 };

/// Nodes that are freed for each that a change has retired, so that they do not become ever more.
const SWEEP_PER_RETIRED: usize = if cfg!(test) { 0 } else { 2 };

/// The memory of all versions of a trie. A clone is the same forest.
#[derive(Clone)]
pub struct Forest(pub(crate) Arc<Shared>);

/// What a forest holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForestUsage {
    /// Bytes of nodes, of all versions.
    pub used_bytes: u64,
    /// Bytes backed by memory.
    pub committed_bytes: u64,
    /// Versions that are held, or on the way between such.
    pub versions: usize,
    /// Permutations of Keccak that the hashes of nodes have taken so far.
    pub permutations: u64,
}

pub(crate) struct Shared {
    pub(crate) heap: Heap,
    versions: Mutex<Versions>,
    sweep: Mutex<Sweep>,
    pub(crate) permutations: AtomicU64,
}

/// Number of a version; 0 is none.
pub(crate) type VersionNumber = u64;

#[derive(Default)]
struct Versions {
    records: HashMap<VersionNumber, Record>,
    latest: VersionNumber,
    unseen: VecDeque<Unseen>,
    /// Entries of `unseen`, and whether one that was taken from it is still being freed.
    sweeping: bool,
}

#[derive(Default)]
struct Record {
    parent: VersionNumber,
    children: Vec<VersionNumber>,
    /// Not dropped yet.
    held: bool,
    /// Known once it was dropped.
    root: Slot,
    retired: Vec<Retired>,
}

/// What a version does not see any more and its parent does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Retired {
    /// A branch or a contract leaf alone.
    Node { place: u32, units: u8 },
    /// A branch and all below.
    Tree(u32),
}

/// What nobody sees any more.
enum Unseen {
    /// All of this.
    Retired(Vec<Retired>),
    /// What was born after a version.
    Tree(Slot, VersionNumber),
}

/// What is being freed.
#[derive(Default)]
struct Sweep {
    retired: Vec<Retired>,
    slots: Vec<Slot>,
    after: VersionNumber,
}

/// A version under change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) version: VersionNumber,
    /// Nodes born after this version are the changing version's own.
    pub(crate) after: VersionNumber,
    /// Whether places of own nodes may be used again at once, and own nodes born before this version be changed where
    /// they are. They may not while others that refer to them wait to be freed, and will look at their births.
    pub(crate) reuses: bool,
}

impl Default for Forest {
    /// A forest as large as one can be, 64 GiB.
    ///
    /// # Panics
    /// If the system has no address space for it.
    fn default() -> Self {
        Self::new(ARENA_BYTES_MAX).expect("64 GiB of address space")
    }
}

impl fmt::Debug for Forest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Forest").field(&self.usage()).finish()
    }
}

impl Forest {
    /// An empty forest that will take at most so much memory. It takes none yet.
    ///
    /// # Errors
    /// [`TrieError::OutOfMemory`] if the system does not give the address space.
    pub fn new(limit_bytes: u64) -> Result<Self, TrieError> {
        Ok(Self(Arc::new(Shared {
            heap: Heap::new(limit_bytes)?,
            versions: Mutex::default(),
            sweep: Mutex::default(),
            permutations: AtomicU64::new(0),
        })))
    }

    /// What it holds now.
    #[must_use]
    pub fn usage(&self) -> ForestUsage {
        ForestUsage {
            used_bytes: self.0.heap.used_bytes(),
            committed_bytes: self.0.arena().committed_bytes(),
            versions: self.0.versions.lock().records.len(),
            permutations: self.0.permutations.load(Relaxed),
        }
    }

    /// Frees all that nobody sees any more, instead of a bounded number of nodes with each change.
    pub fn sweep(&self) {
        self.0.sweep(usize::MAX);
    }
}

impl Shared {
    pub(crate) const fn arena(&self) -> &Arena {
        &self.heap.arena
    }

    /// Begins a version as a copy of another one, or of nothing if `parent` is 0. The parent must be held.
    pub(crate) fn begin(&self, parent: VersionNumber) -> Change {
        let mut versions = self.versions.lock();
        versions.latest += 1;
        let version = versions.latest;
        assert!(version <= VERSION_MAX, "the numbers of versions last for decades");
        let record = Record {
            parent,
            held: true,
            ..Record::default()
        };
        versions.records.insert(version, record);
        if let Some(parent) = versions.records.get_mut(&parent) {
            parent.children.push(version);
        }
        Change {
            version,
            after: parent,
            reuses: true,
        }
    }

    /// Continues a version that its caller alone holds; `None` if there are others that began as a copy of it.
    pub(crate) fn resume(&self, version: VersionNumber) -> Option<Change> {
        let versions = self.versions.lock();
        let record = versions.records.get(&version)?;
        record.children.is_empty().then(|| Change {
            version,
            after: record.parent,
            reuses: versions.unseen.is_empty() && !versions.sweeping,
        })
    }

    /// Takes what a change retired, and own nodes that it did not use again.
    pub(crate) fn finish(&self, change: Change, mut retired: Vec<Retired>, unused: Vec<Retired>) {
        let count = retired.len() + unused.len();
        let mut versions = self.versions.lock();
        versions.push_unseen(unused);
        if let Some(record) = versions.records.get_mut(&change.version) {
            let after = record.parent;
            // Versions that were dropped meanwhile can have made more nodes the version's own.
            let unseen = if after == 0 || after != change.after {
                take_unseen(self.arena(), &mut retired, after)
            } else {
                Vec::new()
            };
            record.retired.append(&mut retired);
            versions.push_unseen(unseen);
        }
        drop(versions);
        self.sweep(SWEEP_NODES + SWEEP_PER_RETIRED * count);
    }

    /// Drops a version. Its root is what it was when it was last changed.
    pub(crate) fn release(&self, version: VersionNumber, root: Slot) {
        let mut versions = self.versions.lock();
        if let Some(record) = versions.records.get_mut(&version) {
            record.held = false;
            record.root = root;
        }
        let mut next = Some(version);
        while let Some(version) = next {
            next = versions.settle(self.arena(), version);
        }
        drop(versions);
        self.sweep(SWEEP_NODES);
    }

    /// Frees at most so many nodes.
    fn sweep(&self, mut nodes: usize) {
        // Whoever is at it already does enough.
        let Some(mut sweep) = self.sweep.try_lock() else {
            return;
        };
        let mut cache = self.heap.cache();
        while nodes > 0 {
            if let Some(slot) = sweep.slots.pop() {
                sweep.free_slot(slot, self.arena(), &mut cache);
                nodes -= 1;
            } else if let Some(retired) = sweep.retired.pop() {
                match retired {
                    Retired::Node { place, units } => cache.free(place, units.into()),
                    Retired::Tree(place) => sweep.slots.push(Slot::Branch(place)),
                }
                nodes -= 1;
            } else {
                let mut versions = self.versions.lock();
                let unseen = versions.unseen.pop_front();
                versions.sweeping = unseen.is_some();
                match unseen {
                    None => break,
                    Some(Unseen::Retired(retired)) => (sweep.retired, sweep.after) = (retired, 0),
                    Some(Unseen::Tree(slot, after)) => {
                        sweep.slots.push(slot);
                        sweep.after = after;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
impl Shared {
    /// What is not freed yet because of versions that were dropped: their roots, and trees that wait for them.
    pub(crate) fn kept_roots(&self) -> Vec<Slot> {
        let versions = self.versions.lock();
        let ghosts = versions.records.values().filter(|record| !record.held);
        let trees = versions.records.values().flat_map(|record| &record.retired);
        let trees = trees.filter_map(|retired| match retired {
            Retired::Tree(place) => Some(Slot::Branch(*place)),
            Retired::Node { .. } => None,
        });
        ghosts.map(|record| record.root).chain(trees).collect()
    }
}

impl Sweep {
    fn free_slot(&mut self, slot: Slot, arena: &Arena, cache: &mut crate::heap::Cache<'_>) {
        match slot {
            Slot::Empty | Slot::Leaf(_) => {}
            Slot::Branch(place) => {
                let branch = Branch::at(arena, place);
                if branch.head.birth > self.after {
                    let nodes = branch.head.children & !branch.head.leaves;
                    self.slots
                        .extend(nibbles(nodes).map(|nibble| branch.slot(nibble)));
                    cache.free(place, branch.head.units());
                }
            }
            Slot::Contract(place) => {
                let contract = Contract::load(arena, place);
                if contract.birth > self.after {
                    self.slots.push(contract.root.slot);
                    cache.free(place, CONTRACT_UNITS);
                }
            }
        }
    }
}

impl Versions {
    fn push_unseen(&mut self, retired: Vec<Retired>) {
        if !retired.is_empty() {
            self.unseen.push_back(Unseen::Retired(retired));
        }
    }

    /// Removes a version that was dropped, if it has fewer than two children; returns its parent if that may now be
    /// removed too.
    fn settle(&mut self, arena: &Arena, version: VersionNumber) -> Option<VersionNumber> {
        let record = self.records.get(&version).filter(|record| !record.held)?;
        match record.children[..] {
            [] => self.remove_childless(arena, version),
            [child] => {
                self.merge(arena, version, child);
                None
            }
            _ => None,
        }
    }

    fn remove_childless(&mut self, arena: &Arena, version: VersionNumber) -> Option<VersionNumber> {
        let record = self.records.remove(&version)?;
        let after = record.parent;
        self.unseen.push_back(Unseen::Tree(record.root, after));
        // What the parent sees stays, but in a removed tree there can be nodes that it does not.
        for retired in record.retired {
            if let Retired::Tree(place) = retired
                && birth(arena, place) > after
            {
                self.unseen.push_back(Unseen::Tree(Slot::Branch(place), after));
            }
        }
        let parent = self.records.get_mut(&after)?;
        parent.children.retain(|child| *child != version);
        Some(after)
    }

    fn merge(&mut self, arena: &Arena, version: VersionNumber, child: VersionNumber) {
        let Some(mut record) = self.records.remove(&version) else {
            return;
        };
        let Some(heir) = self.records.get_mut(&child) else {
            return;
        };
        heir.parent = record.parent;
        let unseen = take_unseen(arena, &mut heir.retired, record.parent);
        if heir.retired.len() < record.retired.len() {
            std::mem::swap(&mut heir.retired, &mut record.retired);
        }
        heir.retired.append(&mut record.retired);
        self.push_unseen(unseen);
        if let Some(parent) = self.records.get_mut(&record.parent) {
            for place in parent.children.iter_mut().filter(|place| **place == version) {
                *place = child;
            }
        }
    }
}

/// Takes out of what a version retired that which its parent does not see, `after` being the parent.
///
/// A tree of which the parent sees a part waits as a whole until there is no parent, or until the version goes: to take
/// it apart here could take long.
fn take_unseen(arena: &Arena, retired: &mut Vec<Retired>, after: VersionNumber) -> Vec<Retired> {
    if after == 0 {
        return std::mem::take(retired);
    }
    retired
        .extract_if(.., |retired| match *retired {
            Retired::Node { place, .. } => birth(arena, place) > after,
            Retired::Tree(_) => false,
        })
        .collect()
}

/// When the branch or contract leaf at a place was born.
fn birth(arena: &Arena, place: u32) -> VersionNumber {
    arena.words(place, 2)[1].load(Relaxed) & VERSION_MAX
}
