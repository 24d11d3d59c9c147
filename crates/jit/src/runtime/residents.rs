//! The memory that machine code takes, and who must leave when it is full.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_primitives::{B256, map::HashMap};

use super::slot::{Installed, Key, Next, Slot, SlotState};
use crate::{CompiledCode, Tier};

/// Contracts with code at most. Each has a mapping of its own, of which Linux grants a process 65,530, and running out of
/// them fails every allocation, not ours alone.
const CONTRACTS_MAX: usize = 16_384;

/// All code that can be looked up. Its lock comes before those of the slots.
///
/// The bytes of code in slots stay within `bytes_max`, their number within [`CONTRACTS_MAX`]. Beyond either the least recently used leave until a sixteenth is free,
/// so that a full memory costs one scan per sixteenth of it and not one per compilation.
#[derive(Debug)]
pub(super) struct Residents {
    by_key: HashMap<Key, Resident>,
    bytes: usize,
    bytes_max: usize,
    pub(super) contracts_max: usize,
    retired_bytes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Resident {
    slot: Arc<Slot>,
    bytes: usize,
    tier: Tier,
    /// When a sweep first saw the slot's present stamp.
    seen: Option<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    stamp: u64,
    at: Instant,
}

/// What came of [`Residents::install`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Installation {
    /// The code can be looked up; so many others had to leave for it.
    Done { evicted: usize },
    /// It alone is larger than the bound.
    TooLarge,
}

/// A resident as the profile remembers it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResidentSummary {
    pub(super) key: Key,
    pub(super) tier: Tier,
    pub(super) used: u64,
    pub(super) heat: u64,
}

impl Residents {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            by_key: HashMap::default(),
            bytes: 0,
            bytes_max,
            contracts_max: CONTRACTS_MAX,
            retired_bytes: Arc::default(),
        }
    }

    /// Puts code into its slot, in place of any that is there. `epoch` is the present one.
    pub(super) fn install(&mut self, slot: &Arc<Slot>, code: CompiledCode, epoch: u64) -> Installation {
        let (bytes, tier) = (code.resident_bytes(), code.tier());
        if bytes > self.bytes_max {
            return Installation::TooLarge;
        }
        slot.stamp(epoch);
        slot.cool();
        let installed = Arc::new(Installed::new(code, Arc::clone(&self.retired_bytes)));
        {
            let mut state = slot.state();
            state.retire();
            state.code = Some(installed);
            state.next = after(tier);
        }
        let resident = Resident {
            slot: Arc::clone(slot),
            bytes,
            tier,
            seen: None,
        };
        self.bytes += bytes;
        if let Some(replaced) = self.by_key.insert(slot.key(), resident) {
            self.bytes -= replaced.bytes;
        }
        let evicted = self.make_room(slot.key());
        debug_assert!(self.bytes <= self.bytes_max);
        Installation::Done { evicted }
    }

    /// Evicts what was not used for `idle`. Returns how many.
    pub(super) fn evict_idle(&mut self, now: Instant, idle: Duration) -> usize {
        let mut leaving = Vec::new();
        for (&key, resident) in &mut self.by_key {
            let stamp = resident.slot.used();
            match resident.seen {
                Some(seen) if seen.stamp == stamp => {
                    if now.saturating_duration_since(seen.at) >= idle {
                        leaving.push(key);
                    }
                }
                _ => resident.seen = Some(Seen { stamp, at: now }),
            }
        }
        for &key in &leaving {
            self.evict(key);
        }
        leaving.len()
    }

    /// Takes the code of a contract away for good, under all rules.
    pub(super) fn remove_all(&mut self, hash: B256) {
        let keys: Vec<Key> = self
            .by_key
            .keys()
            .copied()
            .filter(|key| key.hash == hash)
            .collect();
        for key in keys {
            self.remove(key, |state| state.next = Next::Nothing);
        }
    }

    /// Contracts with code of a tier.
    pub(super) fn count(&self, tier: Tier) -> usize {
        self.by_key
            .values()
            .filter(|resident| resident.tier == tier)
            .count()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of code that was evicted or replaced and that sessions still hold.
    pub(super) fn retired_bytes(&self) -> u64 {
        self.retired_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn summaries(&self) -> Vec<ResidentSummary> {
        self.by_key
            .iter()
            .map(|(&key, resident)| ResidentSummary {
                key,
                tier: resident.tier,
                used: resident.slot.used(),
                heat: resident.slot.warmth().total(),
            })
            .collect()
    }

    /// Evicts the least recently used, but not `newest`, if the bound is passed.
    fn make_room(&mut self, newest: Key) -> usize {
        if self.bytes <= self.bytes_max && self.by_key.len() <= self.contracts_max {
            return 0;
        }
        let enough_bytes = self.bytes_max - self.bytes_max / 16;
        let enough_contracts = self.contracts_max - self.contracts_max / 16;
        let mut by_use: Vec<(u64, Key)> = self
            .by_key
            .iter()
            .filter(|(key, _)| **key != newest)
            .map(|(&key, resident)| (resident.slot.used(), key))
            .collect();
        by_use.sort_unstable_by_key(|&(used, _)| used);
        let mut evicted = 0;
        for (_, key) in by_use {
            if self.bytes <= enough_bytes && self.by_key.len() <= enough_contracts {
                break;
            }
            self.evict(key);
            evicted += 1;
        }
        evicted
    }

    /// The contract may be compiled again when it has heated up again.
    fn evict(&mut self, key: Key) {
        self.remove(key, |state| {
            if state.next != Next::Pending {
                state.next = Next::Compile(Tier::Fast);
            }
        });
    }

    fn remove(&mut self, key: Key, change: impl FnOnce(&mut SlotState)) {
        let Some(resident) = self.by_key.remove(&key) else {
            return;
        };
        self.bytes -= resident.bytes;
        resident.slot.cool();
        let mut state = resident.slot.state();
        state.retire();
        change(&mut state);
    }
}

/// What follows code of a tier.
const fn after(tier: Tier) -> Next {
    match tier {
        Tier::Fast => Next::Compile(Tier::Optimising),
        Tier::Optimising => Next::Nothing,
    }
}
