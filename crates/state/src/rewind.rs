//! Going back by going forward: old values are written again under a new sequence.

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering::{Relaxed, SeqCst},
};

use alloy_primitives::{Address, U256};
use rapid_primitives::{AccountChange, CommitSequence};

use crate::{
    State, VersionGone,
    cell::{AccountRecord, Cell, StorageId},
    net_change::{NetChange, StorageChange},
    shards::{SLOT_SPREAD, Tables},
    stripe::{Ring, Touched},
};

impl State {
    /// Makes the newest state equal to an older version again, by writing its values forward in one commit; returns
    /// the commit's sequence and the net changes it made, sorted by address.
    ///
    /// Snapshots, also of versions in between, stay as they are. Commits wait meanwhile. A
    /// [`Draft`](crate::Draft) on that version can be adopted afterwards.
    ///
    /// # Errors
    /// [`VersionGone`] when the version is not retained; nothing was written.
    pub fn rewind_to(
        &self,
        version: CommitSequence,
    ) -> Result<(CommitSequence, Vec<AccountChange>), VersionGone> {
        let shared = &self.0;
        let _past_stays = shared.trimming.lock();
        let mut rings = shared.stripes.all();
        let newest = shared.sequence.load(SeqCst);
        if version.0 < shared.leases.floor() || version.0 > newest {
            return Err(shared.version_gone(version.0));
        }
        let mut touched: Vec<_> = rings.iter().flat_map(|ring| ring.since(version.0)).collect();
        touched.sort_unstable();
        touched.dedup();
        let sequence = newest + 1;
        let mut rewind = Rewind {
            tables: &shared.tables,
            ring: &mut rings[0],
            version: version.0,
            sequence,
            accounts: BTreeMap::new(),
        };
        for touched in touched {
            rewind.restore(touched);
        }
        let net = rewind.finish();
        let untold = std::mem::take(&mut rings[0].untold_bytes);
        shared.retained_bytes.fetch_add(untold, Relaxed);
        shared.rewinds.lock().note(sequence, version.0);
        shared.sequence.store(sequence, SeqCst);
        drop(rings);
        let changes = net
            .into_iter()
            .filter_map(|net| net.into_change(|hash| shared.codes.get(hash)));
        Ok((CommitSequence(sequence), changes.collect()))
    }
}

/// A rewind under way; no commit and no trimming is.
struct Rewind<'a> {
    tables: &'a Tables,
    ring: &'a mut Ring,
    version: u64,
    sequence: u64,
    accounts: BTreeMap<Address, Rewound>,
}

/// What a rewind did to one account.
struct Rewound {
    before: Option<AccountRecord>,
    after: Option<AccountRecord>,
    /// Slots of any of its storages that got another value.
    slots: Vec<(StorageId, U256, U256)>,
}

impl Rewind<'_> {
    /// Writes forward what a cell was at the version. Storage ids are restored like any value, so storage that was
    /// wiped since is there again, as it was.
    fn restore(&mut self, touched: Touched) {
        match touched {
            Touched::Account(address) => self.restore_account(address),
            Touched::Slot(address, storage_id, slot) => self.restore_slot(address, storage_id, slot),
            Touched::Orphan(..) => {}
        }
    }

    fn restore_account(&mut self, address: Address) {
        let mut shard = self.tables.accounts[self.tables.account_shard(&address)]
            .0
            .write();
        let Some(cell) = shard.get_mut(&address) else {
            return;
        };
        let (before, after) = (cell.value(), cell.at(self.version));
        if before != after {
            cell.write(self.sequence, after);
            self.ring.push(self.sequence, Touched::Account(address));
            self.accounts.insert(
                address,
                Rewound {
                    before,
                    after,
                    slots: Vec::new(),
                },
            );
        }
    }

    /// Accounts come before slots, so the account is as it was at the version already.
    fn restore_slot(&mut self, address: Address, storage_id: StorageId, slot: U256) {
        let after = {
            let mut shard = self.tables.slots[self.tables.slot_shard(&address, &slot)]
                .0
                .write();
            let Some(cell) = shard.get_mut(&storage_id).and_then(|cells| cells.get_mut(&slot)) else {
                return;
            };
            let after = cell.at(self.version);
            if cell.value() == after {
                return;
            }
            cell.write(self.sequence, after);
            after
        };
        self.ring
            .push(self.sequence, Touched::Slot(address, storage_id, slot));
        let rewound = self.accounts.entry(address).or_insert_with(|| {
            let record = self.tables.newest_account(&address).map(|(_, record)| record);
            Rewound {
                before: record,
                after: record,
                slots: Vec::new(),
            }
        });
        rewound.slots.push((storage_id, slot, after));
    }

    fn finish(self) -> Vec<NetChange> {
        let tables = self.tables;
        self.accounts
            .into_iter()
            .map(|(address, rewound)| rewound.into_net(tables, address))
            .collect()
    }
}

impl Rewound {
    fn into_net(self, tables: &Tables, address: Address) -> NetChange {
        let id = |record: Option<AccountRecord>| record.map(|record| record.storage_id);
        let storage = match id(self.after) {
            after if after == id(self.before) => {
                let same_storage = self.slots.into_iter().filter(|(id, ..)| Some(*id) == after);
                StorageChange::Slots(same_storage.map(|(_, slot, value)| (slot, value)).collect())
            }
            after => StorageChange::Replaced(newest_slots(tables, &address, after.unwrap_or(0))),
        };
        let account = |record: Option<AccountRecord>| record.map(|record| record.account);
        NetChange {
            address,
            before: account(self.before),
            after: account(self.after),
            storage,
        }
    }
}

/// All slots of a storage that are not zero now.
fn newest_slots(tables: &Tables, address: &Address, storage_id: StorageId) -> Vec<(U256, U256)> {
    let mut slots = Vec::new();
    for part in 0..SLOT_SPREAD {
        let shard = tables.slots[tables.slot_shard_of_part(address, part)].0.read();
        let values = shard
            .get(&storage_id)
            .into_iter()
            .flatten()
            .map(|(slot, cell)| (*slot, Cell::value(cell)));
        slots.extend(values.filter(|(_, value)| !value.is_zero()));
    }
    slots
}
