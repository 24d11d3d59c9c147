//! What a header must say of its execution.

use alloy_eips::eip7685::Requests;
use alloy_primitives::B256;
use rapid_primitives::Header;

use crate::{Mismatch, PostExecutionError, ReceiptsDigest};

/// Gas of the block's limit per item of its access list (EIP-7928).
pub const BLOCK_ACCESS_LIST_ITEM_GAS: u64 = 2000;

/// What executing a block found.
#[derive(Clone, Copy, Debug)]
pub struct ExecutionOutcome<'a> {
    /// Gas used by the block.
    pub gas_used: u64,
    /// Blob gas of its transactions; ignored before Cancun.
    pub blob_gas_used: u64,
    /// Digest of its receipts, before Byzantium with the state root after each transaction
    /// ([`ReceiptsDigest::with_post_states`]).
    pub receipts: ReceiptsDigest,
    /// Its execution-layer requests; `None` before Prague.
    pub requests: Option<&'a Requests>,
    /// Hash of the block access list; `None` before Amsterdam.
    pub block_access_list_hash: Option<B256>,
    /// Addresses and storage keys in the block access list; ignored before Amsterdam.
    pub block_access_list_items: u64,
    /// Root of the state after it.
    pub state_root: B256,
}

/// Checks a header against what execution found: gas, blob gas (EIP-4844), receipts root, bloom, requests hash
/// (EIP-7685), hash and size of the access list (EIP-7928), state root.
///
/// # Errors
/// The first difference, the state root last: the others tell more about its cause.
pub fn verify_post_execution(
    header: &Header,
    outcome: &ExecutionOutcome<'_>,
) -> Result<(), PostExecutionError> {
    Mismatch::check(header.gas_used, outcome.gas_used).map_err(PostExecutionError::GasUsed)?;
    if let Some(found) = header.blob_gas_used {
        Mismatch::check(found, outcome.blob_gas_used).map_err(PostExecutionError::BlobGasUsed)?;
    }
    Mismatch::check(header.receipts_root, outcome.receipts.root).map_err(PostExecutionError::ReceiptsRoot)?;
    Mismatch::check(header.logs_bloom, outcome.receipts.logs_bloom)
        .map_err(|mismatch| PostExecutionError::LogsBloom(Box::new(mismatch)))?;
    verify_requests(header, outcome)?;
    verify_access_list(header, outcome)?;
    Mismatch::check(header.state_root, outcome.state_root).map_err(PostExecutionError::StateRoot)
}

fn verify_access_list(header: &Header, outcome: &ExecutionOutcome<'_>) -> Result<(), PostExecutionError> {
    let (found, expected) = (header.block_access_list_hash, outcome.block_access_list_hash);
    if found != expected {
        return Err(PostExecutionError::BlockAccessListHash { found, expected });
    }
    let (found, max) = (
        outcome.block_access_list_items,
        header.gas_limit / BLOCK_ACCESS_LIST_ITEM_GAS,
    );
    if expected.is_some() && found > max {
        return Err(PostExecutionError::BlockAccessListSize { found, max });
    }
    Ok(())
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
