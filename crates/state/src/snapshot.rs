//! One version of the state, held by a lease.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use rapid_primitives::{Account, CommitSequence, ReadState};
use revm::bytecode::Bytecode;

use crate::{
    State, VersionGone,
    account::{AccountRecord, storage_of},
    entry::Value,
    lease::Lease,
    state::Shared,
    storages::StorageId,
    sync::atomic::{Ordering::Acquire, fence},
};

/// One version of the state. It does not change, whoever commits or rewinds.
///
/// Clones share the lease, which ends when the last is dropped. A snapshot that is held so long that the past it needs
/// passes the configured bounds is overrun: every read answers [`VersionGone`] from then on.
#[derive(Clone, Debug)]
pub struct Snapshot {
    shared: Arc<Shared>,
    lease: Arc<Lease>,
}

impl Snapshot {
    pub(crate) const fn new(shared: Arc<Shared>, lease: Arc<Lease>) -> Self {
        Self { shared, lease }
    }

    /// The version.
    #[must_use]
    pub fn sequence(&self) -> CommitSequence {
        CommitSequence(self.lease.version())
    }

    /// The state this is a version of.
    #[must_use]
    pub fn state(&self) -> State {
        State(Arc::clone(&self.shared))
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn version(&self) -> u64 {
        self.lease.version()
    }

    /// Passes an answer on, unless the version is overrun.
    ///
    /// To be asked after reading: trimming raises the floor before it forgets anything, so a floor that is not above the
    /// version then says that nothing was missing.
    pub(crate) fn checked<T>(&self, answer: T) -> Result<T, VersionGone> {
        // What the answer was read from was read before the floor is. Whoever wrote over what was forgotten has a release fence, or a
        // releasing store, between learning that it was and writing.
        fence(Acquire);
        if self.shared.leases.floor() > self.lease.version() {
            return Err(self.shared.version_gone(self.lease.version()));
        }
        Ok(answer)
    }

    fn account_value(&self, address: &Address) -> Value {
        self.shared.tables.account_value_at(address, self.version())
    }

    pub(crate) fn record(&self, address: &Address) -> Result<Option<AccountRecord>, VersionGone> {
        self.checked(self.shared.tables.parts.decode(&self.account_value(address)))
    }

    pub(crate) fn record_by_id(&self, account: u32) -> Result<Option<AccountRecord>, VersionGone> {
        let tables = &self.shared.tables;
        let cell = tables.accounts.entries.read(account).map(|(_, cell)| cell);
        self.checked(tables.parts.decode(&tables.cell_at(cell, self.version())))
    }

    pub(crate) fn storage_by_id(&self, account: u32) -> Result<StorageId, VersionGone> {
        let tables = &self.shared.tables;
        let cell = tables.accounts.entries.read(account).map(|(_, cell)| cell);
        self.checked(storage_of(&tables.cell_at(cell, self.version())))
    }

    pub(crate) fn slot_by_id(&self, slot: u32) -> Result<U256, VersionGone> {
        let tables = &self.shared.tables;
        let cell = tables.slots.entries.read(slot).map(|(_, cell)| cell);
        self.checked(U256::from_limbs(tables.cell_at(cell, self.version())))
    }

    /// Reads many slots. Searches overlap in memory, so it takes a third of the time that one after the other takes.
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot is overrun.
    pub fn storage_many(&self, keys: &[(Address, U256)]) -> Result<Vec<U256>, VersionGone> {
        self.checked(self.shared.tables.slots_many_at(keys, self.version()))
    }
}

impl ReadState for Snapshot {
    type Error = VersionGone;

    fn account(&self, address: &Address) -> Result<Option<Account>, VersionGone> {
        Ok(self.record(address)?.map(|record| record.account))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, VersionGone> {
        let tables = &self.shared.tables;
        let storage = tables.storage_at(address, slot, self.version());
        self.checked(tables.slot_at(storage, slot, self.version()))
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, VersionGone> {
        Ok(self.shared.tables.parts.codes.get(hash))
    }
}
