//! The state by ids, as the trie reads it: a version, or a draft.

use alloy_primitives::{Address, U256};
use rapid_primitives::Account;

use crate::{Draft, Snapshot, VersionGone, account::AccountRecord, state::Shared, storages::StorageId};

/// The place of an account in the state: the same in every version and draft, while one of them has the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub(crate) u32);

/// The place of a slot in the state: the same in every version and draft, while one of them has a value for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub(crate) u32);

impl AccountId {
    /// As a number below 2^31, to be stored.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// From the number that [`get`](Self::get) gave.
    #[must_use]
    pub const fn from_stored(number: u32) -> Self {
        Self(number)
    }
}

impl SlotId {
    /// As a number below 2^31, to be stored.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// From the number that [`get`](Self::get) gave.
    #[must_use]
    pub const fn from_stored(number: u32) -> Self {
        Self(number)
    }
}

/// The state after some changes: a version, or a draft.
#[derive(Clone, Debug)]
pub enum StateView {
    /// A version.
    Snapshot(Snapshot),
    /// What is not canonical yet, or was adopted.
    Draft(Draft),
}

impl From<Snapshot> for StateView {
    fn from(snapshot: Snapshot) -> Self {
        Self::Snapshot(snapshot)
    }
}

impl From<Draft> for StateView {
    fn from(draft: Draft) -> Self {
        Self::Draft(draft)
    }
}

impl StateView {
    fn shared(&self) -> &Shared {
        match self {
            Self::Snapshot(snapshot) => snapshot.shared(),
            Self::Draft(draft) => draft.shared(),
        }
    }

    /// Whether the view still answers.
    ///
    /// # Errors
    /// [`VersionGone`] when it is overrun.
    pub fn check(&self) -> Result<(), VersionGone> {
        match self {
            Self::Snapshot(snapshot) => snapshot.checked(()),
            Self::Draft(draft) => draft.check(),
        }
    }

    /// The place of an account. It may not exist in this view.
    #[must_use]
    pub fn account_id(&self, address: &Address) -> Option<AccountId> {
        self.shared().tables.accounts.find(address).map(AccountId)
    }

    /// The place of a slot of a storage. It may be zero in this view.
    #[must_use]
    pub fn slot_id(&self, storage: StorageId, slot: &U256) -> Option<SlotId> {
        if storage.is_none() {
            return None;
        }
        self.shared().tables.slots.find(&(storage, *slot)).map(SlotId)
    }

    /// The address of an account that the view, or one before it, has.
    #[must_use]
    pub fn address(&self, account: AccountId) -> Address {
        self.shared().tables.accounts.entries.key(account.0)
    }

    /// The slot of an id that the view, or one before it, has.
    #[must_use]
    pub fn slot(&self, slot: SlotId) -> U256 {
        self.shared().tables.slots.entries.key(slot.0).1
    }

    /// The storage of an account; none if it does not exist or has none.
    ///
    /// # Errors
    /// [`VersionGone`] when the view is overrun.
    pub fn storage_of(&self, account: AccountId) -> Result<StorageId, VersionGone> {
        match self {
            Self::Snapshot(snapshot) => snapshot.storage_by_id(account.0),
            Self::Draft(_) => Ok(self
                .record(account)?
                .map_or(StorageId::NONE, |record| record.storage)),
        }
    }

    /// The fields of an account; `None` if it does not exist.
    ///
    /// # Errors
    /// [`VersionGone`] when the view is overrun.
    pub fn account(&self, account: AccountId) -> Result<Option<Account>, VersionGone> {
        Ok(self.record(account)?.map(|record| record.account))
    }

    /// The value of a slot.
    ///
    /// # Errors
    /// [`VersionGone`] when the view is overrun.
    pub fn value(&self, slot: SlotId) -> Result<U256, VersionGone> {
        match self {
            Self::Snapshot(snapshot) => snapshot.slot_by_id(slot.0),
            Self::Draft(draft) => draft.slot_by_id(slot.0),
        }
    }

    fn record(&self, account: AccountId) -> Result<Option<AccountRecord>, VersionGone> {
        match self {
            Self::Snapshot(snapshot) => snapshot.record_by_id(account.0),
            // The base keeps the entry, unless it is overrun: the address may be another account's then.
            Self::Draft(draft) => {
                let record = draft.record(&self.address(account))?;
                draft.check().map(|()| record)
            }
        }
    }

    /// Asks for an account to be in the cache soon.
    #[inline]
    pub fn prefetch_account(&self, account: AccountId) {
        self.shared().tables.accounts.entries.prefetch(account.0);
    }

    /// Asks for a slot to be in the cache soon.
    #[inline]
    pub fn prefetch_slot(&self, slot: SlotId) {
        self.shared().tables.slots.entries.prefetch(slot.0);
    }

    /// Asks for what [`slot_id`](Self::slot_id) reads first to be in the cache soon.
    #[inline]
    pub fn prefetch_slot_id(&self, storage: StorageId, slot: &U256) {
        self.shared().tables.slots.prefetch_index(&(storage, *slot));
    }

    /// Asks for what [`account_id`](Self::account_id) reads first to be in the cache soon.
    #[inline]
    pub fn prefetch_account_id(&self, address: &Address) {
        self.shared().tables.accounts.prefetch_index(address);
    }
}
