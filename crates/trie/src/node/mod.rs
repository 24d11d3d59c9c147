//! Nodes as words of the arena, and what refers to them.
//!
//! ```text
//! branch    word 0   children u16 | leaves u16 | short u16 | contracts u16       bit per nibble
//!           word 1   birth u40 | dirty u16 | nibbles of the extension u8
//!           then     extension, 16 nibbles a word
//!           then     a reference u32 per child, two a word
//!           then     a field of 32 bytes per child
//!
//! contract  word 0   account u32 | reference of the storage's root u32
//!           word 1   birth u40 | dirty 1 | short 1 | leaf 1
//!           word 2   storage id u32
//!           words 4..8   field of the storage's root
//! ```
//!
//! A field is the hash of a child; or, short, its encoding if that has fewer than 32 bytes; or, dirty, unknown; or, dirty
//! and short, unknown but for the hashed key of the leaf, which then need not be hashed again.
//!
//! Nodes that a sealed version sees do not change. A node that only the version under change sees is changed by one
//! thread; threads that hash write fields of different children, and the masks by atomic operations.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use alloy_primitives::B256;

mod branch;
mod contract;
mod head;

pub(crate) use branch::Branch;
pub(crate) use contract::{CONTRACT_UNITS, Contract};
pub(crate) use head::Head;

const BIRTH_BITS: u32 = 40;

/// Versions that can ever be made: 30 years of a thousand a second. Then there is no next one.
pub(crate) const VERSION_MAX: u64 = (1 << BIRTH_BITS) - 1;

const FIELD_WORDS: usize = 4;

/// What hangs at a place of a trie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Slot {
    #[default]
    Empty,
    /// A place in the state: a leaf has no memory of its own.
    Leaf(u32),
    /// A contract leaf in the arena: an account with storage.
    Contract(u32),
    /// A branch in the arena.
    Branch(u32),
}

/// What is known of the encoding of what hangs at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Its hash.
    Hash(B256),
    /// All of it, fewer than 32 bytes; the length is in the last byte.
    Short(B256),
    /// Nothing.
    Dirty,
    /// Nothing, but the hashed key of the leaf.
    Key(B256),
}

impl Field {
    const fn bits(&self) -> (bool, bool) {
        match self {
            Self::Hash(_) => (false, false),
            Self::Short(_) => (false, true),
            Self::Dirty => (true, false),
            Self::Key(_) => (true, true),
        }
    }

    const fn from_bits(dirty: bool, short: bool, bytes: B256) -> Self {
        match (dirty, short) {
            (false, false) => Self::Hash(bytes),
            (false, true) => Self::Short(bytes),
            (true, false) => Self::Dirty,
            (true, true) => Self::Key(bytes),
        }
    }

    const fn bytes(&self) -> Option<&B256> {
        match self {
            Self::Hash(bytes) | Self::Short(bytes) | Self::Key(bytes) => Some(bytes),
            Self::Dirty => None,
        }
    }

    pub(crate) const fn is_dirty(&self) -> bool {
        matches!(self, Self::Dirty | Self::Key(_))
    }

    /// The bytes of a field for an encoding of fewer than 32 bytes.
    pub(crate) fn short_bytes(encoding: &[u8]) -> B256 {
        let mut bytes = B256::ZERO;
        bytes[..encoding.len()].copy_from_slice(encoding);
        bytes[31] = encoding.len() as u8;
        bytes
    }
}

/// A place of a trie: what hangs there and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) slot: Slot,
    pub(crate) field: Field,
}

impl Link {
    pub(crate) const EMPTY: Self = Self {
        slot: Slot::Empty,
        field: Field::Dirty,
    };

    pub(crate) const fn unknown(slot: Slot) -> Self {
        Self {
            slot,
            field: Field::Dirty,
        }
    }
}

/// Nibbles whose bits are set.
pub(crate) fn nibbles(mut mask: u16) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let nibble = (mask != 0).then(|| mask.trailing_zeros() as u8)?;
        mask &= mask - 1;
        Some(nibble)
    })
}

/// The bytes of a field where they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldWords<'a>(&'a [AtomicU64; FIELD_WORDS]);

impl FieldWords<'_> {
    #[inline]
    pub(crate) fn write_to(&self, bytes: &mut [u8]) {
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *bytes = word.load(Relaxed).to_ne_bytes();
        }
    }
}

#[inline]
fn load_bytes(words: &[AtomicU64]) -> B256 {
    let mut bytes = B256::ZERO;
    for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
    }
    bytes
}

#[inline]
fn store_bytes(words: &[AtomicU64], bytes: &B256) {
    for (bytes, word) in bytes.chunks_exact(8).zip(words) {
        let bytes = bytes.try_into().expect("chunks of eight");
        word.store(u64::from_ne_bytes(bytes), Relaxed);
    }
}
