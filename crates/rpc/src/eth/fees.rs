//! Prices and their history.

use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{U64, U256};
use alloy_rpc_types_eth::{FeeHistory, TxGasAndReward};
use jsonrpsee::{core::RpcResult as Answer, proc_macros::rpc};
use rapid_primitives::SealedBlock;

use super::{
    config::price,
    context::{EthContext, now_seconds},
};
use crate::{
    error::{RpcError, RpcResult},
    gate::Deadline,
};

/// Most blocks of one fee history.
const FEE_HISTORY_BLOCKS_MAX: u64 = 1024;
/// Most percentiles of one fee history.
const PERCENTILES_MAX: usize = 100;
/// Tips taken from one block when a price is suggested: the lowest, since those were enough.
const TIPS_PER_BLOCK: usize = 3;

/// Fee queries.
#[rpc(server, namespace = "eth")]
pub trait EthFees {
    /// Suggested price of a legacy transaction in wei: base fee of the open block plus the suggested tip.
    #[method(name = "gasPrice")]
    async fn gas_price(&self) -> Answer<U256>;

    /// Suggested tip in wei.
    #[method(name = "maxPriorityFeePerGas")]
    async fn max_priority_fee_per_gas(&self) -> Answer<U256>;

    /// Price of blob gas in the next block, in wei.
    #[method(name = "blobBaseFee")]
    fn blob_base_fee(&self) -> Answer<U256>;

    /// Base fees, fullness and tips of recent sealed blocks.
    #[method(name = "feeHistory")]
    async fn fee_history(
        &self,
        count: U64,
        newest: BlockNumberOrTag,
        percentiles: Option<Vec<f64>>,
    ) -> Answer<FeeHistory>;
}

/// Answers [`EthFeesServer`].
#[derive(Clone, Debug)]
pub(crate) struct FeeMethods(pub(crate) Arc<EthContext>);

#[jsonrpsee::core::async_trait]
impl EthFeesServer for FeeMethods {
    async fn gas_price(&self) -> Answer<U256> {
        let tip = self.0.suggested_tip().await?;
        let view = self.0.chain.view();
        let base_fee = self.0.pool_head(&view).map_err(RpcError::from)?.base_fee;
        Ok(price(tip.saturating_add(base_fee.into())))
    }

    async fn max_priority_fee_per_gas(&self) -> Answer<U256> {
        Ok(price(self.0.suggested_tip().await?))
    }

    fn blob_base_fee(&self) -> Answer<U256> {
        let spec = self.0.chain.spec();
        let head = self.0.chain.view().head.clone();
        let params = spec.blob_params_at_timestamp(head.header.timestamp);
        let fee = params
            .zip(spec.next_excess_blob_gas(&head.header, now_seconds().max(head.header.timestamp + 1)))
            .map(|(params, excess)| params.calc_blob_fee(excess))
            .ok_or_else(|| {
                RpcError::Internal("excess blob gas not set: the chain is before Cancun".to_owned())
            })?;
        Ok(price(fee))
    }

    async fn fee_history(
        &self,
        count: U64,
        newest: BlockNumberOrTag,
        percentiles: Option<Vec<f64>>,
    ) -> Answer<FeeHistory> {
        let count = count.saturating_to::<u64>();
        Ok(self
            .0
            .heavy(move |context, deadline| context.fee_history(count, newest, percentiles, deadline))
            .await?)
    }
}

impl EthContext {
    /// The percentile of the lowest tips of recent blocks, as configured.
    pub(crate) async fn suggested_tip(self: &Arc<Self>) -> RpcResult<u128> {
        self.heavy(|context, deadline| context.sample_tips(deadline))
            .await
    }

    fn sample_tips(&self, deadline: Deadline) -> RpcResult<u128> {
        let oracle = &self.config.gas_oracle;
        let head = self.chain.view().head.number();
        let mut tips = Vec::new();
        for number in (1..=head)
            .rev()
            .take(usize::try_from(oracle.blocks).unwrap_or(usize::MAX))
        {
            deadline.check()?;
            let Some(block) = self.chain.block_by_number(number)? else {
                break;
            };
            tips.extend(lowest_tips(&block, oracle.ignore_price));
        }
        if tips.is_empty() {
            return Ok(oracle.default_tip.min(oracle.max_price));
        }
        tips.sort_unstable();
        let index = (tips.len() - 1) * oracle.percentile.min(100) as usize / 100;
        Ok(tips[index].min(oracle.max_price))
    }

    fn fee_history(
        &self,
        count: u64,
        newest: BlockNumberOrTag,
        percentiles: Option<Vec<f64>>,
        deadline: Deadline,
    ) -> RpcResult<FeeHistory> {
        if count == 0 {
            return Ok(FeeHistory::default());
        }
        if let Some(percentiles) = &percentiles {
            check_percentiles(percentiles)?;
        }
        let newest = self
            .sealed_number(newest)
            .ok_or_else(|| RpcError::invalid_params("block range extends beyond current head block"))?;
        let count = count.min(FEE_HISTORY_BLOCKS_MAX).min(newest + 1);
        let oldest = newest + 1 - count;
        let mut history = FeeHistory {
            oldest_block: oldest,
            ..FeeHistory::default()
        };
        let mut rewards = percentiles.as_ref().map(|_| Vec::with_capacity(count as usize));
        for number in oldest..=newest {
            deadline.check()?;
            let block = self
                .chain
                .block_by_number(number)?
                .ok_or_else(|| RpcError::BlockNotFound(format!("{number:#x}")))?;
            self.push_block(&mut history, &block);
            if let Some((rewards, percentiles)) = rewards.as_mut().zip(percentiles.as_ref()) {
                rewards.push(block_rewards(&block, percentiles));
            }
            if number == newest {
                self.push_next(&mut history, &block);
            }
        }
        history.reward = rewards;
        Ok(history)
    }

