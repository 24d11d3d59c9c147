//! Hashing what a version has changed.
//!
//! Dirty nodes are collected from the root down, level by level, and hashed from the leaves up, many at a time: all
//! leaves, then the branches of the deepest level, and so on. Levels are counted from the roots, so the nodes of a level
//! need only those of the next. All storage tries of a version are one such set, so that tries of a few slots fill
//! batches too.

use std::sync::atomic::Ordering::Relaxed;

use alloy_primitives::B256;
use alloy_trie::EMPTY_ROOT_HASH;
use rayon::prelude::*;

use crate::{
    TrieError,
    arena::Arena,
    batch::Batch,
    forest::Shared,
    leaves::{Leaves, Values},
    node::{Branch, Contract, Field, Link, Slot, nibbles},
    parts::{SPLIT_FROM, Threads, part_size},
    path::Path,
    plan::{AHEAD, BRANCHES_AHEAD},
    rlp::{self, Reference},
};

/// Leaves that are read and hashed at once. Their keys, values and encodings stay in the second-level cache.
const LEAVES_AT_ONCE: usize = 512;

/// Branches that are hashed at once: 128 of the longest are 68 KiB.
const BRANCHES_AT_ONCE: usize = 128;

/// Where the hash of a node goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Into a branch, at a nibble.
    Child { parent: u32, nibble: u8 },
    /// Into a contract leaf, as the root of its storage.
    Contract(u32),
    /// To whoever asked.
    Root,
}

/// A leaf to be hashed.
#[derive(Clone, Copy, Debug)]
struct LeafJob {
    /// A place in the state, or in the arena for a contract leaf.
    reference: u32,
    is_contract: bool,
    /// Depth of the leaf's place.
    start: u8,
    place: Place,
    /// The hashed key, if it was kept where the hash will be.
    key: Option<B256>,
}

/// A branch to be hashed.
#[derive(Clone, Copy, Debug)]
struct BranchJob {
    branch: u32,
    place: Place,
    /// Depth of the branch's place.
    start: u8,
    /// Size of the branch, once it was looked at.
    units: u8,
}

/// The dirty part of some tries, or of parts of tries.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    leaves: Vec<LeafJob>,
    branches: Vec<BranchJob>,
    /// The first branch of each level.
    levels: Vec<usize>,
    /// The first branch that was not looked at yet.
    next: usize,
}

impl Dirty {
    /// Adds what hangs at a place, at depth `start`.
    pub(crate) fn add(&mut self, link: Link, start: usize, place: Place) {
        let start = start as u8;
        let slot = link.slot;
        match slot {
            Slot::Empty => {}
            Slot::Leaf(reference) | Slot::Contract(reference) => self.leaves.push(LeafJob {
                reference,
                is_contract: matches!(slot, Slot::Contract(_)),
                start,
                place,
                key: match link.field {
                    Field::Key(key) => Some(key),
                    _ => None,
                },
            }),
            Slot::Branch(branch) => {
                self.branches.push(BranchJob {
                    branch,
                    place,
                    start,
                    units: 0,
                });
            }
        }
    }

    /// Follows the dirty marks down to the leaves, or until a level has at least `width` branches.
    pub(crate) fn collect(&mut self, arena: &Arena, width: usize) {
        while self.next < self.branches.len() && self.branches.len() - self.next < width {
            let end = self.branches.len();
            self.levels.push(self.next);
            for index in self.next..end {
                if let Some(ahead) = self.branches[..end].get(index + AHEAD) {
                    arena.prefetch(ahead.branch);
                }
                self.collect_branch(arena, index);
            }
            self.next = end;
        }
    }

    fn collect_branch(&mut self, arena: &Arena, index: usize) {
        let parent = self.branches[index].branch;
        let branch = Branch::at(arena, parent);
        let job = &mut self.branches[index];
        job.units = branch.head.units() as u8;
        arena.prefetch_all(parent, job.units.into());
        let start = usize::from(job.start) + usize::from(branch.head.extension) + 1;
        for nibble in nibbles(branch.head.dirty) {
            let place = Place::Child { parent, nibble };
            match branch.slot(nibble) {
                slot @ Slot::Branch(_) => self.add(Link::unknown(slot), start, place),
                _ => self.add(branch.link(nibble), start, place),
            }
        }
    }

