//! A session's own memory of the contracts it runs.

use std::sync::Arc;

use alloy_primitives::B256;

use super::slot::{HeatSource, Installed, Slot};

/// Entries of a new cache that is used at all. Most EVMs serve one call and see a handful of contracts.
const LEN_MIN: usize = 16;
/// Entries at most: 36 KiB, and so much code can one session keep mapped after it was evicted, until the epoch turns.
const LEN_MAX: usize = 512;
/// An epoch that never is: the entry must be looked at.
pub(super) const STALE: u64 = 0;

/// A direct-mapped cache. It is empty and takes no memory until the first contract comes, grows as contracts get in each
/// other's way, and at its full size the newcomer replaces what is in its place.
#[derive(Debug, Default)]
pub(super) struct NearCache {
    entries: Vec<Option<Entry>>,
}

/// What a session knows about a contract.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) hash: B256,
    pub(super) code: Option<Arc<Installed>>,
    pub(super) meter: Meter,
}

/// Counts the gas that a contract burns in one session, and says when its slot is to be looked at.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) slot: Arc<Slot>,
    /// The epoch in which the slot was looked at.
    pub(super) epoch: u64,
    /// Gas burnt that the slot has not been told of.
    gas: u64,
    pub(super) gauge: Gauge,
}

/// What becomes of gas that a contract burns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gauge {
    /// The slot is told when so much has come together.
    pub(super) quantum: u64,
    /// Heat at which the contract is to be compiled (next).
    pub(super) target: u64,
}

impl Gauge {
    /// The heat matters to nobody.
    pub(super) const OFF: Self = Self {
        quantum: u64::MAX,
        target: u64::MAX,
    };
}

impl Entry {
    pub(super) fn new(slot: Arc<Slot>) -> Self {
        Self {
            hash: slot.key().hash,
            code: None,
            meter: Meter {
                slot,
                epoch: STALE,
                gas: 0,
                gauge: Gauge::OFF,
            },
        }
    }
}

impl Meter {
    #[inline]
    pub(super) fn add(&mut self, gas: u64, source: HeatSource) {
        self.gas = self.gas.saturating_add(gas);
        if self.gas >= self.gauge.quantum {
            self.pour(source);
        }
    }

    /// Tells the slot the gas it has not been told of.
    #[cold]
    pub(super) fn pour(&mut self, source: HeatSource) {
        let gas = std::mem::take(&mut self.gas);
        if gas == 0 || self.gauge == Gauge::OFF {
            return;
        }
        if self.slot.heat(source, gas) >= self.gauge.target {
            self.epoch = STALE;
        }
    }
}

impl NearCache {
    /// Where the entry of a contract is, if it was looked at in this epoch.
    #[inline]
    pub(super) fn fresh(&self, hash: &B256, epoch: u64) -> Option<usize> {
        let at = place(hash, self.entries.len());
        let entry = self.entries.get(at)?.as_ref()?;
        (entry.hash == *hash && entry.meter.epoch == epoch).then_some(at)
    }

    /// The entry that was found there.
    #[inline]
    pub(super) fn at_mut(&mut self, at: usize) -> Option<&mut Entry> {
        self.entries.get_mut(at)?.as_mut()
    }

    /// The entry of a contract, of whatever epoch.
    pub(super) fn get_mut(&mut self, hash: &B256) -> Option<&mut Entry> {
        let at = place(hash, self.entries.len());
        self.at_mut(at).filter(|entry| entry.hash == *hash)
    }

    /// Puts a contract in, and returns its entry and the one it replaced.
    pub(super) fn insert(&mut self, entry: Entry) -> (&mut Entry, Option<Entry>) {
        self.make_place(&entry.hash);
        let at = place(&entry.hash, self.entries.len());
        let replaced = self.entries[at].take();
        (self.entries[at].insert(entry), replaced)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut().flatten()
    }

    /// Grows until the place is free or the cache is full-size.
    fn make_place(&mut self, hash: &B256) {
        if self.entries.is_empty() {
            self.entries.resize_with(LEN_MIN, || None);
        }
        while self.entries.len() < LEN_MAX && self.entries[place(hash, self.entries.len())].is_some() {
            self.grow();
        }
    }

    /// Entries of one place go to two, so none is lost.
    fn grow(&mut self) {
        let len = 2 * self.entries.len();
        let old = std::mem::take(&mut self.entries);
        self.entries.resize_with(len, || None);
        for entry in old.into_iter().flatten() {
            let at = place(&entry.hash, len);
            self.entries[at] = Some(entry);
        }
    }
}

/// `len` is a power of two, or zero. A hash is as good as random; who grinds colliding ones gets the way over the shared
/// map.
#[inline]
fn place(hash: &B256, len: usize) -> usize {
    let low = u64::from_le_bytes(hash[..8].try_into().expect("a hash is longer than eight bytes"));
    low as usize & len.wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use revm::{
        context_interface::cfg::GasParams, interpreter::instructions::gas_table_spec,
        primitives::hardfork::SpecId,
    };

    use super::*;
    use crate::{
        Tier,
        runtime::{
            rules_list::RulesList,
            slot::{Key, Next, Warmth},
        },
    };

    fn entry(low: u64) -> Entry {
        let spec = SpecId::CANCUN;
        let rules = RulesList::new().id(spec, &gas_table_spec(spec), &GasParams::new_spec(spec));
        let key = Key {
            hash: hash(low),
            rules: rules.unwrap(),
        };
        let slot = Slot::new(key, Next::Compile(Tier::Fast), Warmth::default());
        Entry::new(Arc::new(slot))
    }

    fn hash(low: u64) -> B256 {
        let mut hash = B256::ZERO;
        hash[..8].copy_from_slice(&low.to_le_bytes());
        hash
    }

    #[test]
    fn grows_as_long_as_it_helps() {
        let mut cache = NearCache::default();
        assert!(cache.get_mut(&hash(1)).is_none());
        let contracts = LEN_MAX as u64;
        for low in 0..contracts {
            assert!(cache.insert(entry(low)).1.is_none());
        }
        assert!((0..contracts).all(|low| cache.get_mut(&hash(low)).is_some()));
        let (_, replaced) = cache.insert(entry(contracts));
        assert_eq!(replaced.unwrap().hash, hash(0));
        assert_eq!(cache.entries.len(), LEN_MAX);
        assert!(cache.get_mut(&hash(0)).is_none());
    }
}
