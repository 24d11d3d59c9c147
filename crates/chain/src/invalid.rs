//! Which blocks were found invalid, so that neither they nor their descendants are executed again.

use std::collections::VecDeque;

use alloy_primitives::{B256, map::B256Map};

/// Invalid blocks remembered (reth's default). The oldest goes first: it would only be executed and refused again.
pub(crate) const INVALID_BLOCKS_MAX: usize = 256;

/// Invalid blocks by hash, with the nearest ancestor that is valid.
#[derive(Debug, Default)]
pub(crate) struct InvalidBlocks {
    last_valid: B256Map<B256>,
    oldest_first: VecDeque<B256>,
}

impl InvalidBlocks {
    /// The nearest valid ancestor of an invalid block.
    pub(crate) fn last_valid_ancestor(&self, hash: &B256) -> Option<B256> {
        self.last_valid.get(hash).copied()
    }

    /// Remembers an invalid block.
    pub(crate) fn insert(&mut self, hash: B256, last_valid_ancestor: B256) {
        if self.last_valid.insert(hash, last_valid_ancestor).is_none() {
            self.oldest_first.push_back(hash);
        }
        while self.oldest_first.len() > INVALID_BLOCKS_MAX {
            if let Some(oldest) = self.oldest_first.pop_front() {
                self.last_valid.remove(&oldest);
            }
        }
        metrics::gauge!("rapid_reth_chain_invalid_blocks_entries").set(self.last_valid.len() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut invalid = InvalidBlocks::default();
        let hash = |index: usize| B256::left_padding_from(&index.to_be_bytes());
        for index in 1..=INVALID_BLOCKS_MAX + 1 {
            invalid.insert(hash(index), B256::ZERO);
            invalid.insert(hash(index), B256::ZERO);
        }
        assert_eq!(invalid.last_valid_ancestor(&hash(1)), None);
        assert_eq!(invalid.last_valid_ancestor(&hash(2)), Some(B256::ZERO));
    }
}
