//! Contract leaves in the arena.

use std::sync::atomic::Ordering::Relaxed;

use super::{BIRTH_BITS, Field, Link, Slot, VERSION_MAX, load_bytes, store_bytes};
use crate::arena::Arena;

/// Units of a contract leaf.
pub(crate) const CONTRACT_UNITS: usize = 4;

const CONTRACT_WORDS: usize = 8;

/// An account with storage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contract {
    /// The account's place in the state.
    pub(crate) account: u32,
    /// The life of the storage whose slots are below.
    pub(crate) storage: u32,
    pub(crate) birth: u64,
    /// The root of the storage: a leaf or a branch. Never short: the hash of a root stands in the account whatever its
    /// length.
    pub(crate) root: Link,
}

impl Contract {
    const DIRTY: u64 = 1 << BIRTH_BITS;
    const SHORT: u64 = 2 << BIRTH_BITS;
    const LEAF: u64 = 4 << BIRTH_BITS;

    pub(crate) fn load(arena: &Arena, place: u32) -> Self {
        let words = arena.words(place, CONTRACT_WORDS);
        let [first, second, third] = [0, 1, 2].map(|at| words[at].load(Relaxed));
        let reference = (first >> 32) as u32;
        let slot = if second & Self::LEAF == 0 {
            Slot::Branch(reference)
        } else {
            Slot::Leaf(reference)
        };
        let (dirty, short) = (second & Self::DIRTY != 0, second & Self::SHORT != 0);
        Self {
            account: first as u32,
            storage: third as u32,
            birth: second & VERSION_MAX,
            root: Link {
                slot,
                field: Field::from_bits(dirty, short, load_bytes(&words[4..])),
            },
        }
    }

    /// The account alone.
    #[inline]
    pub(crate) fn account_at(arena: &Arena, place: u32) -> u32 {
        arena.words(place, 1)[0].load(Relaxed) as u32
    }

    pub(crate) fn store(&self, arena: &Arena, place: u32) {
        let words = arena.words(place, CONTRACT_WORDS);
        let (reference, leaf) = match self.root.slot {
            Slot::Leaf(reference) => (reference, Self::LEAF),
            Slot::Branch(reference) => (reference, 0),
            Slot::Empty | Slot::Contract(_) => unreachable!("a contract leaf has storage"),
        };
        let (dirty, short) = self.root.field.bits();
        let dirty = u64::from(dirty) * Self::DIRTY;
        let short = u64::from(short) * Self::SHORT;
        words[0].store(u64::from(self.account) | u64::from(reference) << 32, Relaxed);
        words[1].store(self.birth | dirty | short | leaf, Relaxed);
        words[2].store(self.storage.into(), Relaxed);
        if let Some(bytes) = self.root.field.bytes() {
            store_bytes(&words[4..], bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;

    use super::*;
    use crate::heap::Heap;

    #[test]
    fn a_contract_is_read_as_it_was_written() {
        let heap = Heap::new(4 << 20).expect("address space");
        let _promise = heap.promise(100, 1).expect("memory");
        let place = heap.cache().allocate(CONTRACT_UNITS);
        for slot in [Slot::Leaf(7), Slot::Branch(u32::MAX)] {
            for field in [
                Field::Hash(B256::repeat_byte(1)),
                Field::Dirty,
                Field::Key(B256::repeat_byte(2)),
            ] {
                let contract = Contract {
                    account: 5,
                    storage: u32::MAX,
                    birth: 9,
                    root: Link { slot, field },
                };
                contract.store(&heap.arena, place);
                let read = Contract::load(&heap.arena, place);
                assert_eq!(read.root, contract.root);
                assert_eq!((read.account, read.storage, read.birth), (5, u32::MAX, 9));
                assert_eq!(Contract::account_at(&heap.arena, place), 5);
            }
        }
    }
}
