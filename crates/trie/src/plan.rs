//! The way down: where in the trie each change of a batch belongs.
//!
//! All changes go down together, level by level, so that the nodes of a level are asked for from memory long before
//! they are looked at; one descent after the other would wait for each. Nothing is changed on the way: what can fail,
//! reading the keys of leaves that are in the way and the memory for new nodes, has been done before [`combine`]
//! changes anything.
//!
//! [`combine`]: crate::combine

use std::ops::Range;

use alloy_primitives::B256;

use crate::{
    TrieError,
    arena::Arena,
    leaves::Leaves,
    node::{Branch, Contract, Slot},
    parts::part_size,
    path::{KEY_NIBBLES, nibble},
};

/// A change of one key. Batches are sorted by key, each key once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    /// The hashed key.
    pub(crate) key: B256,
    /// The place of the key in the state.
    pub(crate) id: u32,
    /// The leaf that is to hang there; empty to remove it.
    pub(crate) slot: Slot,
}

impl Op {
    pub(crate) const fn removes(&self) -> bool {
        matches!(self.slot, Slot::Empty)
    }
}

/// How many visits ahead nodes are asked for: about as many misses as a core can have under way.
pub(crate) const AHEAD: usize = 12;

/// Units of the longest branch.
const LONGEST_UNITS: u64 = 39;

/// The same where all of a branch is asked for, which is five cache lines or more.
pub(crate) const BRANCHES_AHEAD: usize = 4;

/// Stands for no key.
pub(crate) const NO_KEY: u32 = u32::MAX;

/// What a part of a batch finds at one place of the trie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    /// What hangs there.
    pub(crate) from: Slot,
    pub(crate) first_op: u32,
    pub(crate) end_op: u32,
    /// The depth of the place.
    pub(crate) start: u8,
    /// Nibbles of the extension of `from` that are above the place: a split that is to be made is there.
    pub(crate) skip: u8,
    pub(crate) kind: Kind,
    /// Of a branch: its size.
    pub(crate) units: u8,
    /// Of a branch or split: nibbles with a visit, in order from `first_child` on.
    pub(crate) children: u16,
    pub(crate) first_child: u32,
    /// A key that leads here: of the leaf, if it has to move; of a change that causes the split.
    pub(crate) key: u32,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Not looked at yet.
    New,
    Absent,
    Leaf,
    Branch,
    /// A branch is to be put above `from` at this depth.
    Split(u8),
}

/// What hangs at a place afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Same,
    /// Not the same; with the number of the leaf's key, if it is known.
    Now(Slot, u32),
}

/// The way of a batch, or a part of it, down some tries.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) visits: Vec<Visit>,
    /// The first visit that was not looked at yet.
    pub(crate) next: usize,
    /// Keys besides those of the changes; a key's number is behind the changes'.
    pub(crate) keys: Vec<B256>,
    /// Leaves whose keys are the first of `keys`.
    wanted: Vec<u32>,
    /// Contract leaves of changed accounts, by change.
    pub(crate) contracts: Vec<(u32, u32)>,
    /// Most units that new nodes may take.
    pub(crate) units: u64,
}

impl Plan {
    /// Adds a trie, or a part of one at depth `start`, with the changes to it.
    pub(crate) fn add(&mut self, from: Slot, start: usize, ops: Range<usize>) {
        self.push(from, start, 0, ops.start as u32, ops.end as u32);
    }

    fn push(&mut self, from: Slot, start: usize, skip: usize, first_op: u32, end_op: u32) {
        self.visits.push(Visit {
            from,
            first_op,
            end_op,
            start: start as u8,
            skip: skip as u8,
            kind: Kind::New,
            units: 0,
            children: 0,
            first_child: 0,
            key: NO_KEY,
            outcome: Outcome::Same,
        });
    }

    /// Goes down to the leaves, or until a level has at least `width` places.
    pub(crate) fn descend(&mut self, arena: &Arena, ops: &[Op], width: usize) {
        while self.next < self.visits.len() && self.visits.len() - self.next < width {
            let end = self.visits.len();
            for index in self.next..end {
                if let Some(ahead) = self.visits[..end].get(index + AHEAD)
                    && let Slot::Branch(place) | Slot::Contract(place) = ahead.from
                {
                    arena.prefetch(place);
                }
                self.visit(arena, ops, index);
            }
            self.next = end;
        }
    }

