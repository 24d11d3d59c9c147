//! What a draft becomes, worked out in parts by many threads at once.
//!
//! Most of what applying changes costs is looking for keys in the state, which every part does by itself; putting the parts
//! together only fills the maps.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use rapid_primitives::AccountChange;
use revm::bytecode::Bytecode;

use super::{Base, Draft, DraftAccount, DraftReader, DraftSlot, Layer};
use crate::{
    VersionGone, code, reservation::Reservations, state::Shared, storages::StorageId, sync::atomic::AtomicU64,
};

/// A draft as it was, for threads that work out what it becomes.
#[derive(Clone, Debug)]
pub struct DraftParts {
    own: Arc<Layer>,
    below: DraftReader,
}

/// Some of what a draft becomes.
#[derive(Debug)]
pub struct DraftPart {
    accounts: Vec<(Address, DraftAccount)>,
    slots: Vec<(u32, DraftSlot)>,
    codes: Vec<(B256, Bytecode)>,
    reserved: Reservations,
}

impl Draft {
    /// The draft as it is now, for threads that work out what it becomes.
    #[must_use]
    pub fn parts(&self) -> DraftParts {
        let below = match &*self.layer.base.read() {
            Base::Snapshot(snapshot) => Self::begin(snapshot.clone()).reader(),
            Base::Draft(parent) => Self {
                layer: Arc::clone(parent),
            }
            .reader(),
        };
        DraftParts {
            own: Arc::clone(&self.layer),
            below,
        }
    }

    /// Applies what was worked out of the draft as it is. No two parts have the same account or the same slot.
    ///
    /// A draft that was adopted is then again one that was not, on its old base.
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot below is overrun; the draft is then of no more use.
    pub fn take_in(&mut self, parts: Vec<DraftPart>) -> Result<(), VersionGone> {
        let layer = Arc::make_mut(&mut self.layer);
        layer.adopted = AtomicU64::new(0);
        layer
            .accounts
            .reserve(parts.iter().map(|part| part.accounts.len()).sum());
        layer
            .slots
            .reserve(parts.iter().map(|part| part.slots.len()).sum());
        for part in parts {
            layer.accounts.extend(part.accounts);
            layer.slots.extend(part.slots);
            layer.codes.extend(part.codes);
            layer.reserved.absorb(part.reserved);
        }
        layer.check()
    }
}

impl DraftParts {
    /// What changes make of the accounts they are of. One that changes nothing is touched nevertheless.
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot below is overrun.
    pub fn changed(&self, changes: &[AccountChange]) -> Result<DraftPart, VersionGone> {
        let mut part = DraftPart::empty(&self.own);
        for change in changes {
            let mut account = self.account(&change.address)?;
            let storage = account.change(change, &mut part.reserved);
            part.accounts.push((change.address, account));
            if let Some(new) = change.code.as_ref().filter(|new| !new.code.is_empty()) {
                part.codes.push((new.hash, code::analyse(new)));
            }
            if let Some(storage) = storage {
                self.write(&mut part, storage, &change.storage)?;
            }
        }
        Ok(part)
    }

    /// What writing makes of some slots of an account that has storage, and whose storage is not ended at the same time.
    /// Another part must have the account, as one that is touched.
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot below is overrun.
    ///
    /// # Panics
    /// If the account has no storage.
    pub fn written(&self, address: &Address, slots: &[(U256, U256)]) -> Result<DraftPart, VersionGone> {
        let account = self.account(address)?;
        let storage = account.after.map_or(StorageId::NONE, |after| after.storage);
        assert!(!storage.is_none(), "{address} has no storage");
        let mut part = DraftPart::empty(&self.own);
        self.write(&mut part, storage, slots)?;
        Ok(part)
    }

    fn account(&self, address: &Address) -> Result<DraftAccount, VersionGone> {
        match self.own.accounts.get(address) {
            Some(account) => Ok(*account),
            None => Ok(DraftAccount::untouched(self.below.record(address)?)),
        }
    }

    fn write(
        &self,
        part: &mut DraftPart,
        storage: StorageId,
        slots: &[(U256, U256)],
    ) -> Result<(), VersionGone> {
        let shared: &Shared = self.own.reserved.shared();
        let made = [&self.own.reserved, &part.reserved];
        let made_here = made.iter().any(|reserved| reserved.storages().contains(&storage));
        for (slot, value) in slots {
            let known = shared.tables.slots.find(&(storage, *slot));
            if let Some((id, written)) = known.and_then(|id| Some((id, self.own.slots.get(&id)?))) {
                let written = DraftSlot {
                    after: *value,
                    ..*written
                };
                part.slots.push((id, written));
                continue;
            }
            let before = match known {
                Some(id) if !made_here => self.below.slot_by_id(id)?,
                _ => U256::ZERO,
            };
            let written = DraftSlot {
                storage,
                slot: *slot,
                before,
                after: *value,
            };
            if let Some(id) = written.entry(known, &mut part.reserved) {
                part.slots.push((id, written));
            }
        }
        Ok(())
    }
}

impl DraftPart {
    fn empty(layer: &Layer) -> Self {
        Self {
            accounts: Vec::new(),
            slots: Vec::new(),
            codes: Vec::new(),
            reserved: Reservations::new(Arc::clone(layer.reserved.shared())),
        }
    }
}
