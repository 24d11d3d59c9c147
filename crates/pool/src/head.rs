//! What the pool must know of the open EVM block.

use alloy_evm::spec_by_timestamp_and_block_number;
use rapid_chainspec::ChainSpec;
use rapid_primitives::BlockEnvironment;
use revm::primitives::hardfork::SpecId;

/// The block that transactions are admitted for: the open EVM block, or the next one if none is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadInfo {
    /// Number of the EVM block.
    pub number: u64,
    /// Its timestamp in seconds.
    pub timestamp: u64,
    /// Its base fee in wei; 0 before London.
    pub base_fee: u64,
    /// Its gas limit.
    pub gas_limit: u64,
    /// The fork it is executed under.
    pub spec: SpecId,
}

impl HeadInfo {
    /// What a block of this environment asks of transactions.
    #[must_use]
    pub fn of(spec: &ChainSpec, environment: &BlockEnvironment) -> Self {
        Self {
            number: environment.number,
            timestamp: environment.timestamp,
            base_fee: environment.base_fee_per_gas.unwrap_or_default(),
            gas_limit: environment.gas_limit,
            spec: spec_by_timestamp_and_block_number(spec, environment.timestamp, environment.number),
        }
    }
}
