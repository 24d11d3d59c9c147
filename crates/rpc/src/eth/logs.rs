//! Log queries over sealed blocks, and over the open one where it is asked for.

use std::sync::Arc;

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::B256;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
use jsonrpsee::{core::RpcResult as Answer, proc_macros::rpc};
use rapid_chain::View;
use rapid_primitives::{Receipt, SealedBlock, SealedMiniBlock, TransactionSigned};

use super::context::{EthContext, hash_not_found};
use crate::{
    convert::{self, Place},
    error::{RpcError, RpcResult},
    gate::Deadline,
};

/// Blocks between two looks at the clock.
const BLOCKS_PER_CHECK: u64 = 256;

/// Log queries.
#[rpc(server, namespace = "eth")]
pub trait EthLogs {
    /// The logs that match a filter.
    #[method(name = "getLogs")]
    async fn logs(&self, filter: Filter) -> Answer<Vec<Log>>;
}

/// Answers [`EthLogsServer`].
#[derive(Clone, Debug)]
pub(crate) struct LogMethods(pub(crate) Arc<EthContext>);

#[jsonrpsee::core::async_trait]
impl EthLogsServer for LogMethods {
    async fn logs(&self, filter: Filter) -> Answer<Vec<Log>> {
        Ok(self
            .0
            .heavy(move |context, deadline| context.logs(&filter, deadline))
            .await?)
    }
}

/// Blocks by number, both ends included. What is above the head is not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BlockRange {
    from: u64,
    to: u64,
}

/// The blocks there are.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// Newest sealed one.
    head: u64,
    /// Newest one at all.
    newest: u64,
}

impl BlockRange {
    /// The range that a filter names. `resolve` gives the number of a tag that is neither `latest` nor `pending`.
    ///
    /// Without ends it is the newest sealed block. Unsealed blocks belong to it if `pending` or their number names
    /// them: the number of a receipt must not lie beyond the head.
    fn of_filter(
        (from, to): (Option<BlockNumberOrTag>, Option<BlockNumberOrTag>),
        extent: Extent,
        resolve: impl Fn(BlockNumberOrTag) -> Option<u64>,
    ) -> RpcResult<Self> {
        let number = |tag| match tag {
            BlockNumberOrTag::Latest => Some(extent.head),
            BlockNumberOrTag::Pending => Some(extent.newest),
            BlockNumberOrTag::Number(number) => Some(number),
            tag => resolve(tag),
        };
        let unknown = || RpcError::BlockNotFound("end of the range".to_owned());
        let from = number(from.unwrap_or_default()).ok_or_else(unknown)?;
        let open_end = matches!(to, None | Some(BlockNumberOrTag::Latest));
        let mut to = number(to.unwrap_or_default()).ok_or_else(unknown)?;
        if open_end && from > extent.head && from <= extent.newest {
            to = extent.newest;
        }
        if from.max(to) > extent.newest {
            return Err(RpcError::invalid_params(
                "block range extends beyond current head block",
            ));
        }
        if from > to {
            return Err(RpcError::invalid_params("invalid block range params"));
        }
        Ok(Self { from, to })
    }
}

impl EthContext {
    /// The logs that match a filter.
    pub(crate) fn logs(&self, filter: &Filter, deadline: Deadline) -> RpcResult<Vec<Log>> {
        let (from, to) = match filter.block_option {
            FilterBlockOption::AtBlockHash(hash) => return self.logs_of_block(filter, hash),
            FilterBlockOption::Range { from_block, to_block } => (from_block, to_block),
        };
        let view = self.chain.view();
        let head = view.head.number();
        let extent = Extent {
            head,
            newest: view.newest_unsealed().map_or(head, |open| open.number()),
        };
        let range = BlockRange::of_filter((from, to), extent, |tag| self.sealed_number(tag))?;
        self.logs_of_range(filter, range, &view, deadline)
    }

    /// The logs of sealed blocks from `from` to the head that match a filter, and the number after the last of them.
    pub(crate) fn logs_since(
        &self,
        filter: &Filter,
        from: u64,
        deadline: Deadline,
    ) -> RpcResult<(Vec<Log>, u64)> {
        let view = self.chain.view();
        let head = view.head.number();
        if from > head {
            return Ok((Vec::new(), from));
        }
        Ok((
            self.logs_of_range(filter, BlockRange { from, to: head }, &view, deadline)?,
            head + 1,
        ))
    }

    fn logs_of_block(&self, filter: &Filter, hash: B256) -> RpcResult<Vec<Log>> {
        let block = self
            .chain
            .block_by_hash(hash)?
            .ok_or_else(|| hash_not_found(hash))?;
        let mut logs = Vec::new();
        append_matching(&mut logs, filter, block_logs(&block));
        Ok(logs)
    }

    fn logs_of_range(
        &self,
        filter: &Filter,
        range: BlockRange,
        view: &View,
        deadline: Deadline,
    ) -> RpcResult<Vec<Log>> {
        let blocks_max = self.config.log_blocks_max;
        if blocks_max > 0 && range.to - range.from > blocks_max {
            return Err(RpcError::invalid_params(format!(
                "query exceeds max block range {blocks_max}"
            )));
        }
        let mut logs = Vec::new();
        for number in range.from..=range.to.min(view.head.number()) {
            if (number - range.from).is_multiple_of(BLOCKS_PER_CHECK) {
                deadline.check()?;
            }
            if let Some(block) = self.block_if_bloom_matches(filter, number)? {
                append_matching(&mut logs, filter, block_logs(&block));
                self.check_log_count(&logs, range, number)?;
            }
        }
        for open in view
            .unsealed()
            .filter(|open| (range.from..=range.to).contains(&open.number()))
        {
            for mini_block in &open.mini_blocks {
                append_matching(&mut logs, filter, mini_block_logs(mini_block));
            }
            self.check_log_count(&logs, range, open.number())?;
        }
        Ok(logs)
    }

