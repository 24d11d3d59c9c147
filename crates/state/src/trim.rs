//! Trimming: forgetting the oldest versions when the past takes too much memory.

use crate::{
    account::AccountParts,
    entry::Layout,
    state::Shared,
    storages::StorageId,
    sweep::Sweep,
    sync::CHECKED,
    sync::atomic::Ordering::Relaxed,
    table::Table,
    undo::{RECORD_BYTES, Record, Target},
};

/// Old values forgotten at a time.
const BATCH: usize = if CHECKED { 2 } else { 256 };

impl Shared {
    /// Forgets the oldest versions until the past is within its bounds, and sets the gauges. Each old value is visited
    /// once, so the work is proportional to what was committed since the last time.
    pub(crate) fn trim(&self) {
        let Some(mut sweep) = self.trimming.try_lock() else {
            return;
        };
        while let Some(floor) = self.raise_floor() {
            self.forget_until(&mut sweep, floor);
        }
        let floor = self.leases.floor();
        self.cuts.forget_below(floor);
        self.rewinds.lock().forget_below(floor);
        self.end_held_storages(&mut sweep, floor);
        self.sweep(&mut sweep, floor);
        let usage = self.usage();
        metrics::gauge!("rapid_reth_state_accounts_entries").set(usage.account_entries as f64);
        metrics::gauge!("rapid_reth_state_slots_entries").set(usage.slot_entries as f64);
        metrics::gauge!("rapid_reth_state_table_bytes").set(usage.table_bytes as f64);
        metrics::gauge!("rapid_reth_state_retained_bytes").set(usage.retained_bytes as f64);
        metrics::gauge!("rapid_reth_state_leases_entries").set(usage.leased_versions as f64);
    }

    /// Raises the floor by about a batch of old values, if there are too many and the leases allow it.
    ///
    /// The new floor is stored before anything is forgotten: see `Snapshot::checked`. It is always a version, so what
    /// was overwritten without a trace since an old value was kept is not above the floor when that value is.
    fn raise_floor(&self) -> Option<u64> {
        let retained = self.retained_bytes.load(Relaxed);
        if retained <= self.config.retained_bytes {
            return None;
        }
        let undo = &self.tables.undo;
        let oldest = self
            .writers
            .iter()
            .filter_map(|workspace| Some((workspace.ring.nth(undo, 0)?, workspace.ring.nth(undo, BATCH)?)));
        let (first, wanted) = oldest.min()?;
        let wanted = self.cuts.from(wanted)?.min(self.published.load().version());
        let mut floor = self.leases.raise_floor_to_leases(wanted);
        if floor < first
            && wanted >= first
            && retained
                > self
                    .config
                    .retained_bytes
                    .saturating_add(self.config.leased_bytes)
        {
            let overrun;
            (floor, overrun) = self.leases.raise_floor_over_leases(wanted);
            metrics::counter!("rapid_reth_state_leases_overrun_total").increment(overrun as u64);
        }
        (floor >= first).then_some(floor)
    }

    fn forget_until(&self, sweep: &mut Sweep, floor: u64) {
        let undo = &self.tables.undo;
        for writer in 0..self.writers.len() {
            loop {
                let batch = self.writers.get(writer).ring.oldest(undo, floor, BATCH);
                if batch.is_empty() {
                    break;
                }
                for (index, record) in &batch {
                    self.forget(sweep, *index, record, floor);
                }
                self.writers.get(writer).ring.forget(undo, batch.len());
                self.retained_bytes.fetch_sub(batch.len() * RECORD_BYTES, Relaxed);
            }
        }
    }

    /// Forgets an old value that no version from `floor` on can see.
    fn forget(&self, sweep: &mut Sweep, index: u32, record: &Record, floor: u64) {
        match record.target {
            Target::Account(id) => {
                self.tables.accounts.forget(id, index, floor);
                if let Some(number) = AccountParts::wide_number(&record.value) {
                    self.tables.parts.free_wide(number);
                }
            }
            Target::Slot(id) => self.tables.slots.forget(id, index, floor),
            Target::Storage(id) => self.end_storage(sweep, StorageId(id), floor),
            Target::WideBalance(number) => self.tables.parts.free_wide(number),
        }
    }
}

impl<L: Layout> Table<L> {
    /// Has an entry refer to an old value no more; ends the entry if nothing is left of it. Where a newer old value is
    /// between the two, nobody goes on from that one any more.
    fn forget(&self, id: u32, index: u32, floor: u64) {
        let newest = self.entries.read(id).is_some_and(|(_, cell)| cell.undo == index);
        if !newest || !self.entries.lock(id) {
            return;
        }
        if self.entries.read_locked(id).undo == index {
            self.entries.set_undo_locked(id, 0);
        }
        self.unlock_or_free(id, floor);
    }
}
