//! A draft as many threads read it at once.

use std::sync::Arc;

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use rapid_primitives::{Account, ReadState};
use revm::bytecode::Bytecode;

use super::{Base, Draft, Layer};
use crate::{Snapshot, VersionGone, account::AccountRecord, storages::StorageId, tables::Tables};

/// A draft as it was when the reader was made, without a lock on the way.
///
/// A draft finds what is below it through a lock, since a base that is adopted is exchanged for its version. The words of
/// those locks would go from core to core with every read, so a reader looks up once what is below. It keeps that alive.
#[derive(Clone, Debug)]
pub struct DraftReader {
    /// Newest first.
    layers: Vec<Arc<Layer>>,
    snapshot: Snapshot,
}

impl Draft {
    /// A reader of the draft as it is now, for any number of threads.
    #[must_use]
    pub fn reader(&self) -> DraftReader {
        let mut layers = vec![Arc::clone(&self.layer)];
        loop {
            let lowest = layers.last().expect("begins with one and only grows");
            let below = match &*lowest.base.read() {
                Base::Snapshot(snapshot) => Err(snapshot.clone()),
                Base::Draft(parent) => Ok(Arc::clone(parent)),
            };
            match below {
                Ok(parent) => layers.push(parent),
                Err(snapshot) => {
                    // A layer that changed nothing has no answer to any question.
                    layers.retain(|layer| !layer.is_empty());
                    return DraftReader { layers, snapshot };
                }
            }
        }
    }
}

impl Layer {
    fn is_empty(&self) -> bool {
        self.shards.is_empty() && self.codes.is_empty()
    }
}

impl DraftReader {
    /// Whether the account has had a slot with a value since it was last wiped. Its slots may all be zero by now.
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot below is overrun.
    pub fn has_storage(&self, address: &Address) -> Result<bool, VersionGone> {
        let record = self.record(address)?;
        Ok(record.is_some_and(|record| !record.storage.is_none()))
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.snapshot.shared().tables
    }

    pub(super) fn record(&self, address: &Address) -> Result<Option<AccountRecord>, VersionGone> {
        let known = self.layers.iter().find_map(|layer| layer.shards.account(address));
        match known {
            Some(account) => Ok(account.after),
            None => self.snapshot.record(address),
        }
    }

    pub(super) fn slot_by_id(&self, id: u32) -> Result<U256, VersionGone> {
        match self.layers.iter().find_map(|layer| layer.shards.slot(id)) {
            Some(slot) if slot.before.is_zero() => Ok(slot.after),
            // A version keeps the entry, not the draft. If it is overrun the id may be another slot's by now.
            Some(slot) => self.snapshot.checked(slot.after),
            None => self.snapshot.slot_by_id(id),
        }
    }
}

impl ReadState for DraftReader {
    type Error = VersionGone;

    fn account(&self, address: &Address) -> Result<Option<Account>, VersionGone> {
        Ok(self.record(address)?.map(|record| record.account))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, VersionGone> {
        let record = self.record(address)?;
        let storage = record.map_or(StorageId::NONE, |record| record.storage);
        if storage.is_none() {
            return Ok(U256::ZERO);
        }
        match self.snapshot.shared().tables.slots.find(&(storage, *slot)) {
            Some(id) => self.slot_by_id(id),
            // An entry that a version had a value in is gone only if the version is.
            None => self.snapshot.checked(U256::ZERO),
        }
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, VersionGone> {
        if *hash == KECCAK256_EMPTY {
            return Ok(Some(Bytecode::default()));
        }
        match self.layers.iter().find_map(|layer| layer.codes.get(hash)) {
            Some(code) => Ok(Some(code.clone())),
            None => ReadState::code(&self.snapshot, hash),
        }
    }
}
