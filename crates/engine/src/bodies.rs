//! Bodies of canonical blocks, for a consensus client that stores headers alone.

use alloy_primitives::B256;
use alloy_rpc_types_engine::ExecutionPayloadBodyV1;
use rapid_chain::Chain;
use rapid_primitives::SealedBlock;

use crate::EngineError;

/// Bodies answered at once (reth's bound; the specification asks for 32).
pub const BODIES_MAX: u64 = 1_024;

/// The bodies of blocks by hash; `None` for a block that is not canonical. Reads from disk.
///
/// # Errors
/// [`EngineError::TooLargeRequest`] above [`BODIES_MAX`].
pub fn payload_bodies_by_hash(
    chain: &Chain,
    hashes: &[B256],
) -> Result<Vec<Option<ExecutionPayloadBodyV1>>, EngineError> {
    check_count(hashes.len() as u64)?;
    hashes
        .iter()
        .map(|hash| Ok(chain.block_by_hash(*hash)?.map(|block| body(&block))))
        .collect()
}

/// The bodies of `count` blocks from `start` on, up to the head. Reads from disk.
///
/// # Errors
/// [`EngineError::InvalidParams`] if one of them is zero, [`EngineError::TooLargeRequest`] above [`BODIES_MAX`].
pub fn payload_bodies_by_range(
    chain: &Chain,
    start: u64,
    count: u64,
) -> Result<Vec<Option<ExecutionPayloadBodyV1>>, EngineError> {
    if start == 0 || count == 0 {
        return Err(EngineError::params("start and count must be at least 1"));
    }
    check_count(count)?;
    let last = start.saturating_add(count - 1).min(chain.view().head.number());
    (start..=last)
        .map(|number| Ok(chain.block_by_number(number)?.map(|block| body(&block))))
        .collect()
}

const fn check_count(requested: u64) -> Result<(), EngineError> {
    if requested > BODIES_MAX {
        return Err(EngineError::TooLargeRequest {
            requested,
            max: BODIES_MAX,
        });
    }
    Ok(())
}

fn body(block: &SealedBlock) -> ExecutionPayloadBodyV1 {
    ExecutionPayloadBodyV1::new(block.body.withdrawals.clone(), &block.body.transactions)
}
