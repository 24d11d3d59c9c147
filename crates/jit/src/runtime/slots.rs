//! All contracts the runtime knows, in a sharded map.

use std::sync::Arc;

use alloy_primitives::map::HashMap;
use parking_lot::RwLock;

use super::slot::{Key, Next, Slot};
use crate::Tier;

/// Parts of the map with a lock of their own. Sessions come here once per contract they meet.
const SHARDS: usize = 64;

/// [`Slot`]s by key, at most `slots_max` of them, rounded up to a multiple of the shards. When a shard is full, the colder
/// half of its contracts that have no code and wait for none is forgotten; if all have or wait, the newcomer is not
/// remembered.
#[derive(Debug)]
pub(super) struct Slots {
    shards: [RwLock<HashMap<Key, Arc<Slot>>>; SHARDS],
    shard_len_max: usize,
}

impl Slots {
    pub(super) fn new(slots_max: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            shard_len_max: slots_max.div_ceil(SHARDS),
        }
    }

    /// The contract's slot, made by `make` if it is new.
    pub(super) fn get_or_insert(&self, key: Key, make: impl FnOnce() -> Slot) -> Arc<Slot> {
        let shard = self.shard(key);
        if let Some(slot) = shard.read().get(&key) {
            return Arc::clone(slot);
        }
        let mut slots = shard.write();
        if let Some(slot) = slots.get(&key) {
            return Arc::clone(slot);
        }
        let slot = Arc::new(make());
        self.insert(&mut slots, Arc::clone(&slot));
        slot
    }

    /// Marks the contract pending if its next step is to be compiled by `tier`, and returns the slot that the map knows
    /// for it: `slot` may have been forgotten, and its place taken by another.
    ///
    /// Both locks are held, so that a pending slot is never forgotten.
    pub(super) fn claim(&self, slot: &Arc<Slot>, tier: Tier) -> Claim {
        let mut slots = self.shard(slot.key()).write();
        let known = slots.get(&slot.key()).cloned();
        let known = match known {
            Some(known) => known,
            None if self.insert(&mut slots, Arc::clone(slot)) => Arc::clone(slot),
            None => return Claim::Full,
        };
        let mut state = known.state();
        if state.next != Next::Compile(tier) {
            drop(state);
            return Claim::Taken(known);
        }
        state.next = Next::Pending;
        drop(state);
        Claim::Made(known)
    }

    /// Contracts known.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    /// Contracts known at most.
    pub(super) const fn len_max(&self) -> usize {
        self.shard_len_max * SHARDS
    }

    fn shard(&self, key: Key) -> &RwLock<HashMap<Key, Arc<Slot>>> {
        &self.shards[usize::from(key.hash[31]) % SHARDS]
    }

    /// Whether there was room.
    fn insert(&self, slots: &mut HashMap<Key, Arc<Slot>>, slot: Arc<Slot>) -> bool {
        if slots.len() >= self.shard_len_max {
            forget_colder_half(slots);
        }
        let has_room = slots.len() < self.shard_len_max;
        if has_room {
            slots.insert(slot.key(), slot);
        }
        has_room
    }
}

/// What came of [`Slots::claim`].
#[derive(Debug)]
pub(super) enum Claim {
    /// The caller compiles it.
    Made(Arc<Slot>),
    /// Somebody else does or did.
    Taken(Arc<Slot>),
    /// There is no room to know it.
    Full,
}

/// Halves a shard at a time, so that a newcomer pays for its share of the scan only.
fn forget_colder_half(slots: &mut HashMap<Key, Arc<Slot>>) {
    let mut cold: Vec<(u64, Key)> = slots
        .values()
        .filter(|slot| slot.is_forgettable())
        .map(|slot| (slot.warmth().total(), slot.key()))
        .collect();
    if cold.is_empty() {
        return;
    }
    let half = cold.len().div_ceil(2);
    cold.select_nth_unstable_by_key(half - 1, |&(heat, _)| heat);
    for (_, key) in &cold[..half] {
        slots.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use revm::primitives::hardfork::SpecId;

    use super::*;
    use crate::{
        Rules,
        runtime::{rules_list::RulesList, slot::Warmth},
    };

    /// Keys of one shard.
    fn key(number: u64) -> Key {
        let rules = Rules::ethereum(SpecId::CANCUN);
        let table = std::array::from_fn(|opcode| rules.static_gas(opcode as u8) as u16);
        let list = RulesList::new();
        let mut hash = B256::ZERO;
        hash[..8].copy_from_slice(&number.to_be_bytes());
        Key {
            hash,
            rules: list.id(rules.spec(), &table, rules.gas_params()).unwrap(),
        }
    }

    fn slot(number: u64, heat: u64) -> Slot {
        let warmth = Warmth {
            paid: heat,
            called: 0,
        };
        Slot::new(key(number), Next::Compile(Tier::Fast), warmth)
    }

    fn knows(slots: &Slots, number: u64) -> bool {
        slots.shard(key(number)).read().contains_key(&key(number))
    }

    #[test]
    fn full_shard_forgets_the_colder_half() {
        let slots = Slots::new(8 * SHARDS);
        for number in 0..8 {
            slots.get_or_insert(key(number), || slot(number, 100 - number));
        }
        assert_eq!(slots.len(), 8);
        slots.get_or_insert(key(8), || slot(8, 0));
        assert_eq!(slots.len(), 5);
        assert!((0..4).all(|number| knows(&slots, number)));
        assert!((4..8).all(|number| !knows(&slots, number)));
        assert!(knows(&slots, 8));
    }

    #[test]
    fn pending_slots_are_kept_and_bound_holds() {
        let slots = Slots::new(4 * SHARDS);
        for number in 0..4 {
            let slot = slots.get_or_insert(key(number), || slot(number, number));
            assert!(matches!(slots.claim(&slot, Tier::Fast), Claim::Made(_)));
            assert!(matches!(slots.claim(&slot, Tier::Fast), Claim::Taken(_)));
        }
        let newcomer = slots.get_or_insert(key(9), || slot(9, 1000));
        assert_eq!(slots.len(), 4);
        assert!(!knows(&slots, 9));
        assert!(matches!(slots.claim(&newcomer, Tier::Fast), Claim::Full));
        assert_eq!(newcomer.state().next, Next::Compile(Tier::Fast));
    }

    #[test]
    fn forgotten_slot_gives_way_to_the_known_one() {
        let slots = Slots::new(8 * SHARDS);
        let forgotten = Arc::new(slot(1, 5));
        let known = slots.get_or_insert(key(1), || slot(1, 0));
        let Claim::Made(claimed) = slots.claim(&forgotten, Tier::Fast) else {
            panic!("nobody else claimed it");
        };
        assert!(Arc::ptr_eq(&claimed, &known));
    }
}
