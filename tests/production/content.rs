//! Everything that a version of the state holds, in a form that can be compared and loaded again.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use rapid_primitives::{AccountChange, CodeChange, Fate};
use rapid_state::{ReadSet, Snapshot, State, StateConfig, StateView};
use rapid_trie::{Forest, StateTrie};

use crate::Fault;

/// Memory that the trie of a test's state may take; it takes address space only.
const FOREST_BYTES_MAX: u64 = 1 << 30;

/// The content of a state: its accounts as changes of the empty one, by address, their slots in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content(Vec<AccountChange>);

impl Content {
    /// The content that these changes of the empty state make.
    #[must_use]
    pub fn new(accounts: impl IntoIterator<Item = AccountChange>) -> Self {
        let mut accounts: Vec<_> = accounts.into_iter().collect();
        accounts.sort_unstable_by_key(|account| account.address);
        for account in &mut accounts {
            account.storage.sort_unstable();
        }
        Self(accounts)
    }

    /// Everything that a version holds.
    ///
    /// # Errors
    /// If the version is not there any more.
    pub(crate) fn of(version: &Snapshot) -> Result<Self, Fault> {
        let mut slots: BTreeMap<Address, Vec<(U256, U256)>> = BTreeMap::new();
        for slot in version.slots() {
            let slot = slot?;
            slots
                .entry(slot.address)
                .or_default()
                .push((slot.slot, slot.value));
        }
        let mut accounts = Vec::new();
        for scanned in version.accounts() {
            let scanned = scanned?;
            let (address, account) = (scanned.address(), scanned.account());
            accounts.push(AccountChange {
                address,
                fate: if account.is_empty() {
                    Fate::CreatedEmpty
                } else {
                    Fate::Kept
                },
                nonce: Some(account.nonce),
                balance: Some(account.balance),
                code: scanned.code().map(|code| CodeChange::new(code.original_bytes())),
                storage: slots.remove(&address).unwrap_or_default(),
            });
        }
        Ok(Self::new(accounts))
    }

    /// A state that holds this, and that nobody else has: a version that is published.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(crate) fn state(&self) -> Result<State, Fault> {
        let state = State::new(StateConfig::default())?;
        let version = state.commit(&ReadSet::new(), &self.0)?;
        state.publish(version);
        Ok(state)
    }

    /// The root of the state, computed from nothing but this, the content of `version`.
    ///
    /// # Errors
    /// If there is no memory for the trie.
    pub(crate) fn root(&self, version: &Snapshot) -> Result<B256, Fault> {
        let forest = Forest::new(FOREST_BYTES_MAX)?;
        let view = StateView::from(version.clone());
        let mut trie = StateTrie::empty(&forest, view.clone());
        trie.apply(view, &self.0)?;
        Ok(trie.root()?)
    }

    /// The first account that differs, here and there.
    pub(crate) fn difference<'a>(
        &'a self,
        other: &'a Self,
    ) -> Option<(Option<&'a AccountChange>, Option<&'a AccountChange>)> {
        let by_address = |content: &'a Self| -> BTreeMap<Address, &'a AccountChange> {
            content
                .0
                .iter()
                .map(|account| (account.address, account))
                .collect()
        };
        let (here, there) = (by_address(self), by_address(other));
        let addresses = here.keys().chain(there.keys());
        addresses
            .map(|address| (here.get(address).copied(), there.get(address).copied()))
            .find(|(here, there)| here != there)
    }
}
