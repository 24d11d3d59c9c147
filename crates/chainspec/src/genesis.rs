//! The genesis block: its header and the accounts it starts with.

use alloy_consensus::{EMPTY_ROOT_HASH, Header};
use alloy_eips::{
    eip1559::INITIAL_BASE_FEE, eip4844::DATA_GAS_PER_BLOB, eip7685::EMPTY_REQUESTS_HASH,
    eip7928::constants::EMPTY_BLOCK_ACCESS_LIST_HASH,
};
use alloy_genesis::Genesis;
use alloy_hardforks::EthereumHardfork as Fork;
use alloy_primitives::B256;

use crate::{ForkSchedule, GenesisError, spec::BLOBS_PER_BLOCK_MAX};

/// Most blob gas used that a genesis may state: a full block of the largest schedule.
const BLOB_GAS_USED_MAX: u64 = BLOBS_PER_BLOCK_MAX * DATA_GAS_PER_BLOB;

/// Most excess blob gas that a genesis may state: far above every usable fee, and 2^26 full blocks of the largest
/// schedule below an overflow.
const EXCESS_BLOB_GAS_MAX: u64 = 1 << 63;

/// Builds the genesis header. Fields of a fork are present exactly when it is active at genesis: base fee (EIP-1559)
/// from the genesis or 1 gwei, empty withdrawals root (EIP-4895), zero beacon root (EIP-4788), blob fields (EIP-4844),
/// empty requests hash (EIP-7685), empty access list hash (EIP-7928) and slot number (EIP-7843).
///
/// # Errors
/// [`GenesisError::BaseFee`] if the base fee needs more than 64 bits, [`GenesisError::BlobGas`] if a child's excess
/// blob gas could overflow.
pub(crate) fn genesis_header(genesis: &Genesis, forks: &ForkSchedule) -> Result<Header, GenesisError> {
    let number = genesis.number.unwrap_or_default();
    let active = |fork| {
        forks
            .activation(fork)
            .active_at_timestamp_or_number(genesis.timestamp, number)
    };
    let base_fee_per_gas = match genesis.base_fee_per_gas {
        _ if !active(Fork::London) => None,
        None => Some(INITIAL_BASE_FEE),
        Some(found) => Some(u64::try_from(found).map_err(|_| GenesisError::BaseFee { found })?),
    };
    let cancun = active(Fork::Cancun);
    let blob_gas = |field, found: Option<u64>, max| match found.unwrap_or_default() {
        _ if !cancun => Ok(None),
        found if found > max => Err(GenesisError::BlobGas { field, found, max }),
        found => Ok(Some(found)),
    };
    let amsterdam = active(Fork::Amsterdam);
    Ok(Header {
        parent_hash: genesis.parent_hash.unwrap_or_default(),
        beneficiary: genesis.coinbase,
        state_root: alloy_trie::root::state_root_ref_unhashed(&genesis.alloc),
        difficulty: genesis.difficulty,
        number,
        gas_limit: genesis.gas_limit,
        timestamp: genesis.timestamp,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: genesis.nonce.into(),
        base_fee_per_gas,
        withdrawals_root: active(Fork::Shanghai).then_some(EMPTY_ROOT_HASH),
        blob_gas_used: blob_gas("blobGasUsed", genesis.blob_gas_used, BLOB_GAS_USED_MAX)?,
        excess_blob_gas: blob_gas("excessBlobGas", genesis.excess_blob_gas, EXCESS_BLOB_GAS_MAX)?,
        parent_beacon_block_root: cancun.then_some(B256::ZERO),
        requests_hash: active(Fork::Prague).then_some(EMPTY_REQUESTS_HASH),
        block_access_list_hash: amsterdam.then_some(EMPTY_BLOCK_ACCESS_LIST_HASH),
        slot_number: amsterdam.then(|| genesis.slot_number.unwrap_or_default()),
        ..Header::default()
    })
}
