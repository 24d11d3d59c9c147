//! What the pool must know of the open EVM block.

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
