//! Reference: a hash map in shards, each behind a lock.

use super::slots::{SlotKey, SlotSource, SlotStore};
use alloy_primitives::{U256, map::HashMap};
use std::sync::{PoisonError, RwLock};

const SHARDS_LOG2: u32 = 8;

/// hashbrown's map (which is the standard library's) with foldhash, in 256 shards.
pub(crate) struct ShardedMap {
    shards: Vec<RwLock<HashMap<SlotKey, U256>>>,
}

impl ShardedMap {
    /// Without slots.
    pub(crate) fn new() -> Self {
        let shards = 0..1 << SHARDS_LOG2;
        Self {
            shards: shards.map(|_| RwLock::default()).collect(),
        }
    }

    /// The cheapest choice of a shard that does for random keys: to hash once more would cost the reference time.
    fn shard(&self, (_, key): &SlotKey) -> &RwLock<HashMap<SlotKey, U256>> {
        &self.shards[(key.as_limbs()[3] >> (64 - SHARDS_LOG2)) as usize]
    }
}

impl SlotSource for ShardedMap {
    fn slot(&self, key: &SlotKey) -> eyre::Result<U256> {
        let shard = self.shard(key).read().unwrap_or_else(PoisonError::into_inner);
        Ok(shard.get(key).copied().unwrap_or_default())
    }
}

impl SlotStore for ShardedMap {
    fn write(&mut self, values: &[(SlotKey, U256)]) -> eyre::Result<()> {
        for (key, value) in values {
            let mut shard = self.shard(key).write().unwrap_or_else(PoisonError::into_inner);
            shard.insert(*key, *value);
        }
        Ok(())
    }
}
