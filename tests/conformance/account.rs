//! Accounts as all three formats write them.

use std::collections::BTreeMap;

use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use rapid_primitives::{AccountChange, CodeChange, Fate};
use serde::Deserialize;

/// An account with all of its storage.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Account {
    pub(crate) nonce: U64,
    pub(crate) balance: U256,
    pub(crate) code: Bytes,
    pub(crate) storage: BTreeMap<U256, U256>,
}

/// Accounts by address.
pub(crate) type Accounts = BTreeMap<Address, Account>;

impl Account {
    /// The account in a genesis.
    pub(crate) fn to_genesis(&self) -> GenesisAccount {
        let storage = self
            .storage
            .iter()
            .map(|(slot, value)| (B256::from(*slot), B256::from(*value)));
        GenesisAccount::default()
            .with_nonce(Some(self.nonce.to()))
            .with_balance(self.balance)
            .with_code(Some(self.code.clone()).filter(|code| !code.is_empty()))
            .with_storage(Some(storage.collect()))
    }

    /// The account as a change of the empty state.
    pub(crate) fn to_change(&self, address: Address) -> AccountChange {
        let is_empty = self.nonce.is_zero() && self.balance.is_zero() && self.code.is_empty();
        AccountChange {
            address,
            fate: if is_empty { Fate::CreatedEmpty } else { Fate::Kept },
            nonce: Some(self.nonce.to()),
            balance: Some(self.balance),
            code: Some(CodeChange::new(self.code.clone())).filter(|code| !code.code.is_empty()),
            storage: self.slots().collect(),
        }
    }

    /// Its slots that are not zero.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (U256, U256)> + '_ {
        self.storage
            .iter()
            .filter(|(_, value)| !value.is_zero())
            .map(|(slot, value)| (*slot, *value))
    }

    /// Whether it has storage without being a contract, which EIP-7610 is about.
    pub(crate) fn is_storage_without_contract(&self) -> bool {
        self.code.is_empty() && self.nonce.is_zero() && self.slots().next().is_some()
    }
}
