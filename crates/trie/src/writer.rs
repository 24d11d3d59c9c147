//! Making and replacing nodes in one version.

use alloy_primitives::B256;

use crate::{
    arena::Arena,
    forest::{Change, Retired},
    heap::{Cache, Heap},
    node::{Branch, CONTRACT_UNITS, Contract, Field, Head, Link, Slot, nibbles},
    path::Path,
};

/// A branch that is to be made.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) extension: Path,
    children: u16,
    links: [Link; 16],
}

impl Shape {
    pub(crate) const fn new(extension: Path) -> Self {
        Self {
            extension,
            children: 0,
            links: [Link::EMPTY; 16],
        }
    }

    pub(crate) const fn set(&mut self, nibble: u8, link: Link) {
        self.children |= 1 << nibble;
        self.links[nibble as usize] = link;
    }

    pub(crate) const fn len(&self) -> usize {
        self.children.count_ones() as usize
    }

    /// The first child.
    pub(crate) fn first(&self) -> Option<(u8, &Link)> {
        let nibble = nibbles(self.children).next()?;
        Some((nibble, &self.links[usize::from(nibble)]))
    }
}

/// One thread's part in the change of a version.
#[derive(Debug)]
pub(crate) struct Writer<'h> {
    pub(crate) arena: &'h Arena,
    cache: Cache<'h>,
    change: Change,
    retired: Vec<Retired>,
    unused: Vec<Retired>,
}

impl<'h> Writer<'h> {
    pub(crate) fn new(heap: &'h Heap, change: Change) -> Self {
        Self {
            arena: &heap.arena,
            cache: heap.cache(),
            change,
            retired: Vec::new(),
            unused: Vec::new(),
        }
    }

    /// What was retired, and which own nodes were given up and not used again.
    pub(crate) fn into_lists(self) -> (Vec<Retired>, Vec<Retired>) {
        (self.retired, self.unused)
    }

    /// Takes the lists of another part of the change.
    pub(crate) fn take_lists(&mut self, (mut retired, mut unused): (Vec<Retired>, Vec<Retired>)) {
        self.retired.append(&mut retired);
        self.unused.append(&mut unused);
    }

    const fn owns(&self, birth: u64) -> bool {
        birth > self.change.after
    }

    /// Whether a node may be changed where it is.
    ///
    /// That makes it one of this version's births. Unseen trees that wait to be freed may refer to it, as a node that
    /// was born before them: it must not become younger then.
    const fn may_change(&self, birth: u64) -> bool {
        self.owns(birth) && (self.change.reuses || birth == self.change.version)
    }

    /// Gives up a node that the version does not need any more.
    fn give_up(&mut self, place: u32, units: usize, birth: u64) {
        let node = Retired::Node {
            place,
            units: units as u8,
        };
        if !self.owns(birth) {
            self.retired.push(node);
        } else if self.change.reuses {
            self.cache.free(place, units);
        } else {
            self.unused.push(node);
        }
    }

    pub(crate) fn give_up_branch(&mut self, place: u32, head: &Head) {
        self.give_up(place, head.units(), head.birth);
    }

    /// Gives up all that hangs at a place of a storage trie.
    pub(crate) fn give_up_tree(&mut self, slot: Slot) {
        if let Slot::Branch(place) = slot {
            self.retired.push(Retired::Tree(place));
        }
    }

    /// The branch, or a copy of it, as one that this version may write to. The caller stores the head.
    pub(crate) fn own_branch(&mut self, place: u32, branch: Branch<'h>) -> (u32, Branch<'h>) {
        let (place, mut branch) = if self.may_change(branch.head.birth) {
            (place, branch)
        } else {
            let copy = self.cache.allocate(branch.head.units());
            let copied = branch.copy_to(self.arena, copy);
            self.give_up_branch(place, &branch.head);
            (copy, copied)
        };
        // Also of one that was the version's own: what hangs below must never be younger.
        branch.head.birth = self.change.version;
        (place, branch)
    }

    /// Makes a branch.
    pub(crate) fn create(&mut self, shape: &Shape) -> Slot {
        let mut head = Head {
            birth: self.change.version,
            extension: shape.extension.len() as u8,
            ..Head::default()
        };
        for nibble in nibbles(shape.children) {
            head.set_link(nibble, &shape.links[usize::from(nibble)]);
        }
        let place = self.cache.allocate(head.units());
        let branch = Branch::create(self.arena, place, head, &shape.extension);
        for nibble in nibbles(shape.children) {
            branch.set_child(nibble, &shape.links[usize::from(nibble)]);
        }
        Slot::Branch(place)
    }

    /// Gives a branch another extension.
    pub(crate) fn extend(&mut self, place: u32, extension: Path) -> Slot {
        let branch = Branch::at(self.arena, place);
        let mut shape = Shape::new(extension);
        for nibble in nibbles(branch.head.children) {
            shape.set(nibble, branch.link(nibble));
        }
        let slot = self.create(&shape);
        self.give_up_branch(place, &branch.head);
        slot
    }

    /// Makes a contract leaf, in place of one that is there already if `place` is one.
    pub(crate) fn put_contract(
        &mut self,
        place: Option<u32>,
        account: u32,
        storage: u32,
        root: Link,
    ) -> Slot {
        let contract = Contract {
            account,
            storage,
            birth: self.change.version,
            root,
        };
        let own = place.filter(|place| self.may_change(Contract::load(self.arena, *place).birth));
        if own.is_none() {
            place.into_iter().for_each(|place| self.give_up_contract(place));
        }
        let place = own.unwrap_or_else(|| self.cache.allocate(CONTRACT_UNITS));
        contract.store(self.arena, place);
        Slot::Contract(place)
    }

    /// Gives up a contract leaf, but not the storage below.
    pub(crate) fn give_up_contract(&mut self, place: u32) {
        let birth = Contract::load(self.arena, place).birth;
        self.give_up(place, CONTRACT_UNITS, birth);
    }
}

/// A field of which nothing is known but, perhaps, the hashed key of the leaf.
pub(crate) fn unknown(key: Option<&B256>) -> Field {
    key.map_or(Field::Dirty, |key| Field::Key(*key))
}