    /// Divides the branches that were not looked at yet among parts. What is above them is to be hashed after those.
    fn split(&mut self) -> Vec<Self> {
        let at = self.next;
        let size = part_size(self.branches.len() - at);
        let parts = self.branches[at..].chunks(size);
        let parts = parts
            .map(|branches| Self {
                branches: branches.to_vec(),
                ..Self::default()
            })
            .collect();
        self.branches.truncate(at);
        parts
    }

    /// Collects and hashes all of it: if it is large, part by part, so that what is collected is still in the cache
    /// when it is hashed; on the threads of the current pool if `threads` says so. `below` hashes the storage below
    /// what was collected. Returns the hash of what was added at [`Place::Root`].
    pub(crate) fn hash_all(
        mut self,
        forest: &Shared,
        leaves: &impl Leaves,
        threads: Threads,
        below: &(impl Fn(&Self) -> Result<(), TrieError> + Sync),
    ) -> Result<Option<B256>, TrieError> {
        self.collect(forest.arena(), SPLIT_FROM);
        let hash = |hasher: &mut Hasher<'_>, mut part: Self| {
            part.collect(forest.arena(), usize::MAX);
            below(&part)?;
            part.hash(hasher, leaves)
        };
        let mut hasher = Hasher::new(forest);
        let parts = self.split();
        match threads {
            Threads::One => parts.into_iter().try_for_each(|part| hash(&mut hasher, part))?,
            Threads::Pool => parts
                .into_par_iter()
                .try_for_each_init(|| Hasher::new(forest), hash)?,
        }
        below(&self)?;
        self.hash(&mut hasher, leaves)?;
        Ok(hasher.root)
    }

    /// The storage of contract leaves, where it is dirty.
    pub(crate) fn storage(&self, arena: &Arena) -> Self {
        let mut storage = Self::default();
        for leaf in self.leaves.iter().filter(|leaf| leaf.is_contract) {
            let root = Contract::load(arena, leaf.reference).root;
            if root.field.is_dirty() {
                storage.add(root, 0, Place::Contract(leaf.reference));
            }
        }
        storage
    }

    /// Hashes all of it; the storage below must be hashed.
    pub(crate) fn hash(&mut self, hasher: &mut Hasher<'_>, leaves: &impl Leaves) -> Result<(), TrieError> {
        for jobs in self.leaves.chunks(LEAVES_AT_ONCE) {
            hasher.hash_leaves(jobs, leaves)?;
        }
        let mut end = self.next;
        for level in self.levels.iter().rev() {
            for jobs in self.branches[*level..end].chunks(BRANCHES_AT_ONCE) {
                hasher.hash_branches(jobs);
            }
            end = *level;
        }
        Ok(())
    }
}

/// What is read of leaves.
#[derive(Debug, Default)]
struct LeafReader {
    ids: Vec<u32>,
    roots: Vec<B256>,
    keys: Vec<B256>,
    /// Leaves whose keys are not in the trie, and those keys.
    unknown: Vec<u32>,
    unknown_at: Vec<usize>,
    unknown_keys: Vec<B256>,
    values: Values,
}

impl LeafReader {
    fn read(&mut self, arena: &Arena, jobs: &[LeafJob], leaves: &impl Leaves) -> Result<(), TrieError> {
        self.ids.clear();
        self.roots.clear();
        self.keys.clear();
        self.unknown.clear();
        self.unknown_at.clear();
        self.unknown_keys.clear();
        self.values.clear();
        for job in jobs {
            let (id, root) = if job.is_contract {
                let contract = Contract::load(arena, job.reference);
                let Field::Hash(root) = contract.root.field else {
                    unreachable!("storage is hashed before its account")
                };
                (contract.account, root)
            } else {
                (job.reference, EMPTY_ROOT_HASH)
            };
            self.ids.push(id);
            self.roots.push(root);
            if job.key.is_none() {
                self.unknown.push(id);
                self.unknown_at.push(self.keys.len());
            }
            self.keys.push(job.key.unwrap_or_default());
        }
        leaves.keys(&self.unknown, &mut self.unknown_keys)?;
        for (at, key) in self.unknown_at.iter().zip(&self.unknown_keys) {
            self.keys[*at] = *key;
        }
        leaves.values(&self.ids, &self.roots, &mut self.values)
    }
}

