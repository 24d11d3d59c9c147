//! What leaves stand for: places in the state.

use alloy_primitives::B256;

use crate::TrieError;

/// Values of leaves, encoded one after the other.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(crate) bytes: Vec<u8>,
    /// Where each value ends and the next one begins.
    pub(crate) ends: Vec<u32>,
}

impl Values {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Ends the value that was appended to `bytes`.
    pub(crate) fn end(&mut self) {
        self.ends.push(self.bytes.len() as u32);
    }

    pub(crate) fn get(&self, index: usize) -> &[u8] {
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        &self.bytes[start..self.ends[index] as usize]
    }
}

/// Keys and values of leaves, by their places in the state. Many at once, since each place costs a miss of the cache and
/// each key a hash.
pub(crate) trait Leaves: Sync {
    /// Appends the hashed key of each place.
    fn keys(&self, places: &[u32], keys: &mut Vec<B256>) -> Result<(), TrieError>;

    /// Appends the value of each place as RLP. `storage_roots` has one root per place where places are accounts.
    fn values(&self, places: &[u32], storage_roots: &[B256], values: &mut Values) -> Result<(), TrieError>;
}