    /// Divides the places that were not looked at yet among parts.
    pub(crate) fn split(&self) -> Vec<Self> {
        let visits = &self.visits[self.next..];
        let parts = visits.chunks(part_size(visits.len()));
        parts
            .map(|visits| Self {
                visits: visits.to_vec(),
                ..Self::default()
            })
            .collect()
    }

    /// Takes what the parts have made of their places.
    pub(crate) fn join(&mut self, ops: &[Op], parts: &[Self]) {
        let mut index = self.next;
        for part in parts {
            let places = part_size(self.visits.len() - self.next).min(self.visits.len() - index);
            for visit in &part.visits[..places] {
                self.visits[index].outcome = match visit.outcome {
                    Outcome::Now(slot, number) if number as usize >= ops.len() => {
                        let key = part.key(ops, number).copied();
                        Outcome::Now(slot, key.map_or(NO_KEY, |key| self.add_key(ops, key)))
                    }
                    outcome => outcome,
                };
                index += 1;
            }
        }
    }

    /// Reads the keys of leaves that have to move.
    pub(crate) fn fetch_keys(&mut self, leaves: &impl Leaves) -> Result<(), TrieError> {
        if self.wanted.is_empty() {
            return Ok(());
        }
        leaves.keys(&self.wanted, &mut self.keys)
    }

    fn visit(&mut self, arena: &Arena, ops: &[Op], index: usize) {
        let visit = self.visits[index];
        match visit.from {
            Slot::Empty => self.visit_absent(ops, index),
            Slot::Leaf(id) => {
                self.visit_leaf(ops, index, id);
            }
            Slot::Contract(place) => {
                let account = Contract::account_at(arena, place);
                if let Some(op) = self.visit_leaf(ops, index, account) {
                    self.contracts.push((op, place));
                }
            }
            Slot::Branch(place) => self.visit_branch(ops, index, &Branch::at(arena, place)),
        }
    }

    fn visit_absent(&mut self, ops: &[Op], index: usize) {
        let visit = &mut self.visits[index];
        visit.kind = Kind::Absent;
        let count = visit.end_op - visit.first_op;
        if count > 1 {
            self.units += grown_units(upserts(ops, visit).count());
        }
    }

    /// Returns the change of this very leaf, if there is one.
    fn visit_leaf(&mut self, ops: &[Op], index: usize, id: u32) -> Option<u32> {
        let visit = &mut self.visits[index];
        visit.kind = Kind::Leaf;
        let mut own = None;
        let mut others = 0;
        for op in visit.first_op..visit.end_op {
            if ops[op as usize].id == id {
                own = Some(op);
            } else if !ops[op as usize].removes() {
                others += 1;
            }
        }
        visit.key = own.unwrap_or(NO_KEY);
        if others > 0 {
            self.units += grown_units(others + 1);
            if own.is_none() {
                visit.key = (ops.len() + self.wanted.len()) as u32;
                self.wanted.push(id);
            }
        }
        own
    }

    fn visit_branch(&mut self, ops: &[Op], index: usize, branch: &Branch<'_>) {
        let mut visit = self.visits[index];
        let skip = usize::from(visit.skip);
        let start = usize::from(visit.start);
        let mut depth = start + usize::from(branch.head.extension) - skip;
        visit.kind = Kind::Branch;
        visit.units = branch.head.units() as u8;
        if depth > start
            && let Some(split) = find_split(ops, &mut visit, branch)
        {
            depth = split;
            visit.kind = Kind::Split(split as u8);
        }
        visit.first_child = self.visits.len() as u32;
        let mut rest = visit.first_op..visit.end_op;
        while !rest.is_empty() {
            let at = nibble(&ops[rest.start as usize].key, depth);
            let end = end_of_nibble(ops, &rest, depth, at);
            if visit.kind == Kind::Branch {
                let child = branch.slot(at);
                // Removals of what is not there are left out.
                if child != Slot::Empty || (rest.start..end).any(|op| !ops[op as usize].removes()) {
                    self.push(child, depth + 1, 0, rest.start, end);
                    visit.children |= 1 << at;
                }
            } else {
                self.push(Slot::Empty, depth + 1, 0, rest.start, end);
                visit.children |= 1 << at;
            }
            rest.start = end;
        }
        if visit.kind == Kind::Branch {
            self.units += branch_units(ops, &visit, branch);
        } else {
            self.hang_below_split(&mut visit, branch, depth);
        }
        self.visits[index] = visit;
    }

