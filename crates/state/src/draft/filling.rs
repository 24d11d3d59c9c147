//! What a draft becomes, worked out by many threads at once.
//!
//! Each works out what some changes make of some accounts, which is mostly looking for keys in the state, and then puts that
//! into the shards it belongs to, one after the other.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use rapid_primitives::AccountChange;
use revm::bytecode::Bytecode;

use super::{
    Base, Draft, DraftAccount, DraftReader, DraftSlot, Layer,
    shards::{SHARDS, Shard, shard_of_account, shard_of_slot},
};
use crate::{
    StateKey, VersionGone, code,
    reservation::Reservations,
    state::Shared,
    storages::StorageId,
    sync::{Mutex, atomic::AtomicU64},
};

/// Accounts or slots that are looked at before they are worked out.
const LOOK_AHEAD: usize = 32;

/// A draft as it was, and what threads have worked out of it so far.
#[derive(Debug)]
pub struct DraftFilling {
    own: Arc<Layer>,
    below: DraftReader,
    shards: [Mutex<Shard>; SHARDS],
    rest: Mutex<Rest>,
}

/// What is in no shard.
#[derive(Debug)]
struct Rest {
    codes: Vec<(B256, Bytecode)>,
    reserved: Reservations,
}

/// What one thread has worked out and not handed in.
#[derive(Debug)]
struct Part {
    accounts: Vec<(Address, DraftAccount)>,
    slots: Vec<(u32, DraftSlot)>,
    rest: Rest,
}

impl Draft {
    /// The draft as it is now, for threads that work out what it becomes, in about so many accounts and slots.
    #[must_use]
    pub fn filling(&self, accounts: usize, slots: usize) -> DraftFilling {
        let below = match &*self.layer.base.read() {
            Base::Snapshot(snapshot) => Self::begin(snapshot.clone()).reader(),
            Base::Draft(parent) => Self {
                layer: Arc::clone(parent),
            }
            .reader(),
        };
        DraftFilling {
            below,
            shards: std::array::from_fn(|_| Mutex::new(Shard::with_capacity(accounts, slots))),
            rest: Mutex::new(Rest::of(&self.layer)),
            own: Arc::clone(&self.layer),
        }
    }

    /// Becomes what was worked out of the draft as it is.
    ///
    /// A draft that was adopted is then again one that was not, on its old base.
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot below is overrun; the draft is then of no more use.
    ///
    /// # Panics
    /// If something was applied to the draft since, or it is another's filling.
    pub fn take_in(&mut self, filling: DraftFilling) -> Result<(), VersionGone> {
        let DraftFilling {
            shards, rest, own, ..
        } = filling;
        let is_ours = Arc::ptr_eq(&own, &self.layer);
        assert!(is_ours, "the draft is not the one that the filling is of");
        // Whatever else looks at the draft as it was goes on seeing that: then the layer is copied.
        drop(own);
        let layer = Arc::make_mut(&mut self.layer);
        layer.adopted = AtomicU64::new(0);
        layer.shards.update(shards.into_iter().map(Mutex::into_inner));
        let rest = rest.into_inner();
        layer.codes.extend(rest.codes);
        layer.reserved.absorb(rest.reserved);
        layer.check()
    }
}

impl DraftFilling {
    /// Works out what changes make of the accounts they are of. One that changes nothing is touched nevertheless. No two
    /// calls have the same account.
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot below is overrun.
    pub fn change(&self, changes: &[AccountChange]) -> Result<(), VersionGone> {
        let mut part = Part::empty(&self.own);
        part.accounts.reserve_exact(changes.len());
        let mut keys = Vec::new();
        for changes in changes.chunks(LOOK_AHEAD) {
            keys.clear();
            keys.extend(changes.iter().flat_map(keys_of));
            self.below.prefetch(&keys);
            for change in changes {
                self.change_account(&mut part, change)?;
            }
        }
        self.hand_in(part);
        Ok(())
    }

    fn change_account(&self, part: &mut Part, change: &AccountChange) -> Result<(), VersionGone> {
        let mut account = self.account(&change.address)?;
        let storage = account.change(change, &mut part.rest.reserved);
        part.accounts.push((change.address, account));
        if let Some(new) = change.code.as_ref().filter(|new| !new.code.is_empty()) {
            part.rest.codes.push((new.hash, code::analyse(new)));
        }
        match storage {
            Some(storage) => self.write_slots(part, storage, &change.storage),
            None => Ok(()),
        }
    }

