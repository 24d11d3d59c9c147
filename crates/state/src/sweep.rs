//! Taking dead storages apart: their slots are found by going through the table, a bounded piece at a time.
//!
//! A list of each storage's slots would cost every slot 4 bytes for what hardly ever happens: since EIP-6780 no
//! contract with storage disappears.

use std::collections::HashSet;

use crate::{account::storage_of, state::Shared, storages::StorageId};

/// Entries gone through at a time: 1.3 MB of them.
const PIECE: u32 = 1 << 14;

/// Storages on their way out. Bounded by what the state holds: a storage takes 8 bytes, and at least one slot.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// Not an account's any more at any retained version, but a draft still knows them.
    pub(crate) held: Vec<StorageId>,
    /// For the next round.
    pub(crate) dead: Vec<StorageId>,
    round: HashSet<StorageId>,
    /// Those of the round that have a slot with a past still: a draft on an older version would see it in the next
    /// storage of that id.
    left: HashSet<StorageId>,
    /// Where the round is, and where it ends.
    next: u32,
    end: u32,
}

impl Shared {
    /// Deals with a storage that an account stopped having at or before the floor.
    pub(crate) fn end_storage(&self, sweep: &mut Sweep, storage: StorageId, floor: u64) {
        if self.is_known(storage, floor) {
            return;
        }
        if self.tables.storages.is_held(storage) {
            sweep.held.push(storage);
        } else {
            sweep.dead.push(storage);
        }
    }

    /// Looks again at the storages that drafts knew.
    pub(crate) fn end_held_storages(&self, sweep: &mut Sweep, floor: u64) {
        for storage in std::mem::take(&mut sweep.held) {
            self.end_storage(sweep, storage, floor);
        }
    }

    /// Whether its account has a storage at any version from the floor on.
    fn is_known(&self, storage: StorageId, floor: u64) -> bool {
        let tables = &self.tables;
        let Some((_, cell)) = tables.accounts.entries.read(tables.storages.owner(storage)) else {
            return false;
        };
        let mut known = storage_of(&cell.value) == storage;
        let (mut next, mut since) = (cell.undo, cell.sequence);
        while !known && next != 0 && since > floor {
            let record = tables.undo.read(next);
            known = storage_of(&record.value) == storage;
            (next, since) = (record.previous, record.written);
        }
        known
    }

    /// Goes on with the round under way, or begins one; `true` when there is nothing to do any more.
    pub(crate) fn sweep(&self, sweep: &mut Sweep, floor: u64) -> bool {
        if sweep.round.is_empty() {
            if sweep.dead.is_empty() {
                return true;
            }
            sweep.round = sweep.dead.drain(..).collect();
            (sweep.next, sweep.end) = (1, self.tables.slots.entries.end());
        }
        let end = sweep.end.min(sweep.next.saturating_add(PIECE));
        for slot in sweep.next..end {
            self.sweep_slot(sweep, slot, floor);
        }
        sweep.next = end;
        if end == sweep.end {
            for storage in sweep
                .round
                .drain()
                .filter(|storage| !sweep.left.contains(storage))
            {
                self.tables.storages.free(storage);
            }
            sweep.dead.extend(sweep.left.drain());
        }
        sweep.round.is_empty() && sweep.dead.is_empty()
    }

    fn sweep_slot(&self, sweep: &mut Sweep, slot: u32, floor: u64) {
        let table = &self.tables.slots;
        if !sweep.round.contains(&table.entries.key(slot).0) || !table.entries.lock(slot) {
            return;
        }
        let (storage, cell) = (table.entries.key(slot).0, table.entries.read_locked(slot));
        if sweep.round.contains(&storage) {
            if cell.sequence <= floor {
                // Nobody asks for it any more, but a reader may be about to: it must not take half of a value.
                table.entries.renew_locked(slot);
            } else {
                // A rewind wrote it. It is absent, and ends when its old value is forgotten.
                sweep.left.insert(storage);
            }
        }
        table.unlock_or_free(slot, floor);
    }
}
