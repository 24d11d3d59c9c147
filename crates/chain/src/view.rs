//! What is published: an immutable picture that all readers share.

use std::sync::Arc;

use alloy_primitives::B256;
use rapid_primitives::{
    BlockEnvironment, BlockPosition, Header, MiniBlockNumber, SealedBlock, SealedMiniBlock,
};
use rapid_state::Snapshot;

use crate::amsterdam::gas_used;

/// Everything published at one moment. `latest` and `pending` are answered from one of these.
#[derive(Clone, Debug)]
pub struct View {
    /// Newest sealed EVM block.
    pub head: Arc<SealedBlock>,
    /// EVM blocks that are complete but whose header is still being computed, oldest first (at most two).
    pub closing: Vec<Arc<OpenBlock>>,
    /// The EVM block that takes transactions, if it has a published mini-block.
    pub open: Option<Arc<OpenBlock>>,
    /// The state after the newest published mini-block.
    pub state: Snapshot,
    /// Number of the newest published mini-block.
    pub mini_block: MiniBlockNumber,
}

impl View {
    /// The newest EVM block that is not sealed: open, or closing.
    #[must_use]
    pub fn newest_unsealed(&self) -> Option<&Arc<OpenBlock>> {
        self.open.as_ref().or_else(|| self.closing.last())
    }

    /// All unsealed blocks, oldest first.
    pub fn unsealed(&self) -> impl DoubleEndedIterator<Item = &Arc<OpenBlock>> {
        self.closing.iter().chain(&self.open)
    }

    /// The header of the newest block, complete or not, as the parent of the next one: the fields the next
    /// environment derives from are final as soon as the block is closed.
    #[must_use]
    pub fn newest_header(&self) -> Header {
        self.newest_unsealed()
            .map_or_else(|| self.head.header.clone(), |block| block.header_so_far())
    }

    pub(crate) fn with_mini_block(&self, mini_block: Arc<SealedMiniBlock>, state: Snapshot) -> Self {
        let mut view = Self {
            state,
            mini_block: mini_block.number(),
            ..self.clone()
        };
        let closes = mini_block.closes_block();
        let block = match view.open.take() {
            Some(open) => open.with(mini_block),
            None => OpenBlock::open(mini_block),
        };
        if closes {
            view.closing.push(Arc::new(block));
        } else {
            view.open = Some(Arc::new(block));
        }
        view
    }

    pub(crate) fn with_sealed(&self, block: Arc<SealedBlock>) -> Self {
        let mut view = self.clone();
        view.closing.retain(|closing| closing.number() > block.number());
        view.head = block;
        view
    }
}

/// An EVM block of which at least one mini-block is published and whose header is not sealed.
#[derive(Clone, Debug)]
pub struct OpenBlock {
    /// What it executes in.
    pub environment: BlockEnvironment,
    /// Hash of its parent, once that is known.
    pub parent_hash: Option<B256>,
    /// Its published mini-blocks, in order.
    pub mini_blocks: Vec<Arc<SealedMiniBlock>>,
    /// The running totals after the last of them.
    pub position: BlockPosition,
}

impl OpenBlock {
    pub(crate) fn open(first: Arc<SealedMiniBlock>) -> Self {
        Self {
            environment: first.header().environment.clone(),
            parent_hash: first.header().block_parent_hash,
            position: first.position_after(),
            mini_blocks: vec![first],
        }
    }

    fn with(&self, next: Arc<SealedMiniBlock>) -> Self {
        let mut block = self.clone();
        block.push(next);
        block
    }

    pub(crate) fn push(&mut self, next: Arc<SealedMiniBlock>) {
        self.parent_hash = next.header().block_parent_hash.or(self.parent_hash);
        self.position = next.position_after();
        self.mini_blocks.push(next);
    }

    /// Number of the EVM block.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.environment.number
    }

    /// A header with all that is known: number, time, limits, fees, gas used. Roots, bloom and what else needs the
    /// whole block are zero; so is the parent's hash while it is unknown.
    #[must_use]
    pub fn header_so_far(&self) -> Header {
        let environment = &self.environment;
        Header {
            parent_hash: self.parent_hash.unwrap_or_default(),
            number: environment.number,
            timestamp: environment.timestamp,
            beneficiary: environment.beneficiary,
            gas_limit: environment.gas_limit,
            gas_used: gas_used(&self.mini_blocks).unwrap_or(self.position.gas_used),
            base_fee_per_gas: environment.base_fee_per_gas,
            difficulty: environment.difficulty,
            mix_hash: environment.prev_randao,
            excess_blob_gas: environment.excess_blob_gas,
            blob_gas_used: environment.excess_blob_gas.map(|_| self.position.blob_gas_used),
            parent_beacon_block_root: environment.parent_beacon_block_root,
            extra_data: environment.extra_data.clone(),
            slot_number: environment.slot_number,
            ..Header::default()
        }
    }
}
