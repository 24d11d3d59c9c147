//! What the mini-blocks of a block from Amsterdam on add up to.

use std::sync::Arc;

use alloy_eip7928::compute_block_access_list_hash;
use rapid_primitives::{AccessListMerger, AmsterdamClose, AmsterdamDelta, MiniBlockBody, SealedMiniBlock};

/// Gas and access list of a block in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct AmsterdamTotals {
    gas: DimensionedGas,
    list: AccessListMerger,
}

/// Gas in the two dimensions in which a block is limited (EIP-8037).
#[derive(Clone, Copy, Debug, Default)]
struct DimensionedGas {
    execution: u64,
    state: u64,
}

impl DimensionedGas {
    const fn add(&mut self, delta: &AmsterdamDelta) {
        self.execution = self.execution.saturating_add(delta.execution_gas);
        self.state = self.state.saturating_add(delta.state_gas);
    }

    /// What the header counts.
    fn used(self) -> u64 {
        self.execution.max(self.state)
    }
}

impl AmsterdamTotals {
    /// Adds the next mini-block; `totals` are `None` as long as none says anything.
    pub(crate) fn push(totals: &mut Option<Self>, mini_block: &MiniBlockBody) {
        if let (Some(delta), Some(list)) = (&mini_block.amsterdam, mini_block.access_list()) {
            let totals = totals.get_or_insert_default();
            totals.gas.add(delta);
            totals.list.push(list);
        }
    }

    /// What the header says of it.
    pub(crate) fn finish(self) -> AmsterdamClose {
        AmsterdamClose {
            gas_used: self.gas.used(),
            block_access_list_hash: compute_block_access_list_hash(&self.list.finish()),
        }
    }
}

/// The gas that a block of these mini-blocks has used so far as its header counts it, if that is not what its receipts add up
/// to.
pub(crate) fn gas_used(mini_blocks: &[Arc<SealedMiniBlock>]) -> Option<u64> {
    let last = mini_blocks.last()?;
    let closed = last.header().close.as_ref().and_then(|close| close.amsterdam);
    if let Some(close) = closed {
        return Some(close.gas_used);
    }
    last.body().amsterdam.as_ref()?;
    let mut gas = DimensionedGas::default();
    let deltas = mini_blocks
        .iter()
        .filter_map(|mini_block| mini_block.body().amsterdam.as_ref());
    deltas.for_each(|delta| gas.add(delta));
    Some(gas.used())
}
