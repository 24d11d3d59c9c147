//! The plainest state there is: what every view is compared with.

use std::collections::BTreeMap;

use alloy_primitives::{Address, Bytes, U256};
use rapid_primitives::{Account, AccountChange, CodeChange, Fate, ReadState};
use rapid_state::{Credit, Snapshot, VersionGone};

/// Accounts and slots that tests use.
pub(crate) const ADDRESSES: u8 = 6;
pub(crate) const SLOTS: u64 = 5;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model(pub(crate) BTreeMap<Address, (Account, BTreeMap<U256, U256>)>);

pub(crate) fn address(index: u8) -> Address {
    Address::with_last_byte(index + 1)
}

pub(crate) fn code(index: u8) -> CodeChange {
    CodeChange::new(if index == 0 {
        Bytes::new()
    } else {
        Bytes::from(vec![0x60, index, 0x00])
    })
}

pub(crate) fn balance(address: Address, balance: u64) -> AccountChange {
    AccountChange {
        balance: Some(U256::from(balance)),
        ..AccountChange::new(address)
    }
}

pub(crate) fn slots(address: Address, slots: &[(u64, u64)]) -> AccountChange {
    let storage = slots
        .iter()
        .map(|(slot, value)| (U256::from(*slot), U256::from(*value)))
        .collect();
    AccountChange {
        storage,
        ..AccountChange::new(address)
    }
}

/// A contract with a nonce, so that it exists, and slots.
pub(crate) fn contract(address: Address, storage: &[(u64, u64)]) -> AccountChange {
    AccountChange {
        nonce: Some(1),
        ..slots(address, storage)
    }
}

pub(crate) fn removed(address: Address) -> AccountChange {
    AccountChange {
        fate: Fate::Removed,
        ..AccountChange::new(address)
    }
}

pub(crate) fn wiped(address: Address, nonce: u64) -> AccountChange {
    AccountChange {
        fate: Fate::Wiped,
        nonce: Some(nonce),
        balance: Some(U256::ZERO),
        code: Some(code(1)),
        ..AccountChange::new(address)
    }
}

impl Model {
    pub(crate) fn apply(&mut self, changes: &[AccountChange]) {
        for change in changes {
            let before = self.0.remove(&change.address);
            let account = change.apply_to(before.as_ref().map(|(account, _)| *account));
            let mut storage = before.map(|(_, storage)| storage).unwrap_or_default();
            if change.clears_storage() {
                storage.clear();
            }
            storage.extend(change.storage.iter().copied());
            storage.retain(|_, value| !value.is_zero());
            if let Some(account) = account {
                self.0.insert(change.address, (account, storage));
            }
        }
    }

    /// Adds wei to an account; returns what it has then.
    pub(crate) fn credit(&mut self, credit: &Credit) -> U256 {
        if credit.wei.is_zero() {
            return self
                .account(&credit.address)
                .map_or(U256::ZERO, |account| account.balance);
        }
        let (account, _) = self.0.entry(credit.address).or_default();
        account.balance += credit.wei;
        account.balance
    }

    pub(crate) fn account(&self, address: &Address) -> Option<Account> {
        self.0.get(address).map(|(account, _)| *account)
    }

    pub(crate) fn slot(&self, address: &Address, slot: &U256) -> U256 {
        self.0
            .get(address)
            .and_then(|(_, storage)| storage.get(slot))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn slot_count(&self) -> usize {
        self.0.values().map(|(_, storage)| storage.len()).sum()
    }

    /// Reads every key that tests use.
    pub(crate) fn read<R: ReadState>(view: &R) -> Result<Self, R::Error> {
        let mut model = Self::default();
        for index in 0..ADDRESSES {
            let address = address(index);
            let mut storage = BTreeMap::new();
            for slot in (0..SLOTS).map(U256::from) {
                storage.insert(slot, view.storage(&address, &slot)?);
            }
            storage.retain(|_, value| !value.is_zero());
            if let Some(account) = view.account(&address)? {
                assert!(
                    view.code(&account.code_hash)?.is_some(),
                    "code of an account is there"
                );
                model.0.insert(address, (account, storage));
            } else {
                assert!(
                    storage.is_empty(),
                    "an account that does not exist has no storage"
                );
            }
        }
        Ok(model)
    }

    pub(crate) fn scan(snapshot: &Snapshot) -> Result<Self, VersionGone> {
        let mut model = Self::default();
        snapshot.for_each_account(|account| {
            let storage = account.storage().collect::<Result<_, _>>()?;
            let code = account
                .code()
                .map(|code| CodeChange::new(code.original_bytes()).hash);
            assert_eq!(
                code.unwrap_or_else(|| CodeChange::new(Bytes::new()).hash),
                account.account().code_hash
            );
            let twice = model.0.insert(account.address(), (account.account(), storage));
            assert!(twice.is_none(), "each account is met once");
            Ok::<_, VersionGone>(())
        })?;
        Ok(model)
    }
}
