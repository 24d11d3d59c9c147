//! Hashes of keys, with secrets of the process: nobody outside can choose keys that meet in the index.

use std::hash::BuildHasher;

use alloy_primitives::Address;

use crate::{index::KeyHash, layout::SlotKey};

#[cfg(not(any(loom, shuttle)))]
mod hashers {
    use alloy_primitives::map::FbBuildHasher;

    pub(super) type OfAddresses = FbBuildHasher<20>;
    pub(super) type OfSlots = FbBuildHasher<32>;
}

/// No secret: a model checker takes a schedule again, and everything has to be where it was.
#[cfg(any(loom, shuttle))]
mod hashers {
    use std::hash::{BuildHasherDefault, DefaultHasher};

    pub(super) type OfAddresses = BuildHasherDefault<DefaultHasher>;
    pub(super) type OfSlots = BuildHasherDefault<DefaultHasher>;
}

/// What the hash of a table depends on besides the key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secret {
    address: hashers::OfAddresses,
    slot: hashers::OfSlots,
}

impl Secret {
    /// Hash of an account's key.
    pub(crate) fn of_address(&self, address: &Address) -> KeyHash {
        KeyHash::new(self.address.hash_one(address))
    }

    /// Hash of a slot's key. The storage is mixed in by a multiplication whose halves are folded, so that the same slot of
    /// all contracts, such as slot 0, is spread.
    pub(crate) fn of_slot(&self, (storage, slot): &SlotKey) -> KeyHash {
        /// The golden ratio, for no better reason than that its bits are irregular.
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let hash = self.slot.hash_one(slot) ^ u64::from(storage.0).wrapping_mul(ODD);
        let product = u128::from(hash) * u128::from(ODD);
        KeyHash::new((product >> 64) as u64 ^ product as u64)
    }
}