    /// The block, unless the bloom of its header says that it has no matching log. Old headers come without the rest of
    /// their block.
    fn block_if_bloom_matches(&self, filter: &Filter, number: u64) -> RpcResult<Option<Arc<SealedBlock>>> {
        if let Some(header) = self
            .chain
            .history()
            .header_by_number(number)
            .map_err(RpcError::internal)?
        {
            if !filter.matches_bloom(header.logs_bloom) {
                return Ok(None);
            }
            return Ok(self.chain.block_by_number(number)?);
        }
        // Not in history yet, so in memory.
        let block = self.chain.block_by_number(number)?;
        Ok(block.filter(|block| filter.matches_bloom(block.header.logs_bloom)))
    }

    /// One block's logs are always answered as a whole: a narrower range could not be asked for.
    fn check_log_count(&self, logs: &[Log], range: BlockRange, at: u64) -> RpcResult<()> {
        let max = self.config.logs_max;
        if max == 0 || logs.len() <= max || range.from == range.to {
            return Ok(());
        }
        let to = at.saturating_sub(1).max(range.from);
        Err(RpcError::invalid_params(format!(
            "query exceeds max results {max}, retry with the range {}-{to}",
            range.from
        )))
    }
}

/// A log where it lies, not yet converted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogAt<'a> {
    pub(crate) log: &'a alloy_primitives::Log,
    transaction_hash: B256,
    /// Index of the log in its transaction.
    index: usize,
    /// Of its transaction.
    place: Place,
}

impl LogAt<'_> {
    /// The log as it is answered.
    pub(crate) fn to_rpc(self) -> Log {
        convert::log(self.log.clone(), self.transaction_hash, self.index, &self.place)
    }

    /// The log as it is taken back when its block is.
    pub(crate) fn to_removed_rpc(self) -> Log {
        Log {
            removed: true,
            ..self.to_rpc()
        }
    }
}

/// All logs of a sealed block.
pub(crate) fn block_logs(block: &SealedBlock) -> impl Iterator<Item = LogAt<'_>> {
    logs_from(
        Place::first_of_block(block),
        &block.body.transactions,
        &block.receipts,
    )
}

/// All logs of a mini-block, under the zero hash.
pub(crate) fn mini_block_logs(mini_block: &SealedMiniBlock) -> impl Iterator<Item = LogAt<'_>> {
    let body = mini_block.body();
    logs_from(
        Place::first_of_mini_block(mini_block),
        &body.transactions,
        &body.receipts,
    )
}

fn logs_from<'a>(
    first: Place,
    transactions: &'a [TransactionSigned],
    receipts: &'a [Receipt],
) -> impl Iterator<Item = LogAt<'a>> {
    let placed = transactions
        .iter()
        .zip(receipts)
        .scan(first, |next, (transaction, receipt)| {
            let place = *next;
            *next = place.after(receipt);
            Some((transaction, receipt, place))
        });
    placed.flat_map(|(transaction, receipt, place)| {
        let at = move |(index, log)| LogAt {
            log,
            transaction_hash: *transaction.tx_hash(),
            index,
            place,
        };
        receipt.logs.iter().enumerate().map(at)
    })
}

fn append_matching<'a>(answer: &mut Vec<Log>, filter: &Filter, logs: impl Iterator<Item = LogAt<'a>>) {
    answer.extend(logs.filter(|at| filter.matches(at.log)).map(LogAt::to_rpc));
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENT: Extent = Extent { head: 10, newest: 11 };

    fn range(from: Option<BlockNumberOrTag>, to: Option<BlockNumberOrTag>) -> RpcResult<(u64, u64)> {
        BlockRange::of_filter((from, to), EXTENT, |tag| {
            (tag == BlockNumberOrTag::Earliest).then_some(0)
        })
        .map(|range| (range.from, range.to))
    }

    #[test]
    fn ranges_end_at_the_newest_sealed_block() {
        use BlockNumberOrTag::{Earliest, Latest, Pending};
        assert_eq!(range(None, None).unwrap(), (10, 10));
        assert_eq!(range(Some(Earliest), None).unwrap(), (0, 10));
        assert_eq!(range(Some(3.into()), Some(Latest)).unwrap(), (3, 10));
        assert_eq!(range(Some(Pending), Some(Pending)).unwrap(), (11, 11));
        assert_eq!(range(Some(3.into()), Some(Pending)).unwrap(), (3, 11));
    }

    #[test]
    fn the_number_of_a_fresh_receipt_is_not_beyond_the_head() {
        assert_eq!(range(Some(11.into()), None).unwrap(), (11, 11));
        assert_eq!(range(Some(11.into()), Some(11.into())).unwrap(), (11, 11));
    }

    #[test]
    fn ranges_that_cannot_be_are_refused() {
        assert!(range(Some(12.into()), None).is_err());
        assert!(range(Some(0.into()), Some(12.into())).is_err());
        assert!(range(Some(5.into()), Some(4.into())).is_err());
        assert!(range(Some(BlockNumberOrTag::Finalized), None).is_err());
    }
}
