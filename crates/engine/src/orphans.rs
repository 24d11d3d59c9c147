//! Blocks whose parent is not known yet.

use std::collections::VecDeque;

use alloy_eip7928::BlockAccessList;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Decodable;
use rapid_chain::BlockHint;
use rapid_primitives::Block;

/// Blocks kept until their parent arrives: two epochs, which is reth's bound and the most a consensus client sends
/// ahead. Beyond it the oldest goes; who sent it can send it again.
pub const ORPHANS_MAX: usize = 64;

/// A block whose hash was checked.
#[derive(Clone, Debug)]
pub(crate) struct Orphan {
    pub(crate) hash: B256,
    pub(crate) block: Block,
    /// The block access list it came with, from Amsterdam on, as it came: the list whose hash is in the header.
    pub(crate) access_list: Option<Bytes>,
}

impl Orphan {
    /// What the block says it writes. A list that cannot be decoded says nothing, and the block is refused for it once it is
    /// executed: its own list has another hash.
    pub(crate) fn hint(&self) -> Option<BlockHint> {
        let list = BlockAccessList::decode(&mut self.access_list.as_deref()?).ok()?;
        Some(BlockHint::Declared(list))
    }
}

/// Blocks that wait for their parent, in the order in which they came. Bounded by [`ORPHANS_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    oldest_first: VecDeque<Orphan>,
}

impl Orphans {
    /// Keeps a block until its parent is taken.
    pub(crate) fn insert(&mut self, orphan: Orphan) {
        if self.oldest_first.iter().any(|known| known.hash == orphan.hash) {
            return;
        }
        if self.oldest_first.len() == ORPHANS_MAX {
            self.oldest_first.pop_front();
            metrics::counter!("rapid_reth_engine_orphans_dropped_total").increment(1);
        }
        self.oldest_first.push_back(orphan);
        self.tell_size();
    }

    /// Takes out all children of a block.
    pub(crate) fn take_children(&mut self, parent: B256) -> Vec<Orphan> {
        let (children, others) = std::mem::take(&mut self.oldest_first)
            .into_iter()
            .partition::<VecDeque<_>, _>(|orphan| orphan.block.header.parent_hash == parent);
        self.oldest_first = others;
        self.tell_size();
        children.into()
    }

    fn tell_size(&self) {
        metrics::gauge!("rapid_reth_engine_orphan_blocks").set(self.oldest_first.len() as f64);
    }
}

#[cfg(test)]
mod tests {
    use rapid_primitives::Header;

    use super::*;

    fn orphan(parent: u8, hash: u64) -> Orphan {
        let header = Header {
            parent_hash: B256::repeat_byte(parent),
            ..Header::default()
        };
        Orphan {
            hash: B256::left_padding_from(&hash.to_be_bytes()),
            block: Block {
                header,
                body: Default::default(),
            },
            access_list: None,
        }
    }

    #[test]
    fn children_are_taken_once_and_in_order() {
        let mut orphans = Orphans::default();
        for (parent, hash) in [(1, 1), (2, 2), (1, 3), (1, 1)] {
            orphans.insert(orphan(parent, hash));
        }
        let taken = orphans.take_children(B256::repeat_byte(1));
        let expected = [orphan(1, 1).hash, orphan(1, 3).hash];
        assert!(taken.iter().map(|orphan| orphan.hash).eq(expected));
        assert!(orphans.take_children(B256::repeat_byte(1)).is_empty());
        assert_eq!(orphans.take_children(B256::repeat_byte(2)).len(), 1);
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let mut orphans = Orphans::default();
        for hash in 0..=ORPHANS_MAX as u64 {
            orphans.insert(orphan(1, hash));
        }
        let kept = orphans.take_children(B256::repeat_byte(1));
        assert_eq!((kept.len(), kept[0].hash), (ORPHANS_MAX, orphan(1, 1).hash));
    }
}
