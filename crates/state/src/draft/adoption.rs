//! Adopting drafts: what they say becomes the newest state, in one commit.

use alloy_primitives::map::{HashMap, HashSet};
use rapid_primitives::CommitSequence;

use super::{DraftSlot, Layer};
use crate::{
    account::AccountRecord,
    batch::{HeldAccount, HeldSlot},
    commit::Writing,
    state::Shared,
    storages::StorageId,
};

impl Shared {
    /// Commits what drafts say, each on the one before it, if the newest state is that of version `base`.
    ///
    /// # Errors
    /// The newest sequence, if it is not; nothing was written.
    pub(super) fn adopt<'a>(
        &self,
        base: u64,
        layers: impl Iterator<Item = &'a Layer>,
    ) -> Result<CommitSequence, CommitSequence> {
        let mut all = self.writers.all();
        let newest = self.cut_now(&mut all);
        {
            let rewinds = self.rewinds.lock();
            if rewinds.origin(base) != rewinds.origin(newest.0) {
                return Err(newest);
            }
        }
        let adoption = Adoption::of(self, layers);
        let sequence = self.take_sequence();
        let writing = Writing {
            shared: self,
            ring: &mut all.first().ring,
            sequence,
            cut: newest.0,
        };
        adoption.write(writing);
        Ok(self.cut_now(&mut all))
    }
}

/// What adopting drafts writes.
struct Adoption {
    accounts: HashMap<u32, Option<AccountRecord>>,
    slots: HashMap<u32, DraftSlot>,
    /// Storages that the drafts made.
    made: Vec<StorageId>,
}

impl Adoption {
    fn of<'a>(shared: &Shared, layers: impl Iterator<Item = &'a Layer>) -> Self {
        let mut adoption = Self {
            accounts: HashMap::default(),
            slots: HashMap::default(),
            made: Vec::new(),
        };
        let tables = &shared.tables;
        for layer in layers {
            tables
                .parts
                .codes
                .insert(layer.codes.iter().map(|(hash, code)| (*hash, code.clone())));
            for (address, account) in layer.shards.accounts() {
                // Without an entry it has not existed, before or after.
                if let Some(id) = account.id.or_else(|| tables.accounts.find(address)) {
                    adoption.accounts.insert(id, account.after);
                }
            }
            adoption
                .slots
                .extend(layer.shards.slots().map(|(id, slot)| (*id, *slot)));
            adoption.made.extend_from_slice(layer.reserved.storages());
        }
        adoption
    }

    fn write(self, mut writing: Writing<'_>) {
        let tables = &writing.shared.tables;
        let alive: HashSet<StorageId> = self
            .accounts
            .values()
            .flatten()
            .map(|after| after.storage)
            .collect();
        for storage in self.made {
            // One that became part of the state before was buried when it was no account's any more.
            if tables.storages.commit(storage) && !alive.contains(&storage) {
                writing.bury(storage);
            }
        }
        for (id, slot) in self
            .slots
            .into_iter()
            .filter(|(_, slot)| alive.contains(&slot.storage))
        {
            // The draft reserved the entry, or its base, whose content the newest state has, has a value in it.
            let key = (slot.storage, slot.slot);
            let locked = tables.slots.entries.lock(id);
            assert!(
                locked && tables.slots.entries.key(id) == key,
                "{key:?} has left its entry"
            );
            let cell = tables.slots.entries.read_locked(id);
            writing.write_slot(&HeldSlot {
                id,
                cell,
                after: slot.after,
            });
        }
        for (id, after) in self.accounts {
            assert!(
                tables.accounts.entries.lock(id),
                "account {id} has left its entry"
            );
            let cell = tables.accounts.entries.read_locked(id);
            writing.write_account(&HeldAccount {
                id,
                cell,
                before: tables.parts.decode(&cell.value),
                after,
            });
        }
    }
}
