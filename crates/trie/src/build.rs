//! Building a trie at once from all its leaves.

use alloy_primitives::B256;
use rayon::prelude::*;

use crate::{
    TrieError,
    forest::{Change, Shared},
    hash::{Dirty, Hasher, Place},
    leaves::Leaves,
    node::{Branch, CONTRACT_UNITS, Link, Slot, nibbles},
    parts::Threads,
    path::{Path, nibble, shared_nibbles},
    plan::{Op, Outcome, Plan},
    sort::sort_ops,
    state::{AccountLeaves, SlotLeaves, TrieState},
    writer::{Shape, Writer, unknown},
};

/// Leaves whose branches are made and hashed together: what they take, about 60 bytes each, stays in the second-level
/// cache in between.
const LEAVES_AT_ONCE: usize = 4_096;

/// So many times that many are collected for the threads of a pool: 12 MiB of places and keys, and enough that threads
/// seldom wait for the last of them.
const BATCHES_AT_ONCE: usize = 64;

/// Units of the branches above so many leaves, at most.
const UNITS_A_LEAF: u64 = 9;

/// A trie under construction.
struct Builder<'f, 'l, L> {
    forest: &'f Shared,
    change: Change,
    leaves: &'l L,
    threads: Threads,
}

impl<L: Leaves> Builder<'_, '_, L> {
    /// The subtree of leaves for a place at depth `start`, with the key of the leaf if it is one. They are sorted, each
    /// key once, and share all nibbles above `start`. All is hashed but the topmost node.
    fn build(&self, start: usize, leaves: &[Op]) -> Result<(Slot, Option<B256>), TrieError> {
        if leaves.len() <= LEAVES_AT_ONCE {
            return self.build_at_once(start, leaves);
        }
        let (first, last) = (&leaves[0].key, &leaves[leaves.len() - 1].key);
        let depth = shared_nibbles(first, last);
        let mut shape = Shape::new(Path::of_key(first, start, depth));
        let build = |(at, group)| Ok((at, self.build(depth + 1, group)?));
        let groups = groups(leaves, depth);
        let children: Vec<_> = match self.threads {
            Threads::One => groups.map(build).collect::<Result<_, TrieError>>()?,
            Threads::Pool => {
                let groups: Vec<_> = groups.collect();
                groups
                    .into_par_iter()
                    .map(build)
                    .collect::<Result<_, TrieError>>()?
            }
        };
        for (at, (slot, key)) in children {
            let field = unknown(key.as_ref());
            shape.set(at, Link { slot, field });
        }
        let _promise = self.forest.heap.promise(UNITS_A_LEAF * 16, 1)?;
        Ok((Writer::new(&self.forest.heap, self.change).create(&shape), None))
    }

    /// The trie of some leaves, of which nothing is hashed if they are few.
    fn build_dirty(&self, leaves: &[Op]) -> Result<(Slot, Option<B256>), TrieError> {
        if leaves.len() <= LEAVES_AT_ONCE {
            self.grow(0, leaves)
        } else {
            self.build(0, leaves)
        }
    }

    fn build_at_once(&self, start: usize, leaves: &[Op]) -> Result<(Slot, Option<B256>), TrieError> {
        let (slot, key) = self.grow(start, leaves)?;
        self.hash_below(slot, start)?;
        Ok((slot, key))
    }

    fn grow(&self, start: usize, leaves: &[Op]) -> Result<(Slot, Option<B256>), TrieError> {
        let _promise = self.forest.heap.promise(UNITS_A_LEAF * leaves.len() as u64, 1)?;
        let items: Vec<_> = (0..)
            .zip(leaves)
            .map(|(number, leaf)| (number, leaf.slot))
            .collect();
        let mut writer = Writer::new(&self.forest.heap, self.change);
        let outcome = Plan::default().grow(&mut writer, leaves, &items, start);
        let Outcome::Now(slot, number) = outcome else {
            unreachable!("what is grown is there")
        };
        Ok((slot, leaves.get(number as usize).map(|leaf| leaf.key)))
    }

    /// Hashes what is below a branch.
    fn hash_below(&self, slot: Slot, start: usize) -> Result<(), TrieError> {
        let Slot::Branch(place) = slot else { return Ok(()) };
        let branch = Branch::at(self.forest.arena(), place);
        let mut dirty = Dirty::default();
        let start = start + usize::from(branch.head.extension) + 1;
        for nibble in nibbles(branch.head.children) {
            dirty.add(
                branch.link(nibble),
                start,
                Place::Child {
                    parent: place,
                    nibble,
                },
            );
        }
        dirty.collect(self.forest.arena(), usize::MAX);
        dirty.hash(&mut Hasher::new(self.forest), self.leaves)?;
        Branch::at(self.forest.arena(), place).mark_clean();
        Ok(())
    }
}

/// Neighbours that have the same nibble at a depth.
fn groups(leaves: &[Op], depth: usize) -> impl Iterator<Item = (u8, &[Op])> {
    let mut rest = leaves;
    std::iter::from_fn(move || {
        let at = nibble(&rest.first()?.key, depth);
        let (group, others) = rest.split_at(rest.partition_point(|leaf| nibble(&leaf.key, depth) == at));
        rest = others;
        Some((at, group))
    })
}

