//! Guesses at the storage of an account, so that the search for a slot begins while the account is still being searched.
//!
//! A read of a slot is two searches, one after the other: the account says which storage the slot is of. Where both miss
//! the caches a right guess saves the time of the first. A wrong one costs a cache line that nobody needed.

use alloy_primitives::Address;

use crate::{
    storages::StorageId,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

/// Guesses that are kept: 256 KiB, for the storages that most reads are of.
const GUESSES: usize = if cfg!(miri) { 1 << 4 } else { 1 << 16 };

/// The storages that accounts were last seen to have. Accounts whose addresses end alike share a guess.
#[derive(Debug)]
pub(crate) struct Guesses(Box<[AtomicU32]>);

impl Default for Guesses {
    fn default() -> Self {
        Self((0..GUESSES).map(|_| AtomicU32::new(0)).collect())
    }
}

impl Guesses {
    /// The storage that an account may have; none if nobody knows.
    #[inline]
    pub(crate) fn guess(&self, address: &Address) -> StorageId {
        StorageId(self.of(address).load(Relaxed))
    }

    /// Notes the storage that an account has, if that was not the guess.
    #[inline]
    pub(crate) fn correct(&self, address: &Address, guess: StorageId, storage: StorageId) {
        if guess != storage {
            self.of(address).store(storage.0, Relaxed);
        }
    }

    #[inline]
    fn of(&self, address: &Address) -> &AtomicU32 {
        let end = u32::from_be_bytes(*address.last_chunk().expect("an address has 20 bytes"));
        &self.0[end as usize % GUESSES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_account_seen_is_the_guess() {
        let guesses = Guesses::default();
        let (one, other) = (
            Address::with_last_byte(1),
            Address::left_padding_from(&[7, 0, 0, 0, 1]),
        );
        assert_eq!(guesses.guess(&one), StorageId::NONE);
        guesses.correct(&one, StorageId::NONE, StorageId(5));
        assert_eq!(guesses.guess(&one), StorageId(5));
        assert_eq!(guesses.guess(&Address::with_last_byte(2)), StorageId::NONE);
        guesses.correct(&other, StorageId(5), StorageId(6));
        assert_eq!(guesses.guess(&one), StorageId(6));
    }
}
