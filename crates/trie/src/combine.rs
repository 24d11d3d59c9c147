//! The way up: changes the nodes a [`Plan`] has found, children before their parents. Nothing can fail here.

use alloy_primitives::B256;

use crate::{
    node::{Branch, Field, Link, Slot, nibbles},
    path::{Path, nibble, shared_nibbles},
    plan::{BRANCHES_AHEAD, Kind, NO_KEY, Op, Outcome, Plan, Visit, upserts},
    writer::{Shape, Writer, unknown},
};

impl Plan {
    /// Makes all visits that were looked at come true. Those that were not must have their outcome.
    pub(crate) fn combine(&mut self, writer: &mut Writer<'_>, ops: &[Op]) {
        for index in (0..self.next).rev() {
            if let Some(ahead) = index.checked_sub(BRANCHES_AHEAD).map(|ahead| &self.visits[ahead])
                && let Slot::Branch(place) = ahead.from
            {
                writer.arena.prefetch_all(place, ahead.units.into());
            }
            let visit = self.visits[index];
            self.visits[index].outcome = match visit.kind {
                Kind::New => visit.outcome,
                Kind::Absent => self.combine_absent(writer, ops, &visit),
                Kind::Leaf => self.combine_leaf(writer, ops, &visit),
                Kind::Branch => self.combine_branch(writer, ops, &visit),
                Kind::Split(depth) => self.combine_split(writer, ops, &visit, depth.into()),
            };
        }
    }

    /// What hangs at the place of a visit after the batch.
    pub(crate) fn result(&self, index: usize) -> Slot {
        let visit = &self.visits[index];
        match visit.outcome {
            Outcome::Same => visit.from,
            Outcome::Now(slot, _) => slot,
        }
    }

    /// The key with a number.
    pub(crate) fn key<'k>(&'k self, ops: &'k [Op], number: u32) -> Option<&'k B256> {
        let number = number as usize;
        match ops.get(number) {
            Some(op) => Some(&op.key),
            None => self.keys.get(number - ops.len()),
        }
    }

    /// The number of a key that is none of the changes'.
    pub(crate) fn add_key(&mut self, ops: &[Op], key: B256) -> u32 {
        self.keys.push(key);
        (ops.len() + self.keys.len() - 1) as u32
    }

    fn link(&self, ops: &[Op], slot: Slot, key: u32) -> Link {
        Link {
            slot,
            field: unknown(self.key(ops, key)),
        }
    }

    fn combine_absent(&mut self, writer: &mut Writer<'_>, ops: &[Op], visit: &Visit) -> Outcome {
        let mut keys = upserts(ops, visit).map(|(number, op)| (number, op.slot));
        match (keys.next(), visit.end_op - visit.first_op) {
            (None, _) => Outcome::Same,
            (Some((number, slot)), 1) => Outcome::Now(slot, number),
            (Some(first), _) => {
                let items: Vec<_> = std::iter::once(first).chain(keys).collect();
                self.grow(writer, ops, &items, visit.start.into())
            }
        }
    }

    fn combine_leaf(&mut self, writer: &mut Writer<'_>, ops: &[Op], visit: &Visit) -> Outcome {
        // The key of the leaf is that of its own change, if it has one.
        let own = ops
            .get(visit.key as usize)
            .map(|op| Outcome::Now(op.slot, visit.key));
        if visit.key == NO_KEY || visit.end_op - visit.first_op == 1 && own.is_some() {
            return own.unwrap_or(Outcome::Same);
        }
        let mut items: Vec<_> = upserts(ops, visit)
            .map(|(number, op)| (number, op.slot))
            .collect();
        if own.is_none() {
            let key = self.key(ops, visit.key);
            let at = items.partition_point(|(number, _)| self.key(ops, *number) < key);
            items.insert(at, (visit.key, visit.from));
        }
        self.grow(writer, ops, &items, visit.start.into())
    }

    /// The subtree of leaves that have the numbers of their keys, sorted by those keys.
    pub(crate) fn grow(
        &self,
        writer: &mut Writer<'_>,
        ops: &[Op],
        items: &[(u32, Slot)],
        start: usize,
    ) -> Outcome {
        let (first, last) = match items {
            [] => return Outcome::Now(Slot::Empty, NO_KEY),
            [(number, slot)] => return Outcome::Now(*slot, *number),
            [first, .., last] => (self.key(ops, first.0), self.key(ops, last.0)),
        };
        let (first, last) = (first.expect("a known key"), last.expect("a known key"));
        // Sorted: what the ends share, all share.
        let depth = shared_nibbles(first, last);
        let mut shape = Shape::new(Path::of_key(first, start, depth));
        let at = |item: &(u32, Slot)| nibble(self.key(ops, item.0).expect("a known key"), depth);
        for group in items.chunk_by(|a, b| at(a) == at(b)) {
            if let Outcome::Now(slot, key) = self.grow(writer, ops, group, depth + 1) {
                shape.set(at(&group[0]), self.link(ops, slot, key));
            }
        }
        Outcome::Now(writer.create(&shape), NO_KEY)
    }