    fn push_block(&self, history: &mut FeeHistory, block: &SealedBlock) {
        let header = &block.header;
        let params = self.chain.spec().blob_params_at_timestamp(header.timestamp);
        history
            .base_fee_per_gas
            .push(header.base_fee_per_gas.unwrap_or_default().into());
        history
            .gas_used_ratio
            .push(ratio(header.gas_used, header.gas_limit));
        let blob_fee = params
            .zip(header.excess_blob_gas)
            .map_or(0, |(params, excess)| params.calc_blob_fee(excess));
        history.base_fee_per_blob_gas.push(blob_fee);
        let blob_limit = params.map_or(0, |params| params.max_blob_gas_per_block());
        history
            .blob_gas_used_ratio
            .push(ratio(header.blob_gas_used.unwrap_or_default(), blob_limit));
    }

    /// The fees of the block after the newest.
    fn push_next(&self, history: &mut FeeHistory, newest: &SealedBlock) {
        let spec = self.chain.spec();
        let timestamp = newest.header.timestamp + 1;
        let base_fee = spec.next_base_fee(&newest.header, timestamp).unwrap_or_default();
        history.base_fee_per_gas.push(base_fee.into());
        let blob_fee = spec
            .blob_params_at_timestamp(newest.header.timestamp)
            .zip(spec.next_excess_blob_gas(&newest.header, timestamp))
            .map_or(0, |(params, excess)| params.calc_blob_fee(excess));
        history.base_fee_per_blob_gas.push(blob_fee);
    }
}

fn ratio(used: u64, limit: u64) -> f64 {
    if limit == 0 {
        0.0
    } else {
        used as f64 / limit as f64
    }
}

fn check_percentiles(percentiles: &[f64]) -> RpcResult<()> {
    if percentiles.len() > PERCENTILES_MAX {
        return Err(RpcError::invalid_params(format!(
            "more than {PERCENTILES_MAX} reward percentiles"
        )));
    }
    let in_range = percentiles
        .iter()
        .all(|percentile| (0.0..=100.0).contains(percentile));
    if !in_range || percentiles.windows(2).any(|pair| pair[0] > pair[1]) {
        return Err(RpcError::invalid_params("invalid reward percentiles"));
    }
    Ok(())
}

/// The lowest tips of a block's transactions, the beneficiary's own left out.
fn lowest_tips(block: &SealedBlock, ignore_below: u128) -> Vec<u128> {
    let base_fee = block.header.base_fee_per_gas.unwrap_or_default();
    let mut tips: Vec<u128> = block
        .body
        .transactions
        .iter()
        .zip(&block.senders)
        .filter(|(_, sender)| **sender != block.header.beneficiary)
        .filter_map(|(transaction, _)| transaction.effective_tip_per_gas(base_fee))
        .filter(|tip| *tip >= ignore_below)
        .collect();
    tips.sort_unstable();
    tips.truncate(TIPS_PER_BLOCK);
    tips
}

/// The tip at each percentile of the block's gas, its transactions sorted by tip; zeros for an empty block.
fn block_rewards(block: &SealedBlock, percentiles: &[f64]) -> Vec<u128> {
    let base_fee = block.header.base_fee_per_gas.unwrap_or_default();
    let mut gas_before = 0;
    let mut transactions: Vec<TxGasAndReward> = block
        .body
        .transactions
        .iter()
        .zip(&block.receipts)
        .map(|(transaction, receipt)| {
            let gas_used = receipt.cumulative_gas_used - gas_before;
            gas_before = receipt.cumulative_gas_used;
            let reward = transaction.effective_tip_per_gas(base_fee).unwrap_or_default();
            TxGasAndReward { gas_used, reward }
        })
        .collect();
    transactions.sort();
    let mut index = 0;
    let mut gas = transactions.first().map_or(0, |first| first.gas_used);
    percentiles
        .iter()
        .map(|percentile| {
            let threshold = (block.header.gas_used as f64 * percentile / 100.0) as u64;
            while gas < threshold && index + 1 < transactions.len() {
                index += 1;
                gas += transactions[index].gas_used;
            }
            transactions
                .get(index)
                .map_or(0, |transaction| transaction.reward)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_have_to_rise_within_their_range() {
        assert!(check_percentiles(&[0.0, 25.5, 25.5, 100.0]).is_ok());
        assert!(check_percentiles(&[50.0, 25.0]).is_err());
        assert!(check_percentiles(&[-1.0]).is_err());
        assert!(check_percentiles(&[100.1]).is_err());
        assert!(check_percentiles(&[f64::NAN]).is_err());
        assert!(check_percentiles(&[1.0; 101]).is_err());
    }
}
