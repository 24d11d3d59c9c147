//! A state that can be written to, over one that cannot.

use std::collections::HashMap;

use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, B256Map},
};
use rapid_primitives::{Account, AccountChange, ReadState, WriteState};
use revm::bytecode::Bytecode;

/// The changes of one block, in memory, over a state that stays as it is.
#[derive(Clone, Debug)]
pub(crate) struct Overlay<S> {
    below: S,
    accounts: AddressMap<Written>,
    codes: B256Map<Bytecode>,
}

/// What was written of an account.
#[derive(Clone, Debug, Default)]
struct Written {
    account: Option<Account>,
    /// The storage below does not count any more.
    cleared: bool,
    slots: HashMap<U256, U256>,
}

impl<S> Overlay<S> {
    /// Nothing written yet.
    pub(crate) fn on(below: S) -> Self {
        Self {
            below,
            accounts: AddressMap::default(),
            codes: B256Map::default(),
        }
    }

    /// Accounts as they are after the changes.
    pub(crate) fn written_accounts(&self) -> impl Iterator<Item = (&Address, Option<Account>)> {
        self.accounts
            .iter()
            .map(|(address, written)| (address, written.account))
    }

    /// Slots as they are after the changes.
    pub(crate) fn written_slots(&self) -> impl Iterator<Item = (&Address, &U256, &U256)> {
        self.accounts.iter().flat_map(|(address, written)| {
            let slots = written.slots.iter();
            slots.map(move |(slot, value)| (address, slot, value))
        })
    }
}

impl<S: ReadState> ReadState for Overlay<S> {
    type Error = S::Error;

    fn account(&self, address: &Address) -> Result<Option<Account>, S::Error> {
        match self.accounts.get(address) {
            Some(written) => Ok(written.account),
            None => self.below.account(address),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, S::Error> {
        let written = self.accounts.get(address);
        match written.and_then(|written| written.slots.get(slot)) {
            Some(value) => Ok(*value),
            None if written.is_some_and(|written| written.cleared) => Ok(U256::ZERO),
            None => self.below.storage(address, slot),
        }
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, S::Error> {
        match self.codes.get(hash) {
            Some(code) => Ok(Some(code.clone())),
            None => self.below.code(hash),
        }
    }
}

impl<S: ReadState> WriteState for Overlay<S> {
    fn apply(&mut self, changes: &[AccountChange]) -> Result<(), S::Error> {
        // All reads first: a change is applied as a whole or not at all.
        let before: Result<Vec<_>, _> = changes
            .iter()
            .map(|change| self.account(&change.address))
            .collect();
        for (change, before) in changes.iter().zip(before?) {
            if let Some(code) = change.code.as_ref().filter(|code| !code.code.is_empty()) {
                self.codes.insert(code.hash, Bytecode::new_raw(code.code.clone()));
            }
            let written = self.accounts.entry(change.address).or_default();
            written.account = change.apply_to(before);
            if change.clears_storage() {
                written.cleared = true;
                written.slots.clear();
            }
            written.slots.extend(change.storage.iter().copied());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rapid_primitives::{CodeChange, Fate};

    use super::*;

    /// Every account is rich and every slot is seven.
    #[derive(Debug)]
    struct Sevens;

    impl ReadState for Sevens {
        type Error = std::convert::Infallible;

        fn account(&self, _: &Address) -> Result<Option<Account>, Self::Error> {
            Ok(Some(Account {
                balance: U256::from(7),
                ..Account::default()
            }))
        }

        fn storage(&self, _: &Address, _: &U256) -> Result<U256, Self::Error> {
            Ok(U256::from(7))
        }

        fn code(&self, _: &B256) -> Result<Option<Bytecode>, Self::Error> {
            Ok(None)
        }
    }

    #[test]
    fn what_is_written_hides_what_is_below() {
        let (address, slot) = (Address::with_last_byte(1), U256::from(1));
        let mut overlay = Overlay::on(Sevens);
        let code = CodeChange::new(vec![0x5b].into());
        let change = AccountChange {
            nonce: Some(3),
            code: Some(code.clone()),
            storage: vec![(slot, U256::ZERO)],
            ..AccountChange::new(address)
        };
        overlay.apply(&[change]).unwrap();
        let account = overlay.account(&address).unwrap().unwrap();
        assert_eq!((account.nonce, account.balance), (3, U256::from(7)));
        assert_eq!(overlay.storage(&address, &slot).unwrap(), U256::ZERO);
        assert_eq!(overlay.storage(&address, &U256::from(2)).unwrap(), U256::from(7));
        assert!(overlay.code(&code.hash).unwrap().is_some());

        let removal = AccountChange {
            fate: Fate::Removed,
            ..AccountChange::new(address)
        };
        overlay.apply(&[removal]).unwrap();
        assert_eq!(overlay.account(&address).unwrap(), None);
        assert_eq!(overlay.storage(&address, &U256::from(2)).unwrap(), U256::ZERO);
        assert_eq!(overlay.written_accounts().count(), 1);
        assert_eq!(overlay.written_slots().count(), 0);
    }
}
