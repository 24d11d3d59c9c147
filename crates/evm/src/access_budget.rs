//! How many addresses and slots a block in the making may still touch (EIP-7928).

use alloy_eip7928::{AccountChanges, ITEM_COST};
use alloy_primitives::map::HashSet;

use crate::AccessedKey;

/// Kept for what follows the transactions: the queues of requests that the system contracts take from.
///
/// Those of withdrawals and consolidations take at most 16 times three slots and twice four (EIP-7002, EIP-7251), and have four
/// more each; of builders there may be more (EIP-8282).
const END_MAX: u64 = 1_024;

/// At most this part of the limit is kept for the end: a block of little gas has to have room for transactions.
const END_SHARE: u64 = 8;

/// Keys that a transaction touches without paying [`ITEM_COST`] for each: sender, recipient and beneficiary, and the
/// precompiles, which are warm. No fork has more of them.
const UNPAID: u64 = 3 + 32;

/// The keys that a block has touched, and how many it may.
#[derive(Debug)]
pub(crate) struct AccessBudget {
    touched: HashSet<AccessedKey>,
    /// For transactions and what precedes them.
    max: u64,
    /// For all.
    limit: u64,
}

impl AccessBudget {
    pub(crate) fn new(gas_limit: u64) -> Self {
        let limit = gas_limit / ITEM_COST as u64;
        Self {
            touched: HashSet::default(),
            max: limit - END_MAX.min(limit / END_SHARE),
            limit,
        }
    }

    /// Notes that a key is touched. Never refused: what was executed was asked for before.
    pub(crate) fn note(&mut self, key: AccessedKey) {
        self.touched.insert(key);
    }

    /// Notes what was touched before a restart.
    pub(crate) fn note_list(&mut self, list: &[AccountChanges]) {
        for account in list {
            let slots = account
                .storage_slots()
                .chain(account.storage_reads.iter().copied());
            slots.for_each(|slot| self.note(AccessedKey::Slot(account.address, slot)));
            self.note(AccessedKey::Account(account.address));
        }
    }

    /// How many more keys transactions may touch.
    pub(crate) fn left(&self) -> u64 {
        self.max.saturating_sub(self.touched.len() as u64)
    }

    /// Whether a transaction that touched these is left to another block: how many of them are new and how many may be.
    pub(crate) fn check(&self, keys: impl Iterator<Item = AccessedKey>) -> Result<(), (u64, u64)> {
        let new = keys.filter(|key| !self.touched.contains(key)).count() as u64;
        match new <= self.left() {
            true => Ok(()),
            false => Err((new, self.left())),
        }
    }

    /// Whether a finished block touched more than a block may: how many, and how many it may.
    pub(crate) fn check_end(&self) -> Result<(), (u64, u64)> {
        let touched = self.touched.len() as u64;
        match touched <= self.limit {
            true => Ok(()),
            false => Err((touched, self.limit)),
        }
    }
}

/// The most that a transaction can touch with so much gas for execution: nothing that is cold costs less than [`ITEM_COST`]
/// (EIP-8038).
pub(crate) const fn most_accesses(execution_gas: u64) -> u64 {
    execution_gas / ITEM_COST as u64 + UNPAID
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, U256};

    use super::*;

    fn slot(number: u64) -> AccessedKey {
        AccessedKey::Slot(Address::ZERO, U256::from(number))
    }

    #[test]
    fn keys_count_once_and_some_are_kept_for_the_end() {
        let mut budget = AccessBudget::new(80 * ITEM_COST as u64);
        (0..60).for_each(|number| budget.note(slot(number)));
        budget.note(slot(3));
        assert_eq!(budget.left(), 10, "ten more are for the end");
        assert_eq!(budget.check((50..70).map(slot)), Ok(()));
        assert_eq!(budget.check((50..71).map(slot)), Err((11, 10)));
        (60..80).for_each(|number| budget.note(slot(number)));
        assert_eq!((budget.left(), budget.check_end()), (0, Ok(())));
        budget.note(AccessedKey::Account(Address::ZERO));
        assert_eq!(budget.check_end(), Err((81, 80)));
    }
}
