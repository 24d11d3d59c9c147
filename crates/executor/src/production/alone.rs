//! Those that have to run while nothing else does, and whose turn it is.
//!
//! While one runs, all workers stand still, so who hands out gives them a small part of the time. Somebody who sends nothing
//! else must not have all of that: whose sender was let run least comes first.

use std::collections::VecDeque;

use alloy_consensus::Transaction;
use alloy_primitives::{Address, map::AddressMap};

use super::job::{Class, Job};

/// Senders whose use is remembered; when there are more, all is forgotten. Each took a turn while everybody else waited, so that
/// many in a block are not to be had.
const SENDERS_MAX: usize = 1_024;

/// Those that wait, one of each sender, and the later ones of their senders.
#[derive(Debug)]
pub(crate) struct Alone<J> {
    waiting: VecDeque<J>,
    /// Later transactions of those who wait: as many as whoever hands out may have of one sender.
    behind: AddressMap<Vec<(J, Class)>>,
    /// By sender: the limits of the gas of those that were let run. Half of it is forgotten with every block.
    used: AddressMap<u64>,
}

impl<J> Default for Alone<J> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            behind: AddressMap::default(),
            used: AddressMap::default(),
        }
    }
}

impl<J: Job> Alone<J> {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Adds a transaction of a sender of whom none waits, and later ones of the sender, by nonce.
    pub(crate) fn add(&mut self, job: J, behind: impl Iterator<Item = (J, Class)>) {
        let none = self.behind.insert(job.sender(), behind.collect());
        debug_assert!(none.is_none(), "of a sender one waits, and others wait behind it");
        self.waiting.push_back(job);
    }

    /// Keeps a transaction if one of its sender waits, or else gives it back.
    pub(crate) fn keep_behind(&mut self, job: J, class: Class) -> Option<J> {
        match self.behind.get_mut(&job.sender()) {
            Some(behind) => {
                behind.push((job, class));
                None
            }
            None => Some(job),
        }
    }

    /// Takes the one whose turn it is.
    pub(crate) fn next(&mut self) -> Option<J> {
        let used = |job: &J| self.used.get(&job.sender()).copied().unwrap_or_default();
        let (position, _) = self.waiting.iter().enumerate().min_by_key(|(_, job)| used(job))?;
        let job = self.waiting.remove(position)?;
        if self.used.len() >= SENDERS_MAX {
            self.used.clear();
        }
        let used = self.used.entry(job.sender()).or_default();
        *used = used.saturating_add(job.transaction().gas_limit());
        Some(job)
    }

    /// Takes the later ones of a sender whose transaction was taken.
    pub(crate) fn take_behind(&mut self, sender: &Address) -> Vec<(J, Class)> {
        self.behind.remove(sender).unwrap_or_default()
    }

    /// Forgets half of who was let run. Once per block.
    pub(crate) fn decay(&mut self) {
        self.used.retain(|_, used| {
            *used /= 2;
            *used > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use alloy_consensus::{Signed, TxLegacy};
    use alloy_primitives::Signature;
    use rapid_primitives::TransactionSigned;

    use super::*;

    type Signer = Arc<(TransactionSigned, Address)>;

    fn job(sender: u8, nonce: u64) -> Signer {
        let transaction = TxLegacy {
            nonce,
            gas_limit: 1_000_000,
            ..TxLegacy::default()
        };
        let transaction = Signed::new_unhashed(transaction, Signature::test_signature());
        Arc::new((transaction.into(), Address::with_last_byte(sender)))
    }

    fn next(alone: &mut Alone<Signer>) -> Option<(u8, u64)> {
        alone.next().map(|job| (job.1[19], job.0.nonce()))
    }

    #[test]
    fn whoever_ran_least_is_next_and_of_a_sender_one_waits() {
        let mut alone = Alone::default();
        // Three who send nothing else have had a turn and are there again.
        for sender in 1..=3 {
            alone.add(
                job(sender, 0),
                std::iter::once((job(sender, 1), Class::default())),
            );
        }
        for sender in 1..=3 {
            assert_eq!(next(&mut alone), Some((sender, 0)));
            assert!(alone.keep_behind(job(sender, 2), Class::default()).is_none());
            let mut behind = alone.take_behind(&Address::with_last_byte(sender));
            assert_eq!(behind.len(), 2);
            let (first, _) = behind.remove(0);
            assert!(alone.keep_behind(first.clone(), Class::default()).is_some());
            alone.add(first, behind.into_iter());
        }
        alone.add(job(4, 0), std::iter::empty());
        assert_eq!(next(&mut alone), Some((4, 0)), "it is its first");
        assert_eq!(next(&mut alone), Some((1, 1)));
        assert_eq!(alone.len(), 2);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let mut alone = Alone::default();
        for number in 0..3 * SENDERS_MAX {
            let sender = Address::left_padding_from(&number.to_be_bytes());
            alone.add(Arc::new((job(0, 0).0.clone(), sender)), std::iter::empty());
            assert!(alone.next().is_some());
            assert!(alone.used.len() <= SENDERS_MAX);
        }
        (0..30).for_each(|_| alone.decay());
        assert!(alone.used.is_empty());
    }
}
