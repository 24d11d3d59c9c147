//! The header of a finished block.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{B64, B256};
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_primitives::{BlockEnvironment, Header};

use crate::ReceiptsDigest;

/// What a block turned out to be: everything of its header that its environment does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockResult {
    /// Hash of the parent's header.
    pub parent_hash: B256,
    /// Root of the state after the block.
    pub state_root: B256,
    /// Root of its transactions.
    pub transactions_root: B256,
    /// Digest of its receipts.
    pub receipts: ReceiptsDigest,
    /// Gas used.
    pub gas_used: u64,
    /// Blob gas used; left out of the header before Cancun.
    pub blob_gas_used: u64,
    /// Root of its withdrawals (EIP-4895), `None` for none; left out of the header before Shanghai.
    pub withdrawals_root: Option<B256>,
    /// Hash of its requests (EIP-7685), `None` for none; left out of the header before Prague.
    pub requests_hash: Option<B256>,
    /// Hash of its access list (EIP-7928); `None` before Amsterdam.
    pub block_access_list_hash: Option<B256>,
}

/// Assembles the header of a block built in `environment`: exactly the fields of the forks active in it, no ommers, and
/// a zero nonce.
#[must_use]
pub fn assemble_header(spec: &ChainSpec, environment: &BlockEnvironment, result: &BlockResult) -> Header {
    let timestamp = environment.timestamp;
    let cancun = spec.is_cancun_active_at_timestamp(timestamp);
    Header {
        parent_hash: result.parent_hash,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: environment.beneficiary,
        state_root: result.state_root,
        transactions_root: result.transactions_root,
        receipts_root: result.receipts.root,
        logs_bloom: result.receipts.logs_bloom,
        difficulty: environment.difficulty,
        number: environment.number,
        gas_limit: environment.gas_limit,
        gas_used: result.gas_used,
        timestamp,
        extra_data: environment.extra_data.clone(),
        mix_hash: environment.prev_randao,
        nonce: B64::ZERO,
        base_fee_per_gas: environment.base_fee_per_gas,
        withdrawals_root: spec
            .is_shanghai_active_at_timestamp(timestamp)
            .then(|| result.withdrawals_root.unwrap_or(EMPTY_ROOT_HASH)),
        blob_gas_used: cancun.then_some(result.blob_gas_used),
        excess_blob_gas: environment.excess_blob_gas,
        parent_beacon_block_root: environment.parent_beacon_block_root,
        requests_hash: spec
            .is_prague_active_at_timestamp(timestamp)
            .then(|| result.requests_hash.unwrap_or(EMPTY_REQUESTS_HASH)),
        block_access_list_hash: result.block_access_list_hash,
        slot_number: environment.slot_number,
    }
}
