//! What a header must satisfy by itself.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_primitives::{Bytes, U256};
use rapid_chainspec::{ChainSpec, EthereumHardfork as Fork, EthereumHardforks, ForkCondition};

use crate::{HeaderError, HeaderField, Mismatch};

/// Lowest gas limit of a block (yellow paper, 4.4.4).
pub const MIN_GAS_LIMIT: u64 = 5000;

/// Highest gas limit of a block (EIP-1985).
pub const MAX_GAS_LIMIT: u64 = i64::MAX as u64;

/// Most bytes of extra data (yellow paper, 4.4.4).
pub const MAX_EXTRA_DATA_BYTES: usize = 32;

/// Marker in the extra data of the first [`DAO_MARKED_BLOCKS`] blocks of the DAO fork (EIP-779).
const DAO_EXTRA_DATA: &[u8] = b"dao-hard-fork";

/// Number of blocks that carry the DAO marker (EIP-779).
const DAO_MARKED_BLOCKS: u64 = 10;

/// Checks a header, other than genesis, without its parent: gas bounds, extra data, the constants of proof of stake
/// (EIP-3675), the fields each fork adds, and the bounds of blob gas (EIP-4844).
///
/// # Errors
/// The first rule that is broken.
pub fn verify_header(spec: &ChainSpec, header: &Header) -> Result<(), HeaderError> {
    verify_gas(header)?;
    verify_extra_data(header)?;
    if spec.is_paris_active_at_block(header.number) {
        verify_proof_of_stake_constants(header)?;
    } else {
        verify_dao_marker(spec, header)?;
    }
    verify_fields(spec, header)?;
    verify_blob_gas(spec, header)
}

const fn verify_gas(header: &Header) -> Result<(), HeaderError> {
    if header.gas_limit < MIN_GAS_LIMIT || header.gas_limit > MAX_GAS_LIMIT {
        let (min, max) = (MIN_GAS_LIMIT, MAX_GAS_LIMIT);
        return Err(HeaderError::GasLimitBounds {
            found: header.gas_limit,
            min,
            max,
        });
    }
    if header.gas_used > header.gas_limit {
        return Err(HeaderError::GasUsed {
            gas_used: header.gas_used,
            gas_limit: header.gas_limit,
        });
    }
    Ok(())
}

fn verify_extra_data(header: &Header) -> Result<(), HeaderError> {
    let (found, max) = (header.extra_data.len(), MAX_EXTRA_DATA_BYTES);
    if found > max {
        Err(HeaderError::ExtraDataLength { found, max })
    } else {
        Ok(())
    }
}

fn verify_proof_of_stake_constants(header: &Header) -> Result<(), HeaderError> {
    Mismatch::check(header.difficulty, U256::ZERO).map_err(HeaderError::Difficulty)?;
    if !header.nonce.is_zero() {
        return Err(HeaderError::Nonce {
            found: header.nonce.into(),
        });
    }
    Mismatch::check(header.ommers_hash, EMPTY_OMMER_ROOT_HASH).map_err(HeaderError::OmmersHash)
}

/// The marker is a rule of proof of work: a chain that has the DAO fork at genesis and is merged from the start, as
/// development chains do, has no marked blocks.
fn verify_dao_marker(spec: &ChainSpec, header: &Header) -> Result<(), HeaderError> {
    let ForkCondition::Block(dao) = spec.ethereum_fork_activation(Fork::Dao) else {
        return Ok(());
    };
    if header.number < dao || header.number - dao >= DAO_MARKED_BLOCKS {
        return Ok(());
    }
    Mismatch::check(header.extra_data.clone(), Bytes::from_static(DAO_EXTRA_DATA))
        .map_err(HeaderError::DaoExtraData)
}

/// Every field is present from its fork on and absent before.
fn verify_fields(spec: &ChainSpec, header: &Header) -> Result<(), HeaderError> {
    let fields = [
        (
            HeaderField::BaseFeePerGas,
            Fork::London,
            header.base_fee_per_gas.is_some(),
        ),
        (
            HeaderField::WithdrawalsRoot,
            Fork::Shanghai,
            header.withdrawals_root.is_some(),
        ),
        (
            HeaderField::BlobGasUsed,
            Fork::Cancun,
            header.blob_gas_used.is_some(),
        ),
        (
            HeaderField::ExcessBlobGas,
            Fork::Cancun,
            header.excess_blob_gas.is_some(),
        ),
        (
            HeaderField::ParentBeaconBlockRoot,
            Fork::Cancun,
            header.parent_beacon_block_root.is_some(),
        ),
        (
            HeaderField::RequestsHash,
            Fork::Prague,
            header.requests_hash.is_some(),
        ),
        (
            HeaderField::BlockAccessListHash,
            Fork::Amsterdam,
            header.block_access_list_hash.is_some(),
        ),
        (
            HeaderField::SlotNumber,
            Fork::Amsterdam,
            header.slot_number.is_some(),
        ),
    ];
    for (field, fork, present) in fields {
        let condition = spec.ethereum_fork_activation(fork);
        let active = condition.active_at_timestamp_or_number(header.timestamp, header.number);
        match (active, present) {
            (true, false) => return Err(HeaderError::FieldMissing { field, fork }),
            (false, true) => return Err(HeaderError::FieldUnexpected { field, fork }),
            _ => {}
        }
    }
    Ok(())
}

fn verify_blob_gas(spec: &ChainSpec, header: &Header) -> Result<(), HeaderError> {
    let (Some(found), Some(params)) = (
        header.blob_gas_used,
        spec.blob_params_at_timestamp(header.timestamp),
    ) else {
        return Ok(());
    };
    if found % DATA_GAS_PER_BLOB != 0 {
        return Err(HeaderError::BlobGasUnit {
            found,
            gas_per_blob: DATA_GAS_PER_BLOB,
        });
    }
    let max = params.max_blob_gas_per_block();
    if found > max {
        Err(HeaderError::BlobGasUsed { found, max })
    } else {
        Ok(())
    }
}
