//! Guesses where an account is and which storage it has, so that the search for a slot begins while the account is still
//! being searched.
//!
//! A read of a slot is two searches, one after the other: the account says which storage the slot is of. Where both miss
//! the caches a right guess saves most of the first. A wrong one costs cache lines that nobody needed.

use alloy_primitives::Address;

use crate::{
    storages::StorageId,
    sync::CHECKED,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Guesses that are kept: 512 KiB, for the accounts that most reads are of.
const GUESSES: usize = if cfg!(miri) || CHECKED { 1 << 4 } else { 1 << 16 };

/// An account and its storage, 0 and none if nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guess {
    pub(crate) account: u32,
    pub(crate) storage: StorageId,
}

/// What was last seen of accounts. Those whose addresses end alike share a guess.
#[derive(Debug)]
pub(crate) struct Guesses(Box<[AtomicU64]>);

impl Default for Guesses {
    fn default() -> Self {
        Self((0..GUESSES).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Guesses {
    /// What an account may be.
    #[inline]
    pub(crate) fn guess(&self, address: &Address) -> Guess {
        let word = self.of(address).load(Relaxed);
        Guess {
            account: (word >> 32) as u32,
            storage: StorageId(word as u32),
        }
    }

    /// Notes what an account is, if that was not the guess.
    #[inline]
    pub(crate) fn correct(&self, address: &Address, guess: Guess, known: Guess) {
        if guess != known {
            let word = u64::from(known.account) << 32 | u64::from(known.storage.0);
            self.of(address).store(word, Relaxed);
        }
    }

    #[inline]
    fn of(&self, address: &Address) -> &AtomicU64 {
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
        let nobody = Guess::default();
        let known = [5, u32::MAX].map(|number| Guess {
            account: number - 1,
            storage: StorageId(number),
        });
        assert_eq!(guesses.guess(&one), nobody);
        guesses.correct(&one, nobody, known[0]);
        assert_eq!(guesses.guess(&one), known[0]);
        assert_eq!(guesses.guess(&Address::with_last_byte(2)), nobody);
        guesses.correct(&other, known[0], known[1]);
        assert_eq!(guesses.guess(&one), known[1]);
    }
}
