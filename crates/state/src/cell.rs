//! A versioned value: what it is now, since when, and what it was before within the retained window.

use std::collections::VecDeque;

use alloy_primitives::U256;
use rapid_primitives::Account;

/// Names the slots of one life of an account's storage; 0 while no slot was ever written.
pub(crate) type StorageId = u64;

/// What the table knows of an account that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccountRecord {
    pub(crate) account: Account,
    pub(crate) storage_id: StorageId,
}

/// A value with a form that means "not there".
pub(crate) trait CellValue: Copy + PartialEq {
    const ABSENT: Self;
}

impl CellValue for Option<AccountRecord> {
    const ABSENT: Self = None;
}

impl CellValue for U256 {
    const ABSENT: Self = Self::ZERO;
}

/// A value that was replaced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Old<V> {
    /// Commit that wrote it.
    sequence: u64,
    value: V,
}

/// A value with its past. Invariant: sequences in `history` rise and are all below `sequence`.
///
/// Before its oldest known value a cell was absent: trimming keeps the value at the oldest retained version.
#[derive(Debug)]
pub(crate) struct Cell<V> {
    sequence: u64,
    value: V,
    #[expect(
        clippy::box_collection,
        reason = "most cells have no past, and a pointer is a quarter of a queue"
    )]
    history: Option<Box<VecDeque<Old<V>>>>,
}

/// Whether a write was the first of its commit to the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    First,
    Again,
}

impl<V: CellValue> Cell<V> {
    /// A cell that was absent before `sequence`.
    pub(crate) const fn new(sequence: u64, value: V) -> Self {
        Self {
            sequence,
            value,
            history: None,
        }
    }

    pub(crate) const fn value(&self) -> V {
        self.value
    }

    /// Commit that wrote the current value.
    pub(crate) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The value at a version that is still retained.
    pub(crate) fn at(&self, version: u64) -> V {
        if self.sequence <= version {
            return self.value;
        }
        let Some(history) = &self.history else {
            return V::ABSENT;
        };
        match history.partition_point(|old| old.sequence <= version) {
            0 => V::ABSENT,
            newer => history[newer - 1].value,
        }
    }

    /// Replaces the value. Within one commit the cell keeps what it was before the first write.
    pub(crate) fn write(&mut self, sequence: u64, value: V) -> Written {
        debug_assert!(sequence >= self.sequence, "writes of a cell come in commit order");
        if sequence == self.sequence {
            self.value = value;
            return Written::Again;
        }
        let old = Old {
            sequence: self.sequence,
            value: self.value,
        };
        self.history
            .get_or_insert_with(|| Box::new(VecDeque::with_capacity(1)))
            .push_back(old);
        self.sequence = sequence;
        self.value = value;
        Written::First
    }

    /// Forgets what no version from `floor` on can see, oldest first, and tells `forgotten` each value.
    pub(crate) fn trim(&mut self, floor: u64, mut forgotten: impl FnMut(&Self, V)) {
        loop {
            let Some(history) = &mut self.history else { return };
            let replaced_at = history.get(1).map_or(self.sequence, |next| next.sequence);
            if replaced_at > floor {
                if history.len() * 4 < history.capacity() {
                    history.shrink_to(history.len() * 2);
                }
                return;
            }
            let old = history.pop_front();
            if history.is_empty() {
                self.history = None;
            }
            if let Some(old) = old {
                forgotten(self, old.value);
            }
        }
    }

    /// Whether the cell says nothing more than its absence would, to any version from `floor` on.
    pub(crate) fn is_vacant(&self, floor: u64) -> bool {
        self.value == V::ABSENT && self.sequence <= floor && self.history.is_none()
    }

    /// All retained values, oldest first, the current one last.
    pub(crate) fn values(&self) -> impl Iterator<Item = V> + '_ {
        self.history
            .iter()
            .flat_map(|history| history.iter().map(|old| old.value))
            .chain([self.value])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn u(value: u64) -> U256 {
        U256::from(value)
    }

    #[test]
    fn reads_each_version() {
        let mut cell = Cell::new(3, u(30));
        assert_eq!(cell.write(5, u(50)), Written::First);
        assert_eq!(cell.write(5, u(51)), Written::Again);
        assert_eq!(cell.write(9, U256::ZERO), Written::First);
        let seen: Vec<_> = [2, 3, 4, 5, 8, 9, 10].map(|version| cell.at(version)).into();
        assert_eq!(seen, [u(0), u(30), u(30), u(51), u(51), u(0), u(0)]);
    }

    #[test]
    fn trim_keeps_what_the_floor_sees() {
        let mut cell = Cell::new(1, u(1));
        for sequence in [4, 6, 8] {
            cell.write(sequence, u(sequence));
        }
        let mut forgotten = Vec::new();
        cell.trim(7, |_, value| forgotten.push(value));
        assert_eq!(forgotten, [u(1), u(4)]);
        assert_eq!(cell.at(7), u(6));
        assert_eq!(cell.at(8), u(8));
        cell.write(9, u(0));
        assert!(!cell.is_vacant(9), "version 8 is still kept");
        cell.trim(9, |_, _| {});
        assert!(cell.is_vacant(9));
    }
}