    /// Works out what writing makes of some slots of an account that has storage, and whose storage is not ended at the same
    /// time. Another call must have the account, as one that is touched, and no other has these slots.
    ///
    /// # Errors
    /// [`VersionGone`] when the snapshot below is overrun.
    ///
    /// # Panics
    /// If the account has no storage.
    pub fn write(&self, address: &Address, slots: &[(U256, U256)]) -> Result<(), VersionGone> {
        let account = self.account(address)?;
        let storage = account.after.map_or(StorageId::NONE, |after| after.storage);
        assert!(!storage.is_none(), "{address} has no storage");
        let mut part = Part::empty(&self.own);
        let mut keys = Vec::new();
        for slots in slots.chunks(LOOK_AHEAD) {
            keys.clear();
            keys.extend(slots.iter().map(|(slot, _)| StateKey::Slot(*address, *slot)));
            self.below.prefetch(&keys);
            self.write_slots(&mut part, storage, slots)?;
        }
        self.hand_in(part);
        Ok(())
    }

    fn account(&self, address: &Address) -> Result<DraftAccount, VersionGone> {
        match self.own.shards.account(address) {
            Some(account) => Ok(*account),
            None => Ok(DraftAccount::untouched(self.below.record(address)?)),
        }
    }

    fn write_slots(
        &self,
        part: &mut Part,
        storage: StorageId,
        slots: &[(U256, U256)],
    ) -> Result<(), VersionGone> {
        let shared: &Shared = self.own.reserved.shared();
        let made = [&self.own.reserved, &part.rest.reserved];
        let made_here = made.iter().any(|reserved| reserved.storages().contains(&storage));
        for (slot, value) in slots {
            let known = shared.tables.slots.find(&(storage, *slot));
            if let Some((id, written)) = known.and_then(|id| Some((id, self.own.shards.slot(id)?))) {
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
            if let Some(id) = written.entry(known, &mut part.rest.reserved) {
                part.slots.push((id, written));
            }
        }
        Ok(())
    }

    fn hand_in(&self, part: Part) {
        let Part {
            accounts,
            slots,
            rest,
        } = part;
        // Threads that began at the same shard would follow each other through all of them.
        let account = accounts.first().map(|(address, _)| shard_of_account(address));
        let slot = slots.first().map(|(id, _)| shard_of_slot(*id));
        let begin = account.or(slot).unwrap_or_default();
        let accounts = Sorted::by_shard(&accounts, |(address, _)| shard_of_account(address));
        let slots = Sorted::by_shard(&slots, |(id, _)| shard_of_slot(*id));
        for number in (begin..begin + SHARDS).map(|number| number % SHARDS) {
            let (accounts, slots) = (accounts.of(number), slots.of(number));
            if accounts.len() + slots.len() > 0 {
                let mut shard = self.shards[number].lock();
                shard.accounts.extend(accounts);
                shard.slots.extend(slots);
            }
        }
        if !rest.codes.is_empty() || !rest.reserved.is_empty() {
            let mut all = self.rest.lock();
            all.codes.extend(rest.codes);
            all.reserved.absorb(rest.reserved);
        }
    }
}

/// What the state is asked for where a change is applied.
fn keys_of(change: &AccountChange) -> impl Iterator<Item = StateKey> {
    let slots = change.storage.iter();
    let slots = slots.map(|(slot, _)| StateKey::Slot(change.address, *slot));
    std::iter::once(StateKey::Account(change.address)).chain(slots)
}

/// Items by the shards they belong to.
struct Sorted<'a, T> {
    items: &'a [T],
    /// Places of the items, those of each shard together.
    order: Vec<u32>,
    /// Where the places of a shard end.
    ends: [u32; SHARDS],
}

impl<'a, T: Copy> Sorted<'a, T> {
    fn by_shard(items: &'a [T], shard_of: impl Fn(&T) -> usize) -> Self {
        let mut next = [0; SHARDS];
        for item in items {
            next[shard_of(item)] += 1;
        }
        let mut sum = 0;
        for next in &mut next {
            sum += *next;
            *next = sum - *next;
        }
        let mut order = vec![0; items.len()];
        for (place, item) in (0..).zip(items) {
            let next = &mut next[shard_of(item)];
            order[*next as usize] = place;
            *next += 1;
        }
        Self {
            items,
            order,
            ends: next,
        }
    }

    fn of(&self, shard: usize) -> impl ExactSizeIterator<Item = T> {
        let begin = shard.checked_sub(1).map_or(0, |before| self.ends[before]);
        let places = &self.order[begin as usize..self.ends[shard] as usize];
        places.iter().map(|place| self.items[*place as usize])
    }
}

impl Shard {
    /// A shard of a draft with about so many accounts and slots in all.
    fn with_capacity(accounts: usize, slots: usize) -> Self {
        let mut shard = Self::default();
        shard.accounts.reserve(accounts / SHARDS);
        shard.slots.reserve(slots / SHARDS);
        shard
    }
}

impl Rest {
    fn of(layer: &Layer) -> Self {
        Self {
            codes: Vec::new(),
            reserved: Reservations::new(Arc::clone(layer.reserved.shared())),
        }
    }
}

impl Part {
    fn empty(layer: &Layer) -> Self {
        Self {
            accounts: Vec::new(),
            slots: Vec::new(),
            rest: Rest::of(layer),
        }
    }
}
