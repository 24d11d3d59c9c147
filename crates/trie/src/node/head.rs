//! What a branch is, in its first two words.

use super::{BIRTH_BITS, FIELD_WORDS, Link, Slot, VERSION_MAX};
use crate::path::Path;

/// Words of a branch before its extension.
pub(super) const HEAD_WORDS: usize = 2;

/// The first two words of a branch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Head {
    pub(crate) children: u16,
    pub(crate) leaves: u16,
    pub(crate) short: u16,
    pub(crate) contracts: u16,
    pub(crate) birth: u64,
    pub(crate) dirty: u16,
    pub(crate) extension: u8,
}

impl Head {
    pub(super) fn from_words(first: u64, second: u64) -> Self {
        Self {
            children: first as u16,
            leaves: (first >> 16) as u16,
            short: (first >> 32) as u16,
            contracts: (first >> 48) as u16,
            birth: second & VERSION_MAX,
            dirty: (second >> BIRTH_BITS) as u16,
            extension: (second >> 56) as u8,
        }
    }

    pub(super) const fn first_word(&self) -> u64 {
        self.children as u64
            | (self.leaves as u64) << 16
            | (self.short as u64) << 32
            | (self.contracts as u64) << 48
    }

    pub(super) const fn second_word(&self) -> u64 {
        self.birth | (self.dirty as u64) << BIRTH_BITS | (self.extension as u64) << 56
    }

    pub(super) const fn references_at(&self) -> usize {
        HEAD_WORDS + Path::words(self.extension as usize)
    }

    pub(super) const fn fields_at(&self) -> usize {
        self.references_at() + self.len().div_ceil(2)
    }

    pub(crate) const fn words(&self) -> usize {
        self.fields_at() + self.len() * FIELD_WORDS
    }

    /// Units of a branch with this head.
    pub(crate) const fn units(&self) -> usize {
        self.words().div_ceil(2)
    }

    /// Number of children.
    pub(crate) const fn len(&self) -> usize {
        self.children.count_ones() as usize
    }

    pub(crate) const fn has(&self, nibble: u8) -> bool {
        self.children & 1 << nibble != 0
    }

    /// How many children are before a nibble.
    pub(crate) const fn index(&self, nibble: u8) -> usize {
        (self.children & ((1 << nibble) - 1)).count_ones() as usize
    }

    /// Sets the masks for a child as it is linked.
    pub(crate) const fn set_link(&mut self, nibble: u8, link: &Link) {
        let bit = 1 << nibble;
        let (dirty, short) = link.field.bits();
        self.children |= bit;
        set(&mut self.leaves, bit, matches!(link.slot, Slot::Leaf(_)));
        set(&mut self.contracts, bit, matches!(link.slot, Slot::Contract(_)));
        set(&mut self.dirty, bit, dirty);
        set(&mut self.short, bit, short);
    }
}

const fn set(mask: &mut u16, bit: u16, value: bool) {
    if value {
        *mask |= bit;
    } else {
        *mask &= !bit;
    }
}
