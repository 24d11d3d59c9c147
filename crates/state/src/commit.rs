//! The commit: lock, validate, take the sequence, write.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use alloy_primitives::{Address, U256};
use rapid_primitives::{AccountChange, CommitSequence};

use crate::{
    Conflict, ReadSet, StateKey,
    cell::{AccountRecord, Cell, StorageId, Written},
    locks::{LockPlan, Locked, StorageOnly},
    state::Shared,
    stripe::{Ring, Touched},
};

impl Shared {
    /// Commits; the caller holds the stripe that `ring` belongs to.
    pub(crate) fn commit(
        &self,
        ring: &mut Ring,
        reads: &ReadSet,
        changes: &[AccountChange],
    ) -> Result<CommitSequence, Conflict> {
        let codes = self.codes.analyse_new(changes);
        let mut storage_only = StorageOnly::Shared;
        loop {
            let mut locked = LockPlan::new(&self.tables, reads, changes, storage_only).lock(&self.tables);
            self.validate(&locked, reads)?;
            if storage_only == StorageOnly::Shared && locked.needs_storage_id(&self.tables, changes) {
                storage_only = StorageOnly::Exclusive;
                continue;
            }
            self.codes.insert(codes);
            let sequence = self.sequence.fetch_add(1, SeqCst) + 1;
            let mut writer = Writer {
                shared: self,
                locked: &mut locked,
                ring,
                sequence,
            };
            for change in changes {
                writer.write(change);
            }
            drop(locked);
            self.retained_bytes
                .fetch_add(std::mem::take(&mut ring.untold_bytes), Relaxed);
            return Ok(CommitSequence(sequence));
        }
    }

    fn validate(&self, locked: &Locked<'_>, reads: &ReadSet) -> Result<(), Conflict> {
        let account = |address: &Address| {
            locked
                .accounts
                .get(self.tables.account_shard(address))
                .get(address)
        };
        for (address, seen) in &reads.accounts {
            let now = account(address)
                .filter(|cell| cell.value().is_some())
                .map(Cell::sequence);
            if now != seen.map(|sequence| sequence.0) {
                return Err(conflict(StateKey::Account(*address)));
            }
        }
        for (address, slot, seen) in &reads.slots {
            let storage_id = account(address)
                .and_then(Cell::value)
                .map_or(0, |record| record.storage_id);
            let now = locked
                .slots
                .get(self.tables.slot_shard(address, slot))
                .get(&storage_id)
                .and_then(|slots| slots.get(slot))
                .filter(|cell| !cell.value().is_zero())
                .map(Cell::sequence);
            if now != seen.map(|sequence| sequence.0) {
                return Err(conflict(StateKey::Slot(*address, *slot)));
            }
        }
        Ok(())
    }
}

fn conflict(key: StateKey) -> Conflict {
    metrics::counter!("rapid_reth_state_conflicts_total").increment(1);
    Conflict { key }
}

/// A commit that can no longer fail.
struct Writer<'a, 'l> {
    shared: &'a Shared,
    locked: &'a mut Locked<'l>,
    ring: &'a mut Ring,
    sequence: u64,
}

impl Writer<'_, '_> {
    fn write(&mut self, change: &AccountChange) {
        let shard = self.shared.tables.account_shard(&change.address);
        let before = self
            .locked
            .accounts
            .get(shard)
            .get(&change.address)
            .and_then(Cell::value);
        let account = change.apply_to(before.map(|record| record.account));
        let kept_id = before.map_or(0, |record| record.storage_id);
        let mut storage_id = if change.clears_storage() { 0 } else { kept_id };
        if storage_id == 0 && account.is_some() && change.storage.iter().any(|(_, value)| !value.is_zero()) {
            storage_id = self.shared.next_storage_id.fetch_add(1, Relaxed);
        }
        let after = account.map(|account| AccountRecord { account, storage_id });
        if after != before {
            self.write_account(shard, &change.address, after);
        }
        if after.is_some() && storage_id != 0 {
            for (slot, value) in &change.storage {
                self.write_slot(&change.address, storage_id, slot, *value);
            }
        }
    }

    fn write_account(&mut self, shard: usize, address: &Address, after: Option<AccountRecord>) {
        let cells = self.locked.accounts.get_mut(shard);
        let Some(cell) = cells.get_mut(address) else {
            cells.insert(*address, Cell::new(self.sequence, after));
            self.shared.tables.account_cells.fetch_add(1, Relaxed);
            self.ring.push(self.sequence, Touched::Account(*address));
            return;
        };
        let replaced = cell.value().map_or(0, |record| record.storage_id);
        match cell.write(self.sequence, after) {
            Written::First => self.ring.push(self.sequence, Touched::Account(*address)),
            Written::Again => {
                let still_known = cell
                    .values()
                    .flatten()
                    .any(|record| record.storage_id == replaced);
                if replaced != 0 && !still_known {
                    self.ring.push(self.sequence, Touched::Orphan(*address, replaced));
                }
            }
        }
    }

    fn write_slot(&mut self, address: &Address, storage_id: StorageId, slot: &U256, value: U256) {
        let shard = self
            .locked
            .slots
            .get_mut(self.shared.tables.slot_shard(address, slot));
        let written = match shard.get_mut(&storage_id).and_then(|cells| cells.get_mut(slot)) {
            Some(cell) if cell.value() == value => return,
            Some(cell) => cell.write(self.sequence, value),
            None if value.is_zero() => return,
            None => {
                shard
                    .entry(storage_id)
                    .or_default()
                    .insert(*slot, Cell::new(self.sequence, value));
                self.shared.tables.slot_cells.fetch_add(1, Relaxed);
                Written::First
            }
        };
        if written == Written::First {
            self.ring
                .push(self.sequence, Touched::Slot(*address, storage_id, *slot));
        }
    }
}
