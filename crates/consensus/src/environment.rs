//! The environment of the next block, which the rules determine but for a few attributes.

use alloy_eips::eip1559::calculate_block_gas_limit;
use alloy_primitives::{Address, B256, Bytes, U256};
use rapid_chainspec::{ChainSpec, EthereumHardfork as Fork, EthereumHardforks};
use rapid_primitives::{BlockEnvironment, Header};

use crate::{
    HeaderField, MAX_EXTRA_DATA_BYTES, MAX_GAS_LIMIT, MIN_GAS_LIMIT, next_difficulty,
    parent::bounding_gas_limit,
};

/// What a builder is free to choose, or is told by a consensus client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NextBlockAttributes {
    /// Seconds since the epoch; greater than the parent's.
    pub timestamp: u64,
    /// Receiver of the priority fees.
    pub beneficiary: Address,
    /// `PREVRANDAO` (EIP-4399).
    pub prev_randao: B256,
    /// Parent beacon block root (EIP-4788): present from Cancun on, and only then.
    pub parent_beacon_block_root: Option<B256>,
    /// The gas limit to move towards; a block moves it by less than a 1024th.
    pub gas_limit_target: u64,
    /// Extra data, at most 32 bytes.
    pub extra_data: Bytes,
    /// Number of the beacon slot (EIP-7843), for blocks from Amsterdam on and only those. Where nobody tells, as on a chain
    /// without beacon slots, a block has the slot after its parent's, and the first such block its own number: so slots
    /// increase, and are the same whoever builds the block.
    pub slot_number: Option<u64>,
}

/// Attributes that no valid block can have. Whoever asked for the block has to act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// Not after the parent.
    #[error("timestamp {found} is not after the parent's {parent}")]
    Timestamp {
        /// The parent's, in seconds.
        parent: u64,
        /// The one asked for.
        found: u64,
    },
    /// Too much extra data.
    #[error("extra data has {found} bytes, more than {max}")]
    ExtraDataLength {
        /// Length in bytes.
        found: usize,
        /// Most bytes allowed.
        max: usize,
    },
    /// Missing although its fork is active.
    #[error("missing {field} from {fork} on")]
    AttributeMissing {
        /// The header field that it fills.
        field: HeaderField,
        /// The active fork.
        fork: Fork,
    },
    /// Given although its fork is not active.
    #[error("unexpected {field} before {fork}")]
    AttributeUnexpected {
        /// The header field that it would fill.
        field: HeaderField,
        /// The fork that is not active yet.
        fork: Fork,
    },
    /// The parent lacks the base fee that its fork requires, so it has no child.
    #[error("the parent, block {number}, has no base fee")]
    ParentBaseFee {
        /// The parent's number.
        number: u64,
    },
}

/// The environment of the child of `parent`: number, gas limit, base fee (EIP-1559), excess blob gas (EIP-4844),
/// difficulty and, unless it is told, the slot number (EIP-7843) follow from the parent, the rest is `attributes`.
///
/// # Errors
/// [`EnvironmentError`] if the attributes fit no valid block.
pub fn next_block_environment(
    spec: &ChainSpec,
    parent: &Header,
    attributes: NextBlockAttributes,
) -> Result<BlockEnvironment, EnvironmentError> {
    verify_attributes(spec, parent, &attributes)?;
    let number = parent.number + 1;
    let timestamp = attributes.timestamp;
    let base_fee_per_gas = spec.next_base_fee(parent, timestamp);
    if base_fee_per_gas.is_none() && spec.is_london_active_at_block(number) {
        return Err(EnvironmentError::ParentBaseFee {
            number: parent.number,
        });
    }
    let difficulty = if spec.is_paris_active_at_block(number) {
        U256::ZERO
    } else {
        next_difficulty(spec, parent, timestamp)
    };
    Ok(BlockEnvironment {
        number,
        timestamp,
        beneficiary: attributes.beneficiary,
        gas_limit: next_gas_limit(spec, parent, attributes.gas_limit_target),
        base_fee_per_gas,
        difficulty,
        prev_randao: attributes.prev_randao,
        excess_blob_gas: spec.next_excess_blob_gas(parent, timestamp),
        parent_beacon_block_root: attributes.parent_beacon_block_root,
        extra_data: attributes.extra_data,
        slot_number: next_slot_number(spec, parent, timestamp, attributes.slot_number),
    })
}

fn next_slot_number(spec: &ChainSpec, parent: &Header, timestamp: u64, told: Option<u64>) -> Option<u64> {
    if !spec.is_amsterdam_active_at_timestamp(timestamp) {
        return None;
    }
    let next = |slot: u64| slot.saturating_add(1);
    told.or_else(|| parent.slot_number.map(next))
        .or(Some(next(parent.number)))
}

/// The gas limit nearest to `target` that the child of `parent` may have.
#[must_use]
pub fn next_gas_limit(spec: &ChainSpec, parent: &Header, target: u64) -> u64 {
    calculate_block_gas_limit(
        bounding_gas_limit(spec, parent),
        target.clamp(MIN_GAS_LIMIT, MAX_GAS_LIMIT),
    )
}

fn verify_attributes(
    spec: &ChainSpec,
    parent: &Header,
    attributes: &NextBlockAttributes,
) -> Result<(), EnvironmentError> {
    let timestamp = attributes.timestamp;
    if timestamp <= parent.timestamp {
        return Err(EnvironmentError::Timestamp {
            parent: parent.timestamp,
            found: timestamp,
        });
    }
    let (found, max) = (attributes.extra_data.len(), MAX_EXTRA_DATA_BYTES);
    if found > max {
        return Err(EnvironmentError::ExtraDataLength { found, max });
    }
    if attributes.slot_number.is_some() && !spec.is_amsterdam_active_at_timestamp(timestamp) {
        return Err(EnvironmentError::AttributeUnexpected {
            field: HeaderField::SlotNumber,
            fork: Fork::Amsterdam,
        });
    }
    let (field, fork) = (HeaderField::ParentBeaconBlockRoot, Fork::Cancun);
    match (
        spec.is_cancun_active_at_timestamp(timestamp),
        attributes.parent_beacon_block_root.is_some(),
    ) {
        (true, false) => Err(EnvironmentError::AttributeMissing { field, fork }),
        (false, true) => Err(EnvironmentError::AttributeUnexpected { field, fork }),
        _ => Ok(()),
    }
}
