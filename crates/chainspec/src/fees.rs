//! What a block's parent determines: base fee and blob gas.

use alloy_consensus::Header;
use alloy_eips::{
    eip1559::{BaseFeeParams, INITIAL_BASE_FEE},
    eip7840::BlobParams,
};
use alloy_hardforks::EthereumHardforks;

use crate::ChainSpec;

impl ChainSpec {
    /// Blob parameters in force at `timestamp` (EIP-7840): the last parameter fork (EIP-7892) at or before it, else
    /// those of Osaka, Prague or Cancun; `None` before Cancun.
    #[must_use]
    pub fn blob_params_at_timestamp(&self, timestamp: u64) -> Option<BlobParams> {
        if let Some(params) = self.blob_schedule.active_scheduled_params_at_timestamp(timestamp) {
            return Some(*params);
        }
        if self.is_osaka_active_at_timestamp(timestamp) {
            Some(self.blob_schedule.osaka)
        } else if self.is_prague_active_at_timestamp(timestamp) {
            Some(self.blob_schedule.prague)
        } else {
            self.is_cancun_active_at_timestamp(timestamp)
                .then_some(self.blob_schedule.cancun)
        }
    }

    /// Base fee in wei of the child of `parent` (EIP-1559): 1 gwei in the first London block, `None` before it.
    ///
    /// No fork so far changes the formula by `timestamp`, the child's; it is asked for so that callers need not change
    /// when one does. A parent without the base fee it should have yields `None` as well.
    #[must_use]
    pub fn next_base_fee(&self, parent: &Header, timestamp: u64) -> Option<u64> {
        let _ = timestamp;
        if self.is_london_active_at_block(parent.number) {
            return parent.next_block_base_fee(BaseFeeParams::ethereum());
        }
        self.is_london_active_at_block(parent.number.saturating_add(1))
            .then_some(INITIAL_BASE_FEE)
    }

    /// Excess blob gas of the child of `parent` at `timestamp` (EIP-4844, with the reserve price of EIP-7918 from
    /// Osaka on), with the child's parameters; `None` before Cancun. A parent without blob fields counts as zero.
    #[must_use]
    pub fn next_excess_blob_gas(&self, parent: &Header, timestamp: u64) -> Option<u64> {
        let params = self.blob_params_at_timestamp(timestamp)?;
        Some(params.next_block_excess_blob_gas_osaka(
            parent.excess_blob_gas.unwrap_or_default(),
            parent.blob_gas_used.unwrap_or_default(),
            parent.base_fee_per_gas.unwrap_or_default(),
        ))
    }
}
