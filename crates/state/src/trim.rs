//! Trimming: forgetting the oldest versions when the past takes too much memory.

use std::sync::atomic::Ordering::Relaxed;

use alloy_primitives::{Address, U256};

use crate::{
    cell::StorageId,
    shards::{SlotShard, Tables},
    state::Shared,
    stripe::Touched,
};

/// Old values forgotten at a time: how long a stripe or a shard is kept from its writers.
const BATCH: usize = 256;

impl Shared {
    /// Forgets the oldest versions until the past is within its bounds, and sets the gauges. Each old value is visited
    /// once, so the work is proportional to what was committed since the last time.
    pub(crate) fn trim(&self) {
        let Some(_only_one) = self.trimming.try_lock() else {
            return;
        };
        while let Some(floor) = self.raise_floor() {
            self.forget_until(floor);
        }
        self.rewinds.lock().forget_below(self.leases.floor());
        let usage = self.usage();
        metrics::gauge!("rapid_reth_state_accounts_entries").set(usage.account_entries as f64);
        metrics::gauge!("rapid_reth_state_slots_entries").set(usage.slot_entries as f64);
        metrics::gauge!("rapid_reth_state_retained_bytes").set(usage.retained_bytes as f64);
        metrics::gauge!("rapid_reth_state_leases_entries").set(usage.leased_versions as f64);
    }

    /// Raises the floor by about a batch of old values, if there are too many and the leases allow it.
    ///
    /// The new floor is stored before anything is forgotten: see `Snapshot::check`.
    fn raise_floor(&self) -> Option<u64> {
        let retained = self.retained_bytes.load(Relaxed);
        if retained <= self.config.retained_bytes {
            return None;
        }
        let oldest = self
            .stripes
            .iter()
            .filter_map(|ring| Some((ring.first()?, ring.nth(BATCH)?)));
        let (first, wanted) = oldest.min()?;
        let wanted = wanted.min(self.published.load().version());
        let mut floor = self.leases.raise_floor_to_leases(wanted);
        if floor < first
            && wanted >= first
            && retained > self.config.retained_bytes + self.config.leased_bytes
        {
            let overrun;
            (floor, overrun) = self.leases.raise_floor_over_leases(wanted);
            metrics::counter!("rapid_reth_state_leases_overrun_total").increment(overrun as u64);
        }
        (floor >= first).then_some(floor)
    }

    fn forget_until(&self, floor: u64) {
        let mut batch = Vec::with_capacity(BATCH);
        for stripe in 0..self.stripes.len() {
            loop {
                self.stripes.get(stripe).take_until(floor, BATCH, &mut batch);
                if batch.is_empty() {
                    break;
                }
                let bytes = batch.iter().map(Touched::retained_bytes).sum::<usize>();
                self.tables.forget(&batch, floor);
                self.retained_bytes.fetch_sub(bytes, Relaxed);
                batch.clear();
            }
        }
    }
}

impl Tables {
    /// Forgets what the versions from `floor` on do not see of these cells.
    fn forget(&self, touched: &[Touched], floor: u64) {
        let mut accounts = Vec::new();
        let mut slots = Vec::new();
        let mut unreachable = Vec::new();
        for touched in touched {
            match *touched {
                Touched::Account(address) => accounts.push((self.account_shard(&address), address)),
                Touched::Slot(address, storage_id, slot) => {
                    slots.push((self.slot_shard(&address, &slot), storage_id, slot));
                }
                Touched::Orphan(address, storage_id) => unreachable.push((address, storage_id)),
            }
        }
        accounts.sort_unstable();
        accounts.dedup();
        for same_shard in accounts.chunk_by(|a, b| a.0 == b.0) {
            self.forget_accounts(same_shard, floor, &mut unreachable);
        }
        slots.sort_unstable();
        slots.dedup();
        for same_shard in slots.chunk_by(|a, b| a.0 == b.0) {
            self.forget_slots(same_shard, floor);
        }
        for (address, storage_id) in unreachable {
            self.reclaim_storage(&address, storage_id);
        }
    }

    fn forget_accounts(
        &self,
        keys: &[(usize, Address)],
        floor: u64,
        unreachable: &mut Vec<(Address, StorageId)>,
    ) {
        let mut shard = self.accounts[keys[0].0].0.write();
        for (_, address) in keys {
            let Some(cell) = shard.get_mut(address) else {
                continue;
            };
            cell.trim(floor, |rest, forgotten| {
                let Some(storage_id) = forgotten.map(|record| record.storage_id).filter(|id| *id != 0) else {
                    return;
                };
                // Newest first, then oldest: one of them nearly always still has the id, so this does not walk.
                let newest = rest.value().is_some_and(|record| record.storage_id == storage_id);
                if !newest
                    && !rest
                        .values()
                        .flatten()
                        .any(|record| record.storage_id == storage_id)
                {
                    unreachable.push((*address, storage_id));
                }
            });
            if cell.is_vacant(floor) {
                shard.remove(address);
                self.account_cells.fetch_sub(1, Relaxed);
            }
        }
    }

    fn forget_slots(&self, keys: &[(usize, StorageId, U256)], floor: u64) {
        let mut shard = self.slots[keys[0].0].0.write();
        for (_, storage_id, slot) in keys {
            self.forget_slot(&mut shard, *storage_id, slot, floor);
        }
    }

    fn forget_slot(&self, shard: &mut SlotShard, storage_id: StorageId, slot: &U256, floor: u64) {
        let Some(cells) = shard.get_mut(&storage_id) else {
            return;
        };
        let Some(cell) = cells.get_mut(slot) else { return };
        cell.trim(floor, |_, _| {});
        if cell.is_vacant(floor) {
            cells.remove(slot);
            self.slot_cells.fetch_sub(1, Relaxed);
            if cells.is_empty() {
                shard.remove(&storage_id);
            }
        }
    }
}
