//! A state that is not canonical yet: changes on top of a snapshot or of another draft.

use std::sync::Arc;

use alloy_primitives::{
    Address, B256, KECCAK256_EMPTY, U256,
    map::{B256Map, HashMap},
};
use rapid_primitives::{Account, AccountChange, CommitSequence, ReadState};
use revm::bytecode::Bytecode;

use crate::{
    AdoptError, Snapshot, State, VersionGone,
    account::AccountRecord,
    code,
    commit::{account_after, has_values},
    net_change::{NetChange, StorageChange},
    reservation::Reservations,
    state::Shared,
    storages::StorageId,
    sync::{
        RwLock,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

mod adoption;
mod filling;
mod reader;
mod shards;

pub use filling::DraftFilling;
pub use reader::DraftReader;

use shards::Shards;

/// Changes that may become canonical or vanish without a trace.
///
/// Clones and drafts begun on it see it as it was then: applying to a draft that others look at copies its own
/// changes first. Its memory is bounded by the gas of the blocks it holds and the number of drafts their owner keeps.
#[derive(Clone, Debug)]
pub struct Draft {
    layer: Arc<Layer>,
}

#[derive(Debug)]
struct Layer {
    /// Behind a lock because a base that was adopted is exchanged for the version it became, so that a long chain of
    /// drafts does not keep all its ancestors.
    base: RwLock<Base>,
    shards: Shards,
    codes: B256Map<Bytecode>,
    /// Version that has this content; 0 when not adopted.
    adopted: AtomicU64,
    /// Dropped last: what is above refers to it.
    reserved: Reservations,
}

#[derive(Clone, Debug)]
enum Base {
    Snapshot(Snapshot),
    Draft(Arc<Layer>),
}

/// An account that the draft has touched.
#[derive(Clone, Copy, Debug)]
struct DraftAccount {
    /// Of the entry that the draft reserved; `None` where the base has one, or while it has not existed.
    id: Option<u32>,
    /// In the base.
    before: Option<AccountRecord>,
    after: Option<AccountRecord>,
}

#[derive(Clone, Copy, Debug)]
struct DraftSlot {
    storage: StorageId,
    slot: U256,
    before: U256,
    after: U256,
}

impl Draft {
    /// A draft on top of a version.
    #[must_use]
    pub fn begin(base: Snapshot) -> Self {
        Self::on(Base::Snapshot(base))
    }

    /// A draft on top of another, as that is now.
    #[must_use]
    pub fn begin_on(parent: &Self) -> Self {
        parent.layer.settle();
        Self::on(
            parent
                .layer
                .as_version()
                .map_or_else(|| Base::Draft(Arc::clone(&parent.layer)), Base::Snapshot),
        )
    }

    fn on(base: Base) -> Self {
        let shared = match &base {
            Base::Snapshot(snapshot) => Arc::clone(snapshot.shared()),
            Base::Draft(parent) => Arc::clone(parent.reserved.shared()),
        };
        Self {
            layer: Arc::new(Layer {
                base: RwLock::new(base),
                shards: Shards::default(),
                codes: B256Map::default(),
                adopted: AtomicU64::new(0),
                reserved: Reservations::new(shared),
            }),
        }
    }

    /// Applies changes, for instance those of one transaction after the other.
    ///
    /// A draft that was adopted is then again one that was not, on its old base.
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot below is overrun; the draft is then of no more use.
    pub fn apply(&mut self, changes: &[AccountChange]) -> Result<(), VersionGone> {
        let layer = Arc::make_mut(&mut self.layer);
        layer.adopted = AtomicU64::new(0);
        changes.iter().try_for_each(|change| layer.apply(change))?;
        // What was known already was not asked of the base.
        layer.check()
    }

    /// The net change of each account since the draft was begun (not those of a draft below it), sorted by address.
    /// What ended as it began is left out.
    ///
    /// # Panics
    /// If a change was applied that named the hash of a code without bringing the code.
    #[must_use]
    pub fn changes(&self) -> Vec<AccountChange> {
        self.layer.changes()
    }

    /// Makes the draft the newest state, in one commit. A parent that has not been adopted is adopted with it.
    ///
    /// It can be done whenever the newest state has the content of the draft's base: also after a rewind to it, and
    /// again after a rewind. The draft stays readable.
    ///
    /// # Errors
    /// [`AdoptError`]; nothing was written.
    pub fn adopt(&self, state: &State) -> Result<CommitSequence, AdoptError> {
        let mut layers = vec![Arc::clone(&self.layer)];
        let base = loop {
            let top = layers.last().expect("begins with one and only grows");
            let below = match &*top.base.read() {
                Base::Snapshot(snapshot) if !Arc::ptr_eq(snapshot.shared(), &state.0) => {
                    return Err(AdoptError::OtherState);
                }
                Base::Snapshot(snapshot) => break snapshot.sequence(),
                Base::Draft(parent) => Arc::clone(parent),
            };
            match below.adopted.load(SeqCst) {
                0 => layers.push(below),
                _ if !Arc::ptr_eq(below.snapshot().shared(), &state.0) => return Err(AdoptError::OtherState),
                adopted => break CommitSequence(adopted),
            }
        };
        let adopted = state
            .0
            .adopt(base.0, layers.iter().rev().map(|layer| &**layer))
            .map_err(|newest| AdoptError::BaseNotNewest { base, newest })?;
        let before = self.layer.adopted.swap(adopted.0, SeqCst);
        if before != 0 {
            state.0.rewinds.lock().note(adopted.0, before);
        }
        Ok(adopted)
    }

    /// The version the draft became, if it was adopted; the latest if it was more than once.
    #[must_use]
    pub fn adopted_at(&self) -> Option<CommitSequence> {
        self.layer.adopted_at()
    }

    pub(crate) fn shared(&self) -> &Shared {
        self.layer.reserved.shared()
    }

    pub(crate) fn check(&self) -> Result<(), VersionGone> {
        self.layer.check()
    }

    pub(crate) fn record(&self, address: &Address) -> Result<Option<AccountRecord>, VersionGone> {
        self.layer.record(address)
    }

    pub(crate) fn slot_by_id(&self, slot: u32) -> Result<U256, VersionGone> {
        self.layer.slot_by_id(slot)
    }

    /// Drops the draft. It has left no trace in the state.
    pub fn discard(self) {}
}

/// Somebody else sees the layer and its owner wants to change it: the copy was never adopted.
impl Clone for Layer {
    fn clone(&self) -> Self {
        Self {
            base: RwLock::new(self.base.read().clone()),
            shards: self.shards.clone(),
            codes: self.codes.clone(),
            adopted: AtomicU64::new(0),
            reserved: self.reserved.clone(),
        }
    }
}

impl Layer {
    fn adopted_at(&self) -> Option<CommitSequence> {
        Some(self.adopted.load(SeqCst))
            .filter(|adopted| *adopted != 0)
            .map(CommitSequence)
    }

    /// The snapshot at the bottom.
    fn snapshot(&self) -> Snapshot {
        match &*self.base.read() {
            Base::Snapshot(snapshot) => snapshot.clone(),
            Base::Draft(parent) => parent.snapshot(),
        }
    }

    /// Whether the snapshot at the bottom still answers.
    fn check(&self) -> Result<(), VersionGone> {
        match &*self.base.read() {
            Base::Snapshot(snapshot) => snapshot.checked(()),
            Base::Draft(parent) => parent.check(),
        }
    }

    /// The version that has this content, if it was adopted and is retained.
    fn as_version(&self) -> Option<Snapshot> {
        let adopted = self.adopted_at()?;
        self.snapshot().state().get_at(adopted).ok()
    }

    /// Exchanges the nearest ancestor that was adopted for its version.
    fn settle(&self) {
        let parent = match &*self.base.read() {
            Base::Snapshot(_) => return,
            Base::Draft(parent) => Arc::clone(parent),
        };
        match parent.as_version() {
            Some(version) => *self.base.write() = Base::Snapshot(version),
            None => parent.settle(),
        }
    }

    fn apply(&mut self, change: &AccountChange) -> Result<(), VersionGone> {
        if change.is_noop() {
            return Ok(());
        }
        if let Some(new) = change.code.as_ref().filter(|new| !new.code.is_empty()) {
            self.codes.entry(new.hash).or_insert_with(|| code::analyse(new));
        }
        let base = self.base.get_mut();
        let untouched = || base.record(&change.address).map(DraftAccount::untouched);
        let account = self.shards.account_or_try_insert(change.address, untouched)?;
        match account.change(change, &mut self.reserved) {
            Some(storage) => self.write_slots(storage, &change.storage),
            None => Ok(()),
        }
    }

    fn write_slots(&mut self, storage: StorageId, slots: &[(U256, U256)]) -> Result<(), VersionGone> {
        let shared = Arc::clone(self.reserved.shared());
        let made_here = self.reserved.storages().contains(&storage);
        for (slot, value) in slots {
            let known = shared.tables.slots.find(&(storage, *slot));
            if let Some(written) = known.and_then(|id| self.shards.slot_mut(id)) {
                written.after = *value;
                continue;
            }
            let before = match known {
                Some(id) if !made_here => self.base.get_mut().slot_by_id(id)?,
                _ => U256::ZERO,
            };
            let written = DraftSlot {
                storage,
                slot: *slot,
                before,
                after: *value,
            };
            if let Some(id) = written.entry(known, &mut self.reserved) {
                self.shards.insert_slot(id, written);
            }
        }
        Ok(())
    }

    fn changes(&self) -> Vec<AccountChange> {
        let mut slots: HashMap<StorageId, Vec<(U256, U256)>> = HashMap::default();
        for (_, slot) in self.shards.slots().filter(|(_, slot)| slot.before != slot.after) {
            slots
                .entry(slot.storage)
                .or_default()
                .push((slot.slot, slot.after));
        }
        let mut touched: Vec<_> = self
            .shards
            .accounts()
            .map(|(address, account)| (*address, *account))
            .collect();
        // Slots alone do not make an account touched: it is in the map nevertheless, since its change named it.
        touched.sort_unstable_by_key(|(address, _)| *address);
        let net = touched.into_iter().filter_map(|(address, account)| {
            let of = |record: Option<AccountRecord>| record.map_or(StorageId::NONE, |record| record.storage);
            let written = slots.remove(&of(account.after)).unwrap_or_default();
            let dropped = !of(account.before).is_none() && of(account.before) != of(account.after);
            let storage = if dropped {
                StorageChange::Replaced(written)
            } else {
                StorageChange::Slots(written)
            };
            let plain = |record: Option<AccountRecord>| record.map(|record| record.account);
            let change = NetChange {
                address,
                before: plain(account.before),
                after: plain(account.after),
                storage,
            };
            change.into_change(|hash| self.code(hash))
        });
        net.collect()
    }

    fn record(&self, address: &Address) -> Result<Option<AccountRecord>, VersionGone> {
        match self.shards.account(address) {
            Some(account) => Ok(account.after),
            None => self.base.read().record(address),
        }
    }

    fn slot_by_id(&self, id: u32) -> Result<U256, VersionGone> {
        match self.shards.slot(id) {
            Some(slot) if slot.before.is_zero() => Ok(slot.after),
            // The base keeps the entry, not the draft. If it is overrun the id may be another slot's by now.
            Some(slot) => self.check().map(|()| slot.after),
            None => self.base.read().slot_by_id(id),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, VersionGone> {
        let storage = self
            .record(address)?
            .map_or(StorageId::NONE, |record| record.storage);
        if storage.is_none() {
            return Ok(U256::ZERO);
        }
        match self.reserved.shared().tables.slots.find(&(storage, *slot)) {
            Some(id) => self.slot_by_id(id),
            // An entry that a version had a value in is gone only if the version is.
            None => self.snapshot().checked(U256::ZERO),
        }
    }

    fn code(&self, hash: &B256) -> Option<Bytecode> {
        if *hash == KECCAK256_EMPTY {
            return Some(Bytecode::default());
        }
        if let Some(code) = self.codes.get(hash) {
            return Some(code.clone());
        }
        match &*self.base.read() {
            Base::Snapshot(snapshot) => snapshot.state().code(hash),
            Base::Draft(parent) => parent.code(hash),
        }
    }
}

impl Base {
    fn record(&self, address: &Address) -> Result<Option<AccountRecord>, VersionGone> {
        match self {
            Self::Snapshot(snapshot) => snapshot.record(address),
            Self::Draft(parent) => parent.record(address),
        }
    }

    fn slot_by_id(&self, id: u32) -> Result<U256, VersionGone> {
        match self {
            Self::Snapshot(snapshot) => snapshot.slot_by_id(id),
            Self::Draft(parent) => parent.slot_by_id(id),
        }
    }
}

impl DraftAccount {
    const fn untouched(before: Option<AccountRecord>) -> Self {
        Self {
            id: None,
            before,
            after: before,
        }
    }

    /// Changes the fields, and tells the storage that the change's slots go into, if they have one.
    fn change(&mut self, change: &AccountChange, reserved: &mut Reservations) -> Option<StorageId> {
        let mut after = account_after(change, self.after.as_ref());
        let needs_storage = after.is_some_and(|after| after.storage.is_none()) && has_values(change);
        // The version below has a value for it, so the entry stays.
        if after.is_some() && self.id.is_none() && (self.before.is_none() || needs_storage) {
            self.id = Some(reserved.account(&change.address));
        }
        if let (Some(after), Some(id), true) = (&mut after, self.id, needs_storage) {
            after.storage = reserved.storage(id);
        }
        self.after = after;
        after
            .map(|after| after.storage)
            .filter(|storage| !storage.is_none())
    }
}

impl DraftSlot {
    /// The entry of the slot, which may be `known`; `None` if it needs none, having no value before or after.
    fn entry(&self, known: Option<u32>, reserved: &mut Reservations) -> Option<u32> {
        match known {
            // The version below has a value for it, so the entry stays.
            Some(id) if !self.before.is_zero() => Some(id),
            _ if self.after.is_zero() => None,
            _ => Some(reserved.slot(self.storage, &self.slot)),
        }
    }
}

impl ReadState for Draft {
    type Error = VersionGone;

    fn account(&self, address: &Address) -> Result<Option<Account>, VersionGone> {
        Ok(self.layer.record(address)?.map(|record| record.account))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, VersionGone> {
        self.layer.storage(address, slot)
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, VersionGone> {
        Ok(self.layer.code(hash))
    }
}

impl rapid_primitives::WriteState for Draft {
    fn apply(&mut self, changes: &[AccountChange]) -> Result<(), VersionGone> {
        Self::apply(self, changes)
    }
}
