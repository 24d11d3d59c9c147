//! What a header must satisfy as the child of its parent.

use alloy_consensus::Header;
use alloy_eips::eip1559::{DEFAULT_ELASTICITY_MULTIPLIER, GAS_LIMIT_BOUND_DIVISOR};
use alloy_primitives::B256;
use rapid_chainspec::{ChainSpec, EthereumHardfork as Fork, EthereumHardforks};

use crate::{HeaderError, HeaderField, Mismatch, next_difficulty};

/// Checks a header against its parent: parent hash, number, timestamp, the gas limit's bound, base fee (EIP-1559),
/// difficulty before the merge, and excess blob gas (EIP-4844, EIP-7918).
///
/// `parent_hash` is the hash of `parent`. What a header must satisfy by itself is [`verify_header`](crate::verify_header).
///
/// # Errors
/// The first rule that is broken.
pub fn verify_header_against_parent(
    spec: &ChainSpec,
    header: &Header,
    parent: &Header,
    parent_hash: B256,
) -> Result<(), HeaderError> {
    Mismatch::check(header.parent_hash, parent_hash).map_err(HeaderError::ParentHash)?;
    if parent.number.checked_add(1) != Some(header.number) {
        return Err(HeaderError::Number {
            parent: parent.number,
            found: header.number,
        });
    }
    if header.timestamp <= parent.timestamp {
        return Err(HeaderError::Timestamp {
            parent: parent.timestamp,
            found: header.timestamp,
        });
    }
    verify_gas_limit(spec, header, parent)?;
    verify_base_fee(spec, header, parent)?;
    if !spec.is_paris_active_at_block(header.number) {
        let expected = next_difficulty(spec, parent, header.timestamp);
        Mismatch::check(header.difficulty, expected).map_err(HeaderError::Difficulty)?;
    }
    verify_excess_blob_gas(spec, header, parent)
}

/// The parent's gas limit as the bound sees it: doubled for the first London block, whose limit is twice its target
/// (EIP-1559).
pub(crate) fn bounding_gas_limit(spec: &ChainSpec, parent: &Header) -> u64 {
    if spec
        .ethereum_fork_activation(Fork::London)
        .transitions_at_block(parent.number.saturating_add(1))
    {
        parent.gas_limit.saturating_mul(DEFAULT_ELASTICITY_MULTIPLIER)
    } else {
        parent.gas_limit
    }
}

fn verify_gas_limit(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), HeaderError> {
    let parent_limit = bounding_gas_limit(spec, parent);
    let bound = parent_limit / GAS_LIMIT_BOUND_DIVISOR;
    if header.gas_limit.abs_diff(parent_limit) >= bound {
        return Err(HeaderError::GasLimitChange {
            parent: parent_limit,
            found: header.gas_limit,
            bound,
        });
    }
    Ok(())
}

fn verify_base_fee(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), HeaderError> {
    if !spec.is_london_active_at_block(header.number) {
        return Ok(());
    }
    let missing = HeaderError::FieldMissing {
        field: HeaderField::BaseFeePerGas,
        fork: Fork::London,
    };
    let (Some(found), Some(expected)) = (
        header.base_fee_per_gas,
        spec.next_base_fee(parent, header.timestamp),
    ) else {
        return Err(missing);
    };
    Mismatch::check(found, expected).map_err(HeaderError::BaseFee)
}

fn verify_excess_blob_gas(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), HeaderError> {
    let Some(expected) = spec.next_excess_blob_gas(parent, header.timestamp) else {
        return Ok(());
    };
    let missing = HeaderError::FieldMissing {
        field: HeaderField::ExcessBlobGas,
        fork: Fork::Cancun,
    };
    let found = header.excess_blob_gas.ok_or(missing)?;
    Mismatch::check(found, expected).map_err(HeaderError::ExcessBlobGas)
}
