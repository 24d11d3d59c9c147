//! A state that is not canonical yet: changes on top of a snapshot or of another draft.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use alloy_primitives::{
    Address, B256, KECCAK256_EMPTY, U256,
    map::{AddressMap, B256Map, U256Map},
};
use parking_lot::RwLock;
use rapid_primitives::{Account, AccountChange, CommitSequence, ReadState};
use revm::bytecode::Bytecode;

use crate::{
    AdoptError, Snapshot, State, VersionGone, code,
    net_change::{NetChange, StorageChange},
};

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
    accounts: AddressMap<DraftAccount>,
    codes: B256Map<Bytecode>,
    /// Version that has this content; 0 when not adopted.
    adopted: AtomicU64,
}

#[derive(Clone, Debug)]
enum Base {
    Snapshot(Snapshot),
    Draft(Arc<Layer>),
}

/// An account that the draft has touched.
#[derive(Clone, Debug)]
struct DraftAccount {
    /// In the base.
    before: Option<Account>,
    after: Option<Account>,
    /// Whether the base's storage shows through; it does not after a wipe or a removal.
    storage: BaseStorage,
    slots: U256Map<DraftSlot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BaseStorage {
    Visible,
    Dropped,
}

#[derive(Clone, Copy, Debug)]
struct DraftSlot {
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
        let (accounts, codes) = (AddressMap::default(), B256Map::default());
        Self {
            layer: Arc::new(Layer {
                base: RwLock::new(base),
                accounts,
                codes,
                adopted: AtomicU64::new(0),
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
        *layer.adopted.get_mut() = 0;
        changes.iter().try_for_each(|change| layer.apply(change))
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
        let changes: Vec<_> = layers.iter().rev().flat_map(|layer| layer.changes()).collect();
        let adopted = state
            .0
            .commit_on(base.0, &changes)
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

    /// Drops the draft. It has left no trace in the state.
    pub fn discard(self) {}
}

/// Somebody else sees the layer and its owner wants to change it: the copy was never adopted.
impl Clone for Layer {
    fn clone(&self) -> Self {
        Self {
            base: RwLock::new(self.base.read().clone()),
            accounts: self.accounts.clone(),
            codes: self.codes.clone(),
            adopted: AtomicU64::new(0),
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
        let account = match self.accounts.entry(change.address) {
            alloy_primitives::map::Entry::Occupied(entry) => entry.into_mut(),
            alloy_primitives::map::Entry::Vacant(entry) => {
                let before = base.account(&change.address)?;
                entry.insert(DraftAccount::untouched(before))
            }
        };
        account.after = change.apply_to(account.after);
        if change.clears_storage() || account.after.is_none() {
            account.storage = BaseStorage::Dropped;
            account.slots.clear();
        }
        if account.after.is_none() {
            return Ok(());
        }
        for (slot, value) in &change.storage {
            if let Some(written) = account.slots.get_mut(slot) {
                written.after = *value;
                continue;
            }
            let before = match account.storage {
                BaseStorage::Visible => base.storage(&change.address, slot)?,
                BaseStorage::Dropped => U256::ZERO,
            };
            account.slots.insert(
                *slot,
                DraftSlot {
                    before,
                    after: *value,
                },
            );
        }
        Ok(())
    }

    fn changes(&self) -> Vec<AccountChange> {
        let net = self.accounts.iter().filter_map(|(address, account)| {
            let slots = account.slots.iter().filter(|(_, slot)| slot.before != slot.after);
            let slots = slots.map(|(key, slot)| (*key, slot.after)).collect();
            let storage = match account.storage {
                BaseStorage::Visible => StorageChange::Slots(slots),
                BaseStorage::Dropped => StorageChange::Replaced(slots),
            };
            let change = NetChange {
                address: *address,
                before: account.before,
                after: account.after,
                storage,
            };
            change.into_change(|hash| self.code(hash))
        });
        let mut changes: Vec<_> = net.collect();
        changes.sort_unstable_by_key(|change| change.address);
        changes
    }

    fn account(&self, address: &Address) -> Result<Option<Account>, VersionGone> {
        match self.accounts.get(address) {
            Some(account) => Ok(account.after),
            None => self.base.read().account(address),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, VersionGone> {
        if let Some(account) = self.accounts.get(address) {
            if let Some(slot) = account.slots.get(slot) {
                return Ok(slot.after);
            }
            if account.storage == BaseStorage::Dropped {
                return Ok(U256::ZERO);
            }
        }
        self.base.read().storage(address, slot)
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
    fn account(&self, address: &Address) -> Result<Option<Account>, VersionGone> {
        match self {
            Self::Snapshot(snapshot) => snapshot.account(address),
            Self::Draft(parent) => parent.account(address),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, VersionGone> {
        match self {
            Self::Snapshot(snapshot) => snapshot.storage(address, slot),
            Self::Draft(parent) => parent.storage(address, slot),
        }
    }
}

impl DraftAccount {
    fn untouched(before: Option<Account>) -> Self {
        Self {
            before,
            after: before,
            storage: BaseStorage::Visible,
            slots: U256Map::default(),
        }
    }
}

impl ReadState for Draft {
    type Error = VersionGone;

    fn account(&self, address: &Address) -> Result<Option<Account>, VersionGone> {
        self.layer.account(address)
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
