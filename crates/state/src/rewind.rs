//! Going back without going back: the values of an older version, written forward.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use rapid_primitives::{AccountChange, CommitSequence};

use crate::{
    State, VersionGone,
    account::AccountRecord,
    batch::{HeldAccount, HeldSlot},
    commit::Writing,
    net_change::{NetChange, StorageChange},
    storages::StorageId,
    tables::Tables,
    undo::Target,
};

impl State {
    /// Makes the newest state equal to an older version again, by writing its values forward in one commit; returns
    /// the commit's sequence, which is a version, and the net changes it made, sorted by address.
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
        let mut all = shared.writers.all();
        let newest = shared.cut_now(&mut all).0;
        if version.0 < shared.leases.floor() || !shared.cuts.contains(version.0) {
            return Err(shared.version_gone(version.0));
        }
        let undo = &shared.tables.undo;
        let mut touched: Vec<_> = all
            .iter()
            .flat_map(|workspace| workspace.ring.since(undo, version.0))
            .map(|record| record.target)
            .collect();
        touched.sort_unstable();
        touched.dedup();
        let sequence = shared.take_sequence();
        let mut rewind = Rewind {
            tables: &shared.tables,
            writing: Writing {
                shared,
                ring: &mut all.first().ring,
                sequence,
                cut: newest,
            },
            version: version.0,
            accounts: BTreeMap::new(),
        };
        for target in touched {
            rewind.restore(target);
        }
        let net = rewind.finish();
        shared.rewinds.lock().note(sequence, version.0);
        shared.cut_now(&mut all);
        drop(all);
        let changes = net
            .into_iter()
            .filter_map(|net| net.into_change(|hash| shared.tables.parts.codes.get(hash)));
        Ok((CommitSequence(sequence), changes.collect()))
    }
}

/// A rewind under way; no commit and no trimming is.
struct Rewind<'a> {
    tables: &'a Tables,
    writing: Writing<'a>,
    version: u64,
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
    /// Writes forward what an entry was at the version. Storages are restored like any value, so one that was wiped since
    /// is there again, as it was.
    fn restore(&mut self, target: Target) {
        match target {
            Target::Account(id) => self.restore_account(id),
            Target::Slot(id) => self.restore_slot(id),
            Target::Storage(_) | Target::WideBalance(_) => {}
        }
    }

    fn restore_account(&mut self, id: u32) {
        let (tables, entries) = (self.tables, &self.tables.accounts.entries);
        if !entries.lock(id) {
            return;
        }
        let (address, cell) = (entries.key(id), entries.read_locked(id));
        let held = HeldAccount {
            id,
            cell,
            before: tables.parts.decode(&cell.value),
            after: tables.parts.decode(&tables.undo.value_at(&cell, self.version)),
        };
        self.writing.write_account(&held);
        if held.before != held.after {
            let rewound = Rewound {
                before: held.before,
                after: held.after,
                slots: Vec::new(),
            };
            self.accounts.insert(address, rewound);
        }
    }

    /// Accounts come before slots, so the account is as it was at the version already. A storage that no account has is
    /// restored too: a draft that made it may be adopted once more.
    fn restore_slot(&mut self, id: u32) {
        let entries = &self.tables.slots.entries;
        if !entries.lock(id) {
            return;
        }
        let ((storage, slot), cell) = (entries.key(id), entries.read_locked(id));
        let held = HeldSlot {
            id,
            cell,
            after: U256::from_limbs(self.tables.undo.value_at(&cell, self.version)),
        };
        self.writing.write_slot(&held);
        if held.cell.value != *held.after.as_limbs() {
            self.note_slot(storage, slot, held.after);
        }
    }

    fn note_slot(&mut self, storage: StorageId, slot: U256, value: U256) {
        let tables = self.tables;
        let Some((address, cell)) = tables.accounts.entries.read(tables.storages.owner(storage)) else {
            return;
        };
        let rewound = self.accounts.entry(address).or_insert_with(|| {
            let record = tables.parts.decode(&cell.value);
            Rewound {
                before: record,
                after: record,
                slots: Vec::new(),
            }
        });
        rewound.slots.push((storage, slot, value));
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
        let id = |record: Option<AccountRecord>| record.map(|record| record.storage);
        let storage = match id(self.after) {
            after if after == id(self.before) => {
                let same_storage = self
                    .slots
                    .into_iter()
                    .filter(|(storage, ..)| Some(*storage) == after);
                StorageChange::Slots(same_storage.map(|(_, slot, value)| (slot, value)).collect())
            }
            after => StorageChange::Replaced(tables.newest_slots(after.unwrap_or(StorageId::NONE))),
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

impl Tables {
    /// All slots of a storage that are not zero now. Goes through all slots there are: only a reorganisation past the end of
    /// a contract asks for it.
    fn newest_slots(&self, storage: StorageId) -> Vec<(U256, U256)> {
        if storage.is_none() {
            return Vec::new();
        }
        let entries = &self.slots.entries;
        (1..entries.end())
            .filter(|id| entries.key(*id).0 == storage)
            .filter_map(|id| entries.read(id))
            .filter(|((of, _), _)| *of == storage)
            .map(|((_, slot), cell)| (slot, U256::from_limbs(cell.value)))
            .filter(|(_, value)| !value.is_zero())
            .collect()
    }
}
