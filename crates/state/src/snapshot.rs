//! One version of the state, held by a lease.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use rapid_primitives::{Account, CommitSequence, ReadState};
use revm::bytecode::Bytecode;

use crate::{
    State, VersionGone,
    cell::{AccountRecord, Cell, StorageId},
    lease::Lease,
    shards::{AccountShard, SlotCells},
    state::Shared,
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

    /// Fails when the version is overrun.
    ///
    /// To be asked after reading and with the shard still locked: trimming raises the floor before it locks a shard,
    /// so a floor that is not above the version then says that nothing was missing from the shard.
    fn check(&self) -> Result<(), VersionGone> {
        if self.shared.leases.floor() > self.lease.version() {
            return Err(self.shared.version_gone(self.lease.version()));
        }
        Ok(())
    }

    /// Reads a shard of accounts at this version.
    pub(crate) fn read_accounts<T>(
        &self,
        shard: usize,
        read: impl FnOnce(&AccountShard) -> T,
    ) -> Result<T, VersionGone> {
        let cells = self.shared.tables.accounts[shard].0.read();
        let answer = read(&cells);
        self.check()?;
        Ok(answer)
    }

    /// Reads the part of a storage that is in one shard at this version; `None` when it has no slot there.
    pub(crate) fn read_slots<T>(
        &self,
        shard: usize,
        storage_id: StorageId,
        read: impl FnOnce(&SlotCells) -> T,
    ) -> Result<Option<T>, VersionGone> {
        let cells = self.shared.tables.slots[shard].0.read();
        let answer = cells.get(&storage_id).map(read);
        self.check()?;
        Ok(answer)
    }

    pub(crate) fn record(&self, address: &Address) -> Result<Option<AccountRecord>, VersionGone> {
        let at = |cell: &Cell<_>| cell.at(self.lease.version());
        self.read_accounts(self.shared.tables.account_shard(address), |cells| {
            cells.get(address).and_then(at)
        })
    }
}

impl ReadState for Snapshot {
    type Error = VersionGone;

    fn account(&self, address: &Address) -> Result<Option<Account>, VersionGone> {
        Ok(self.record(address)?.map(|record| record.account))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, VersionGone> {
        let storage_id = self.record(address)?.map_or(0, |record| record.storage_id);
        if storage_id == 0 {
            return Ok(U256::ZERO);
        }
        let at = |cell: &Cell<_>| cell.at(self.lease.version());
        let shard = self.shared.tables.slot_shard(address, slot);
        let value = self.read_slots(shard, storage_id, |cells| cells.get(slot).map_or(U256::ZERO, at))?;
        Ok(value.unwrap_or(U256::ZERO))
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, VersionGone> {
        Ok(self.shared.codes.get(hash))
    }
}