/// One thread's buffers, which keep their memory from one batch to the next.
pub(crate) struct Hasher<'f> {
    forest: &'f Shared,
    arena: &'f Arena,
    batch: Batch,
    reader: LeafReader,
    /// Branches of a batch that have an extension.
    extended: Vec<(usize, Path)>,
    /// The hash of what was added at [`Place::Root`].
    root: Option<B256>,
}

impl Drop for Hasher<'_> {
    fn drop(&mut self) {
        self.forest
            .permutations
            .fetch_add(self.batch.permutations(), Relaxed);
    }
}

impl<'f> Hasher<'f> {
    pub(crate) fn new(forest: &'f Shared) -> Self {
        Self {
            forest,
            arena: forest.arena(),
            batch: Batch::default(),
            reader: LeafReader::default(),
            extended: Vec::new(),
            root: None,
        }
    }

    fn hash_leaves(&mut self, jobs: &[LeafJob], leaves: &impl Leaves) -> Result<(), TrieError> {
        self.reader.read(self.arena, jobs, leaves)?;
        let reader = &self.reader;
        self.batch.clear();
        for (index, job) in jobs.iter().enumerate() {
            let (key, value) = (&reader.keys[index], reader.values.get(index));
            self.batch
                .push(|out| rlp::push_leaf(out, key, job.start.into(), value));
        }
        self.batch.hash();
        for (index, job) in jobs.iter().enumerate() {
            self.store(job.place, index);
        }
        Ok(())
    }

    fn hash_branches(&mut self, jobs: &[BranchJob]) {
        for job in jobs.iter().take(BRANCHES_AHEAD) {
            self.prefetch(job);
        }
        self.batch.clear();
        let mut extended = std::mem::take(&mut self.extended);
        extended.clear();
        for (index, job) in jobs.iter().enumerate() {
            if let Some(ahead) = jobs.get(index + BRANCHES_AHEAD) {
                self.prefetch(ahead);
            }
            let branch = Branch::at(self.arena, job.branch);
            self.batch.push(|out| rlp::push_branch(out, &branch));
            branch.mark_clean();
            if branch.head.extension > 0 {
                extended.push((index, branch.extension()));
            }
        }
        self.batch.hash();
        let bodies = self.batch.len();
        for (index, extension) in &extended {
            self.batch
                .push_after(*index, |out, body| rlp::push_extension(out, extension, body));
        }
        self.batch.hash_from(bodies);
        let mut outer = extended.iter().map(|(index, _)| *index).zip(bodies..).peekable();
        for (index, job) in jobs.iter().enumerate() {
            let node = outer.next_if(|(body, _)| *body == index);
            self.store(job.place, node.map_or(index, |(_, outer)| outer));
        }
        drop(outer);
        self.extended = extended;
    }

    fn prefetch(&self, job: &BranchJob) {
        self.arena.prefetch_all(job.branch, job.units.into());
    }

    /// Puts the hash of a node of the batch, or the node itself if it is short, where it belongs.
    fn store(&mut self, place: Place, index: usize) {
        match place {
            Place::Child { parent, nibble } => {
                let branch = Branch::at(self.arena, parent);
                let child = branch.head.index(nibble);
                let was_short = branch.head.short & 1 << nibble != 0;
                match self.batch.reference(index) {
                    Reference::Hash(hash) => {
                        branch.set_field_bytes(child, hash);
                        if was_short {
                            branch.mark_short(nibble, false);
                        }
                    }
                    Reference::Short(node) => {
                        branch.set_field_bytes(child, &Field::short_bytes(node));
                        if !was_short {
                            branch.mark_short(nibble, true);
                        }
                    }
                }
            }
            Place::Contract(contract) => {
                let mut leaf = Contract::load(self.arena, contract);
                leaf.root.field = Field::Hash(self.batch.root_hash(index));
                leaf.store(self.arena, contract);
            }
            Place::Root => self.root = Some(self.batch.root_hash(index)),
        }
    }
}
