//! The environment an EVM block executes in, fixed when the block opens.

use alloy_primitives::{Address, B256, Bytes, U256};

/// Every field of the coming EVM header that cannot be derived from the block's contents.
///
/// The parent's hash is not here: block N+1 opens before the hash of block N is known, so a mini-block carries it
/// separately once it is there ([`crate::MiniBlockHeader::block_parent_hash`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockEnvironment {
    /// Number of the EVM block.
    pub number: u64,
    /// Seconds since the epoch; greater than the parent's.
    pub timestamp: u64,
    /// Receiver of the priority fees.
    pub beneficiary: Address,
    /// Gas limit of the block.
    pub gas_limit: u64,
    /// Base fee in wei; `None` before London.
    pub base_fee_per_gas: Option<u64>,
    /// Difficulty; zero from Paris on.
    pub difficulty: U256,
    /// `PREVRANDAO` (EIP-4399), the header's mix hash.
    pub prev_randao: B256,
    /// Excess blob gas (EIP-4844); `None` before Cancun.
    pub excess_blob_gas: Option<u64>,
    /// Parent beacon block root (EIP-4788); `None` before Cancun.
    pub parent_beacon_block_root: Option<B256>,
    /// Extra data of the header, at most 32 bytes.
    pub extra_data: Bytes,
    /// Number of the beacon slot (EIP-7843); `None` before Amsterdam.
    pub slot_number: Option<u64>,
}