/// Builds the account trie and all storage tries of a state; see [`StateTrie::build`](crate::StateTrie::build).
pub(crate) fn build<S: TrieState, J: IntoIterator<Item = u32>>(
    forest: &Shared,
    change: Change,
    state: &S,
    accounts: impl IntoIterator<Item = (u32, J)>,
    threads: Threads,
) -> Result<Slot, TrieError> {
    let mut storages = Storages {
        slots: Builder {
            forest,
            change,
            leaves: &SlotLeaves(state),
            threads,
        },
        state,
        batches: Vec::new(),
        pending: 0,
        leaves: Vec::new(),
    };
    for (account, places) in accounts {
        storages.add(account, places)?;
    }
    storages.flush()?;
    let mut leaves = storages.leaves;
    fill_keys(&AccountLeaves(state), &mut leaves, threads)?;
    sort_ops(&mut leaves);
    let accounts = Builder {
        forest,
        change,
        leaves: &AccountLeaves(state),
        threads,
    };
    Ok(accounts.build(0, &leaves)?.0)
}

/// Storage tries under construction.
struct Storages<'f, 's, S> {
    slots: Builder<'f, 's, SlotLeaves<'s, S>>,
    state: &'s S,
    /// Accounts whose tries are not built yet; a batch is one thread's.
    batches: Vec<Batch>,
    /// Accounts and places in them.
    pending: usize,
    /// What becomes the leaves of the account trie; without keys.
    leaves: Vec<Op>,
}

/// Accounts whose tries are built together.
#[derive(Debug, Default)]
struct Batch {
    /// With where the places of each end.
    accounts: Vec<(u32, usize)>,
    places: Vec<u32>,
}

impl Batch {
    const fn len(&self) -> usize {
        self.accounts.len() + self.places.len()
    }
}

impl<S: TrieState> Storages<'_, '_, S> {
    fn add(&mut self, account: u32, places: impl IntoIterator<Item = u32>) -> Result<(), TrieError> {
        if self
            .batches
            .last()
            .is_none_or(|last| last.len() >= LEAVES_AT_ONCE)
        {
            self.batches.push(Batch::default());
        }
        let Some(batch) = self.batches.last_mut() else {
            return Ok(());
        };
        let before = batch.len();
        batch.places.extend(places);
        batch.accounts.push((account, batch.places.len()));
        self.pending += batch.len() - before;
        let most = match self.slots.threads {
            Threads::One => LEAVES_AT_ONCE,
            Threads::Pool => LEAVES_AT_ONCE * BATCHES_AT_ONCE,
        };
        if self.pending >= most {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Builds the tries of the accounts so far, and makes the accounts' leaves.
    fn flush(&mut self) -> Result<(), TrieError> {
        let batches = std::mem::take(&mut self.batches);
        self.pending = 0;
        let build = |batch| self.build(batch);
        let built: Vec<_> = match self.slots.threads {
            Threads::One => batches.into_iter().map(build).collect::<Result<_, TrieError>>()?,
            Threads::Pool => batches
                .into_par_iter()
                .map(build)
                .collect::<Result<_, TrieError>>()?,
        };
        self.leaves.extend(built.into_iter().flatten());
        Ok(())
    }

    /// Builds the tries of a batch, hashes them together, and makes the accounts' leaves.
    fn build(&self, batch: Batch) -> Result<Vec<Op>, TrieError> {
        let Builder {
            forest,
            change,
            leaves,
            threads,
        } = &self.slots;
        let leaf = |place: &u32| Op {
            key: B256::ZERO,
            id: *place,
            slot: Slot::Leaf(*place),
        };
        let mut all: Vec<Op> = batch.places.iter().map(leaf).collect();
        fill_keys(*leaves, &mut all, *threads)?;
        let accounts: Vec<u32> = batch.accounts.iter().map(|account| account.0).collect();
        let mut ids = Vec::with_capacity(accounts.len());
        self.state.storage_ids(&accounts, &mut ids)?;
        let mut dirty = Dirty::default();
        let mut made = Vec::with_capacity(accounts.len());
        let mut start = 0;
        for ((account, end), storage) in batch.accounts.into_iter().zip(ids) {
            let ops = &mut all[start..end];
            start = end;
            sort_ops(ops);
            let slot = if ops.is_empty() {
                Slot::Leaf(account)
            } else {
                let (slot, key) = self.slots.build_dirty(ops)?;
                let field = unknown(key.as_ref());
                let _promise = forest.heap.promise(CONTRACT_UNITS as u64, 1)?;
                let mut writer = Writer::new(&forest.heap, *change);
                let root = Link { slot, field };
                let contract = writer.put_contract(None, account, storage, root);
                if let Slot::Contract(place) = contract {
                    dirty.add(root, 0, Place::Contract(place));
                }
                contract
            };
            let key = B256::ZERO;
            made.push(Op {
                key,
                id: account,
                slot,
            });
        }
        dirty.collect(forest.arena(), usize::MAX);
        dirty.hash(&mut Hasher::new(forest), *leaves)?;
        Ok(made)
    }
}

/// Gives leaves their keys.
fn fill_keys(leaves: &impl Leaves, ops: &mut [Op], threads: Threads) -> Result<(), TrieError> {
    let fill = |ops: &mut [Op]| {
        let places: Vec<u32> = ops.iter().map(|leaf| leaf.id).collect();
        let mut keys = Vec::with_capacity(places.len());
        leaves.keys(&places, &mut keys)?;
        for (leaf, key) in ops.iter_mut().zip(keys) {
            leaf.key = key;
        }
        Ok(())
    };
    match threads {
        Threads::One => ops.chunks_mut(LEAVES_AT_ONCE).try_for_each(fill),
        Threads::Pool => ops.par_chunks_mut(LEAVES_AT_ONCE).try_for_each(fill),
    }
}
