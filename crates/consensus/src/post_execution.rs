//! What a header must say of its execution.

use alloy_eips::eip7685::Requests;
use alloy_primitives::B256;
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_primitives::Header;

use crate::{Mismatch, PostExecutionError, ReceiptsDigest};

/// What executing a block found.
#[derive(Clone, Copy, Debug)]
pub struct ExecutionOutcome<'a> {
    /// Gas used by the block.
    pub gas_used: u64,
    /// Blob gas of its transactions; ignored before Cancun.
    pub blob_gas_used: u64,
    /// Digest of its receipts.
    pub receipts: ReceiptsDigest,
    /// Its execution-layer requests; `None` before Prague.
    pub requests: Option<&'a Requests>,
    /// Hash of the block access list; `None` before Amsterdam.
    pub block_access_list_hash: Option<B256>,
    /// Root of the state after it.
    pub state_root: B256,
}

/// Checks a header against what execution found: gas, blob gas (EIP-4844), receipts root (from Byzantium on, EIP-658),
/// bloom, requests hash (EIP-7685), access list hash (EIP-7928), state root.
///
/// # Errors
/// The first difference, the state root last: the others tell more about its cause.
pub fn verify_post_execution(
    spec: &ChainSpec,
    header: &Header,
    outcome: &ExecutionOutcome<'_>,
) -> Result<(), PostExecutionError> {
    Mismatch::check(header.gas_used, outcome.gas_used).map_err(PostExecutionError::GasUsed)?;
    if let Some(found) = header.blob_gas_used {
        Mismatch::check(found, outcome.blob_gas_used).map_err(PostExecutionError::BlobGasUsed)?;
    }
    if spec.is_byzantium_active_at_block(header.number) {
        Mismatch::check(header.receipts_root, outcome.receipts.root)
            .map_err(PostExecutionError::ReceiptsRoot)?;
    }
    Mismatch::check(header.logs_bloom, outcome.receipts.logs_bloom)
        .map_err(|mismatch| PostExecutionError::LogsBloom(Box::new(mismatch)))?;
    verify_requests(header, outcome)?;
    let (found, expected) = (header.block_access_list_hash, outcome.block_access_list_hash);
    if found != expected {
        return Err(PostExecutionError::BlockAccessListHash { found, expected });
    }
    Mismatch::check(header.state_root, outcome.state_root).map_err(PostExecutionError::StateRoot)
}

fn verify_requests(header: &Header, outcome: &ExecutionOutcome<'_>) -> Result<(), PostExecutionError> {
    match (header.requests_hash, outcome.requests) {
        (Some(found), Some(requests)) => {
            Mismatch::check(found, requests.requests_hash()).map_err(PostExecutionError::RequestsHash)
        }
        (None, None) => Ok(()),
        (header, outcome) => Err(PostExecutionError::RequestsPresence {
            header: header.is_some(),
            outcome: outcome.is_some(),
        }),
    }
}
