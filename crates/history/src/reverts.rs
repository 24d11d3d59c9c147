//! What blocks changed, as the values from before.

use std::collections::{BTreeMap, btree_map::Entry};

use alloy_primitives::{Address, U256};
use rapid_primitives::Account;

/// A value from before a change, where there was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past<T> {
    /// It was this.
    Was(T),
    /// Nothing changed it: it was what it is now.
    Unchanged,
}

impl<T> Past<T> {
    /// The value of then, given how to find that of now.
    ///
    /// # Errors
    /// Those of `now`.
    pub fn or_now<E>(self, now: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        match self {
            Self::Was(value) => Ok(value),
            Self::Unchanged => now(),
        }
    }
}

/// One account before a block that changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRevert {
    /// The account.
    pub address: Address,
    /// Its fields, [`Past::Unchanged`] when only slots changed; `None` when it did not exist.
    pub account: Past<Option<Account>>,
    /// Slots that changed with the values before, each slot once; zero when the slot was empty. A block that cleared the
    /// account's storage changed all slots that were not zero.
    pub storage: Vec<(U256, U256)>,
}

/// Everything that a block, or a run of blocks, changed in the state, as the values from before. Written over the state
/// after the block, they give the state before it.
///
/// In order: by address, and by slot within an account; no address and no slot of an account is there twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockReverts {
    accounts: Vec<AccountRevert>,
}

impl BlockReverts {
    /// Puts the accounts and their slots in order.
    ///
    /// # Panics
    /// If an address, or a slot of an account, is given twice: which value is the one from before is then unknown, and
    /// the past state would be wrong.
    #[must_use]
    pub fn new(mut accounts: Vec<AccountRevert>) -> Self {
        accounts.sort_unstable_by_key(|revert| revert.address);
        let distinct = |pair: &[AccountRevert]| pair[0].address != pair[1].address;
        assert!(accounts.windows(2).all(distinct), "an account is reverted twice");
        for revert in &mut accounts {
            revert.storage.sort_unstable_by_key(|(slot, _)| *slot);
            let distinct = |pair: &[(U256, U256)]| pair[0].0 != pair[1].0;
            assert!(
                revert.storage.windows(2).all(distinct),
                "a slot of {} is reverted twice",
                revert.address
            );
        }
        Self { accounts }
    }

    /// What several blocks changed together, given oldest first and without a gap: of each value the oldest.
    #[must_use]
    pub fn merged<'a>(oldest_first: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut net = NetReverts::default();
        for revert in oldest_first.into_iter().flat_map(|reverts| &reverts.accounts) {
            let account = net.account(revert.address);
            if account.fields == Past::Unchanged {
                account.fields = revert.account;
            }
            for (slot, before) in &revert.storage {
                account.storage.entry(*slot).or_insert(*before);
            }
        }
        net.into_reverts()
    }

    /// The accounts in order.
    #[must_use]
    pub fn accounts(&self) -> &[AccountRevert] {
        &self.accounts
    }

    /// The accounts in order, by value.
    #[must_use]
    pub fn into_accounts(self) -> Vec<AccountRevert> {
        self.accounts
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }
}

/// Reverts of several blocks, collected from the oldest to the newest: what is there is older and stays.
#[derive(Debug, Default)]
pub(crate) struct NetReverts(BTreeMap<Address, NetAccount>);

/// One account of [`NetReverts`].
#[derive(Debug)]
pub(crate) struct NetAccount {
    pub(crate) fields: Past<Option<Account>>,
    pub(crate) storage: BTreeMap<U256, U256>,
}

impl NetReverts {
    pub(crate) fn account(&mut self, address: Address) -> &mut NetAccount {
        match self.0.entry(address) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(NetAccount {
                fields: Past::Unchanged,
                storage: BTreeMap::new(),
            }),
        }
    }

    pub(crate) fn into_reverts(self) -> BlockReverts {
        let revert = |(address, net): (Address, NetAccount)| AccountRevert {
            address,
            account: net.fields,
            storage: net.storage.into_iter().collect(),
        };
        BlockReverts {
            accounts: self.0.into_iter().map(revert).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revert(address: u8, nonce: Option<u64>, storage: &[(u64, u64)]) -> AccountRevert {
        let account = |nonce| Account {
            nonce,
            ..Account::default()
        };
        let pair = |(slot, before): &(u64, u64)| (U256::from(*slot), U256::from(*before));
        AccountRevert {
            address: Address::repeat_byte(address),
            account: nonce.map_or(Past::Unchanged, |nonce| Past::Was(Some(account(nonce)))),
            storage: storage.iter().map(pair).collect(),
        }
    }

    #[test]
    fn the_oldest_value_of_each_key_wins() {
        let older = BlockReverts::new(vec![revert(2, None, &[(9, 1), (3, 0)]), revert(1, Some(4), &[])]);
        let newer = BlockReverts::new(vec![
            revert(1, Some(5), &[(1, 1)]),
            revert(2, Some(7), &[(3, 8), (4, 2)]),
        ]);
        let net = BlockReverts::new(vec![
            revert(1, Some(4), &[(1, 1)]),
            revert(2, Some(7), &[(3, 0), (4, 2), (9, 1)]),
        ]);
        assert_eq!(BlockReverts::merged([&older, &newer]), net);
        assert_eq!(BlockReverts::merged([&older]), older);
        assert!(BlockReverts::merged([]).is_empty());
    }

    #[test]
    #[should_panic(expected = "an account is reverted twice")]
    fn an_account_given_twice_is_refused() {
        let _ = BlockReverts::new(vec![revert(1, Some(1), &[]), revert(1, Some(2), &[])]);
    }

    #[test]
    #[should_panic(expected = "is reverted twice")]
    fn a_slot_given_twice_is_refused() {
        let _ = BlockReverts::new(vec![revert(1, None, &[(1, 1), (2, 0), (1, 2)])]);
    }
}