    /// Lets the branch that a split is above be visited as a child of the split.
    fn hang_below_split(&mut self, visit: &mut Visit, branch: &Branch<'_>, depth: usize) {
        let passed = depth - usize::from(visit.start) + usize::from(visit.skip);
        let at = branch.extension().as_slice()[passed];
        let index = (visit.children & ((1 << at) - 1)).count_ones() as usize;
        let index = visit.first_child as usize + index;
        if visit.children & 1 << at == 0 {
            visit.children |= 1 << at;
            let (start, none) = (depth + 1, visit.end_op);
            self.push(visit.from, start, passed + 1, none, none);
            let pushed = self.visits.pop().expect("just pushed");
            self.visits.insert(index, pushed);
        } else {
            let child = &mut self.visits[index];
            child.from = visit.from;
            child.skip = (passed + 1) as u8;
        }
        // Its branch; and that of its only child, if the branch below it vanishes.
        self.units += 10 + LONGEST_UNITS + 3 * u64::from(visit.children.count_ones());
    }
}

/// Narrows a visit to the changes that lead to the branch; or, if some are to be put where its extension is, returns
/// the least depth at which one parts from it, and narrows the visit to changes that lead there.
fn find_split(ops: &[Op], visit: &mut Visit, branch: &Branch<'_>) -> Option<usize> {
    let extension = branch.extension().skip(visit.skip.into());
    let start = usize::from(visit.start);
    let shared = |op: u32| extension.shared_with(&ops[op as usize].key, start);
    // Sorted: the keys least like the extension are at the ends.
    let range = visit.first_op..visit.end_op;
    let mut keys = range.clone().filter(|op| !ops[*op as usize].removes());
    let ends = [keys.next(), keys.next_back()];
    let parting = ends.into_iter().flatten().min_by_key(|op| shared(*op));
    let least = parting.map_or(extension.len(), shared);
    let leads = |op: &u32| shared(*op) >= least;
    visit.first_op = range.clone().find(leads).unwrap_or(range.end);
    visit.end_op = range.rev().find(leads).map_or(visit.first_op, |last| last + 1);
    visit.key = parting.unwrap_or(NO_KEY);
    (least < extension.len()).then_some(start + least)
}

/// The end of the changes that have a nibble at a depth, as the first of `ops` has.
fn end_of_nibble(ops: &[Op], range: &Range<u32>, depth: usize, at: u8) -> u32 {
    const SEARCHED_FROM: u32 = 16;
    let same = |op: &Op| nibble(&op.key, depth) == at;
    if range.end - range.start < SEARCHED_FROM {
        let others = range.clone().skip(1).find(|op| !same(&ops[*op as usize]));
        return others.unwrap_or(range.end);
    }
    let keys = &ops[range.start as usize..range.end as usize];
    range.start + keys.partition_point(same) as u32
}

/// Changes of a visit that put something.
pub(crate) fn upserts<'o>(ops: &'o [Op], visit: &Visit) -> impl Iterator<Item = (u32, &'o Op)> {
    let range = visit.first_op as usize..visit.end_op as usize;
    (visit.first_op..)
        .zip(&ops[range])
        .filter(|(_, op)| !op.removes())
}

/// Most units that the branches above so many leaves take: fewer branches than leaves, of 36 bytes a child and a head and
/// extension of 48.
const fn grown_units(leaves: usize) -> u64 {
    if leaves < 2 { 0 } else { 9 * leaves as u64 }
}

/// Most units that a branch takes after a visit: its copy, with more children; or, if it has but one left, that with a
/// longer extension.
fn branch_units(ops: &[Op], visit: &Visit, branch: &Branch<'_>) -> u64 {
    const REMOVALS_SEARCHED: u32 = 16;
    let added = (visit.children & !branch.head.children).count_ones();
    let copy = branch.head.units() as u64 + 3 * u64::from(added);
    let kept = (branch.head.children & !visit.children).count_ones();
    let removes = || {
        visit.end_op - visit.first_op > REMOVALS_SEARCHED
            || (visit.first_op..visit.end_op).any(|op| ops[op as usize].removes())
    };
    let collapse = if kept < 2 && removes() { LONGEST_UNITS } else { 0 };
    copy + collapse
}

const _: () = assert!(KEY_NIBBLES < u8::MAX as usize);
