//! The two kinds of entries, word by word.
//!
//! ```text
//! account, 64 bytes:  address 20 | undo 4 | nonce 8 | balance 16 | code 4 | storage id 4 | sequence and lock 8
//! slot, 80 bytes:     slot 32 | value 32 | storage id 4 | undo 4 | sequence and lock 8
//! ```
//!
//! Sequence and old values are in the entry itself. Keeping them in a record of their own for changed entries only would
//! make a slot 72 bytes; `ARCHITECTURE.md` has the measurement that decided.

use alloy_primitives::{Address, U256};

use crate::{
    entry::Layout,
    hash::Secret,
    index::KeyHash,
    storages::StorageId,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Entries of accounts.
#[derive(Debug)]
pub(crate) struct Accounts;

/// Entries of slots.
#[derive(Debug)]
pub(crate) struct Slots;

/// Names a slot: of one life of an account's storage.
pub(crate) type SlotKey = (StorageId, U256);

impl Layout for Accounts {
    const WORDS: usize = 8;
    const VALUE_AT: usize = 3;
    const UNDO_AT: usize = 2;
    type Key = Address;

    fn hash(secret: &Secret, key: &Address) -> KeyHash {
        secret.of_address(key)
    }

    fn write_key(words: &[AtomicU64], key: &Address) {
        let (first, rest) = key.split_first_chunk::<8>().expect("an address has 20 bytes");
        let (second, last) = rest.split_first_chunk::<8>().expect("an address has 20 bytes");
        let last = last.first_chunk::<4>().expect("an address has 20 bytes");
        words[0].store(u64::from_be_bytes(*first), Relaxed);
        words[1].store(u64::from_be_bytes(*second), Relaxed);
        words[2].store(u64::from(u32::from_be_bytes(*last)) << 32, Relaxed);
    }

    fn key(words: &[AtomicU64]) -> Address {
        let mut address = Address::ZERO;
        address[..8].copy_from_slice(&words[0].load(Relaxed).to_be_bytes());
        address[8..16].copy_from_slice(&words[1].load(Relaxed).to_be_bytes());
        address[16..].copy_from_slice(&((words[2].load(Relaxed) >> 32) as u32).to_be_bytes());
        address
    }
}

impl Layout for Slots {
    const WORDS: usize = 10;
    const VALUE_AT: usize = 4;
    const UNDO_AT: usize = 8;
    type Key = SlotKey;

    fn hash(secret: &Secret, key: &SlotKey) -> KeyHash {
        secret.of_slot(key)
    }

    fn write_key(words: &[AtomicU64], (storage, slot): &SlotKey) {
        for (word, limb) in words.iter().zip(slot.as_limbs()) {
            word.store(*limb, Relaxed);
        }
        words[8].store(u64::from(storage.0) << 32, Relaxed);
    }

    fn key(words: &[AtomicU64]) -> SlotKey {
        let slot = U256::from_limbs(std::array::from_fn(|word| words[word].load(Relaxed)));
        (StorageId((words[8].load(Relaxed) >> 32) as u32), slot)
    }
}
