//! Dividing work on a trie among threads.

use rayon::prelude::*;

use crate::{
    TrieError,
    forest::{Change, Shared},
    leaves::Leaves,
    node::Slot,
    plan::{Op, Outcome, Plan},
    writer::Writer,
};

/// Where work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// On the caller's.
    One,
    /// On those of the rayon pool the caller is in.
    Pool,
}

/// So many places of a level are divided into parts. Few in tests, whose tries are small.
pub(crate) const SPLIT_FROM: usize = if cfg!(test) { 4 } else { 256 };

/// Places of a part, of `count` in all.
///
/// Of the 256 branches on the third level of a large trie a sixteenth, so that what ten thousand changes make dirty, 6
/// MiB, fits the second-level cache part by part, and each fills batches. Never more than 32 parts: of many small tries
/// each part has many.
pub(crate) fn part_size(count: usize) -> usize {
    const PART_MIN: usize = if cfg!(test) { 2 } else { 16 };
    const PARTS_MAX: usize = 32;
    count.div_ceil(PARTS_MAX).max(PART_MIN)
}

/// A plan, the lower part of which threads have divided among them.
#[derive(Debug)]
pub(crate) struct Parts {
    top: Plan,
    parts: Vec<Plan>,
}

impl Parts {
    /// Goes down with the batch that was added to `top`, and reads the keys of leaves in the way.
    pub(crate) fn descend(
        mut top: Plan,
        forest: &Shared,
        ops: &[Op],
        leaves: &impl Leaves,
        threads: Threads,
    ) -> Result<Self, TrieError> {
        let width = match threads {
            Threads::One => usize::MAX,
            Threads::Pool => SPLIT_FROM,
        };
        top.descend(forest.arena(), ops, width);
        top.fetch_keys(leaves)?;
        let mut parts = top.split();
        if parts.is_empty() {
            // Asking rayon to do nothing would start threads of its own.
            return Ok(Self { top, parts });
        }
        parts.par_iter_mut().try_for_each(|part| {
            part.descend(forest.arena(), ops, usize::MAX);
            part.fetch_keys(leaves)
        })?;
        Ok(Self { top, parts })
    }

    /// Most units that new nodes may take.
    pub(crate) fn units(&self) -> u64 {
        self.top.units + self.parts.iter().map(|part| part.units).sum::<u64>()
    }

    /// Writers besides that of the caller.
    pub(crate) fn writers(&self) -> usize {
        self.parts.len()
    }

    /// Contract leaves of changed accounts, by change.
    pub(crate) fn contracts(&self) -> impl Iterator<Item = (u32, u32)> {
        let plans = std::iter::once(&self.top).chain(&self.parts);
        plans.flat_map(|plan| plan.contracts.iter().copied())
    }

    /// Makes the batch come true.
    pub(crate) fn combine(&mut self, forest: &Shared, change: Change, writer: &mut Writer<'_>, ops: &[Op]) {
        let combine = |part: &mut Plan| {
            let mut writer = Writer::new(&forest.heap, change);
            part.combine(&mut writer, ops);
            writer.into_lists()
        };
        if !self.parts.is_empty() {
            let lists: Vec<_> = self.parts.par_iter_mut().map(combine).collect();
            lists.into_iter().for_each(|lists| writer.take_lists(lists));
            self.top.join(ops, &self.parts);
        }
        self.top.combine(writer, ops);
    }

    /// What hangs afterwards where the trie with this index was added.
    pub(crate) fn result(&self, index: usize) -> Slot {
        self.top.result(index)
    }

    /// What has become of a trie, and what was there.
    pub(crate) fn outcome(&self, index: usize) -> (Slot, Outcome) {
        let visit = &self.top.visits[index];
        (visit.from, visit.outcome)
    }

    /// The key with a number that an outcome has.
    pub(crate) fn key<'k>(&'k self, ops: &'k [Op], number: u32) -> Option<&'k alloy_primitives::B256> {
        self.top.key(ops, number)
    }
}
