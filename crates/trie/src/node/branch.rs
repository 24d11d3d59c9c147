//! Branches in the arena.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use alloy_primitives::B256;

use super::{FIELD_WORDS, Field, FieldWords, Head, Link, Slot, head::HEAD_WORDS, load_bytes, store_bytes};
use crate::{arena::Arena, path::Path};

/// A branch in the arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Branch<'a> {
    pub(crate) head: Head,
    words: &'a [AtomicU64],
}

impl<'a> Branch<'a> {
    #[inline]
    pub(crate) fn at(arena: &'a Arena, place: u32) -> Self {
        let first = arena.words(place, HEAD_WORDS);
        let head = Head::from_words(first[0].load(Relaxed), first[1].load(Relaxed));
        Self {
            head,
            words: arena.words(place, head.words()),
        }
    }

    /// The branch that is to be written with this head at a place of its size.
    pub(crate) fn create(arena: &'a Arena, place: u32, head: Head, extension: &Path) -> Self {
        debug_assert_eq!(usize::from(head.extension), extension.len());
        let branch = Self {
            head,
            words: arena.words(place, head.words()),
        };
        branch.store_head();
        for (word, packed) in branch.words[HEAD_WORDS..].iter().zip(extension.pack()) {
            word.store(packed, Relaxed);
        }
        branch
    }

    /// Copies everything to a place of the same size.
    pub(crate) fn copy_to(&self, arena: &'a Arena, place: u32) -> Self {
        let words = arena.words(place, self.words.len());
        for (to, from) in words.iter().zip(self.words) {
            to.store(from.load(Relaxed), Relaxed);
        }
        Self {
            head: self.head,
            words,
        }
    }

    /// Writes back [`Self::head`], whose masks of children and length of extension must be as they were.
    #[inline]
    pub(crate) fn store_head(&self) {
        self.words[0].store(self.head.first_word(), Relaxed);
        self.words[1].store(self.head.second_word(), Relaxed);
    }

    pub(crate) fn extension(&self) -> Path {
        let words = self.words[HEAD_WORDS..self.head.references_at()].iter();
        Path::unpack(self.head.extension.into(), words.map(|word| word.load(Relaxed)))
    }

    #[inline]
    fn reference(&self, index: usize) -> u32 {
        let word = self.words[self.head.references_at() + index / 2].load(Relaxed);
        (word >> (index % 2 * 32)) as u32
    }

    fn set_reference(&self, index: usize, reference: u32) {
        let word = &self.words[self.head.references_at() + index / 2];
        let shift = index % 2 * 32;
        let others = word.load(Relaxed) & !(u64::from(u32::MAX) << shift);
        word.store(others | u64::from(reference) << shift, Relaxed);
    }

    /// What hangs at a nibble.
    #[inline]
    pub(crate) fn slot(&self, nibble: u8) -> Slot {
        if !self.head.has(nibble) {
            return Slot::Empty;
        }
        let reference = self.reference(self.head.index(nibble));
        let bit = 1 << nibble;
        if self.head.leaves & bit != 0 {
            Slot::Leaf(reference)
        } else if self.head.contracts & bit != 0 {
            Slot::Contract(reference)
        } else {
            Slot::Branch(reference)
        }
    }

    #[inline]
    fn field_words(&self, index: usize) -> &'a [AtomicU64] {
        let at = self.head.fields_at() + index * FIELD_WORDS;
        &self.words[at..at + FIELD_WORDS]
    }

    /// The fields of all children.
    #[inline]
    pub(crate) fn fields(&self) -> impl Iterator<Item = FieldWords<'a>> {
        self.words[self.head.fields_at()..]
            .as_chunks()
            .0
            .iter()
            .map(FieldWords)
    }

    /// The bytes of the field of a child by its index.
    #[inline]
    pub(crate) fn field_bytes(&self, index: usize) -> B256 {
        load_bytes(self.field_words(index))
    }

    #[inline]
    pub(crate) fn set_field_bytes(&self, index: usize, bytes: &B256) {
        store_bytes(self.field_words(index), bytes);
    }

    /// What hangs at a nibble and what is known of it.
    pub(crate) fn link(&self, nibble: u8) -> Link {
        let slot = self.slot(nibble);
        if slot == Slot::Empty {
            return Link::EMPTY;
        }
        let bit = 1 << nibble;
        let (dirty, short) = (self.head.dirty & bit != 0, self.head.short & bit != 0);
        let bytes = self.field_bytes(self.head.index(nibble));
        Link {
            slot,
            field: Field::from_bits(dirty, short, bytes),
        }
    }

    /// Writes a child, but for the masks.
    pub(crate) fn set_child(&self, nibble: u8, link: &Link) {
        let index = self.head.index(nibble);
        let (Slot::Leaf(reference) | Slot::Contract(reference) | Slot::Branch(reference)) = link.slot else {
            return;
        };
        self.set_reference(index, reference);
        if let Some(bytes) = link.field.bytes() {
            self.set_field_bytes(index, bytes);
        }
    }

    /// Notes that a child's encoding is short, or not. Others may do so for other children at the same time.
    #[inline]
    pub(crate) fn mark_short(&self, nibble: u8, short: bool) {
        let bit = 1u64 << (32 + nibble);
        if short {
            self.words[0].fetch_or(bit, Relaxed);
        } else {
            self.words[0].fetch_and(!bit, Relaxed);
        }
    }

    /// Notes that all children are hashed.
    #[inline]
    pub(crate) fn mark_clean(&self) {
        let mut head = self.head;
        head.dirty = 0;
        self.words[1].store(head.second_word(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        heap::{Heap, SIZES},
        node::{VERSION_MAX, nibbles},
    };

    #[test]
    fn a_branch_is_read_as_it_was_written() {
        let heap = Heap::new(4 << 20).expect("address space");
        let _promise = heap.promise(100, 1).expect("memory");
        let mut cache = heap.cache();
        let links: Vec<_> = (0..16u8)
            .map(|nibble| Link {
                slot: match nibble % 3 {
                    0 => Slot::Leaf(u32::MAX - u32::from(nibble)),
                    1 => Slot::Contract(nibble.into()),
                    _ => Slot::Branch(nibble.into()),
                },
                field: match nibble % 4 {
                    0 => Field::Hash(B256::repeat_byte(nibble)),
                    1 => Field::Short(Field::short_bytes(&[nibble; 31])),
                    2 => Field::Dirty,
                    _ => Field::Key(B256::repeat_byte(nibble)),
                },
            })
            .collect();
        for (mask, extension) in [(0xffffu16, 63), (0x8001, 0), (0x0770, 16), (0x4210, 1)] {
            let path = Path::of_key(&B256::repeat_byte(0x5a), 0, extension);
            let mut head = Head {
                birth: VERSION_MAX,
                extension: extension as u8,
                ..Head::default()
            };
            for nibble in nibbles(mask) {
                head.set_link(nibble, &links[usize::from(nibble)]);
            }
            assert!(head.units() < SIZES);
            let place = cache.allocate(head.units());
            let branch = Branch::create(&heap.arena, place, head, &path);
            for nibble in nibbles(mask) {
                branch.set_child(nibble, &links[usize::from(nibble)]);
            }
            let branch = Branch::at(&heap.arena, place);
            assert_eq!((branch.head.birth, branch.extension()), (VERSION_MAX, path));
            for nibble in 0..16 {
                let expected = if mask & 1 << nibble == 0 {
                    Link::EMPTY
                } else {
                    links[usize::from(nibble)]
                };
                assert_eq!(branch.link(nibble), expected);
            }
        }
    }
}