    fn combine_branch(&mut self, writer: &mut Writer<'_>, ops: &[Op], visit: &Visit) -> Outcome {
        let Slot::Branch(place) = visit.from else {
            return Outcome::Same;
        };
        let branch = Branch::at(writer.arena, place);
        let (mut put, mut gone) = (0u16, 0u16);
        for (nibble, child) in self.child_visits(visit) {
            match child.outcome {
                Outcome::Same => {}
                Outcome::Now(Slot::Empty, _) => gone |= 1 << nibble,
                Outcome::Now(..) => put |= 1 << nibble,
            }
        }
        let children = branch.head.children & !gone | put;
        if visit.skip > 0 || children != branch.head.children {
            return self.reshape(writer, ops, visit, place);
        }
        if put == 0 {
            return Outcome::Same;
        }
        let (place, mut branch) = writer.own_branch(place, branch);
        for (nibble, child) in self.child_visits(visit) {
            if let Outcome::Now(slot, key) = child.outcome {
                let link = self.link(ops, slot, key);
                branch.head.set_link(nibble, &link);
                branch.set_child(nibble, &link);
            }
        }
        branch.store_head();
        Outcome::Now(Slot::Branch(place), NO_KEY)
    }

    fn child_visits(&self, visit: &Visit) -> impl Iterator<Item = (u8, &Visit)> {
        nibbles(visit.children).zip(&self.visits[visit.first_child as usize..])
    }

    /// Makes a branch anew that gets other children or a shorter extension.
    fn reshape(&mut self, writer: &mut Writer<'_>, ops: &[Op], visit: &Visit, place: u32) -> Outcome {
        let branch = Branch::at(writer.arena, place);
        let mut shape = Shape::new(branch.extension().skip(visit.skip.into()));
        for nibble in nibbles(branch.head.children & !self.nibbles_changed(visit)) {
            shape.set(nibble, branch.link(nibble));
        }
        self.put_children(ops, visit, &mut shape);
        writer.give_up_branch(place, &branch.head);
        self.close(writer, ops, shape)
    }

    fn nibbles_changed(&self, visit: &Visit) -> u16 {
        self.child_visits(visit)
            .filter(|(_, child)| child.outcome != Outcome::Same)
            .fold(0, |mask, (nibble, _)| mask | 1 << nibble)
    }

    fn put_children(&self, ops: &[Op], visit: &Visit, shape: &mut Shape) {
        for (nibble, child) in self.child_visits(visit) {
            match child.outcome {
                Outcome::Same | Outcome::Now(Slot::Empty, _) => {}
                Outcome::Now(slot, key) => shape.set(nibble, self.link(ops, slot, key)),
            }
        }
    }

    fn combine_split(&mut self, writer: &mut Writer<'_>, ops: &[Op], visit: &Visit, depth: usize) -> Outcome {
        let key = self.key(ops, visit.key).expect("a split has a cause");
        let mut shape = Shape::new(Path::of_key(key, visit.start.into(), depth));
        // The branch below has lost a part of its extension, so it is not the same.
        self.put_children(ops, visit, &mut shape);
        self.close(writer, ops, shape)
    }

    /// Makes a branch, or what is to hang there instead if it has fewer than two children.
    fn close(&mut self, writer: &mut Writer<'_>, ops: &[Op], shape: Shape) -> Outcome {
        let Some((nibble, only)) = shape.first() else {
            return Outcome::Now(Slot::Empty, NO_KEY);
        };
        if shape.len() > 1 {
            return Outcome::Now(writer.create(&shape), NO_KEY);
        }
        match (only.slot, only.field) {
            (Slot::Branch(place), _) => {
                let mut extension = shape.extension;
                extension.push(nibble);
                extension.append(&Branch::at(writer.arena, place).extension());
                Outcome::Now(writer.extend(place, extension), NO_KEY)
            }
            (slot, Field::Key(key)) => Outcome::Now(slot, self.add_key(ops, key)),
            (slot, _) => Outcome::Now(slot, NO_KEY),
        }
    }
}
