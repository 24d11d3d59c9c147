//! What the chain says: which transactions of the run are in blocks, and since when.

use crate::{rpc::RpcClient, transport::Endpoint};
use alloy_primitives::B256;
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinHandle};

/// Pause between two looks at the head.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// How long the chain may bring no new transactions before the rest counts as lost.
const PATIENCE: Duration = Duration::from_secs(15);

/// Counts transactions in blocks.
#[derive(Debug)]
pub(super) struct Inclusion {
    first_block: u64,
    next_block: u64,
    counted: usize,
}

/// What was found in the blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnCount {
    /// Transactions of the run in blocks.
    pub(super) own: usize,
    /// Rate over the blocks between the first and the last that hold transactions of the run.
    pub(super) sustained_per_second: Option<f64>,
}

impl Inclusion {
    /// Counts from block `first_block` on.
    pub(super) const fn starting_at(first_block: u64) -> Self {
        Self {
            first_block,
            next_block: first_block,
            counted: 0,
        }
    }

    /// The newest block that was counted.
    pub(super) const fn last_block(&self) -> u64 {
        self.next_block.saturating_sub(1)
    }

    /// Waits until the blocks hold `expected` transactions, or no more come; returns when the last of them was seen.
    ///
    /// # Errors
    /// If the endpoint stops answering.
    pub(super) async fn wait_for(&mut self, rpc: &mut RpcClient, expected: usize) -> eyre::Result<Instant> {
        let mut last_seen = Instant::now();
        while self.counted < expected {
            let head = rpc.block_number().await?;
            while self.next_block <= head {
                let count = rpc.transaction_count(self.next_block).await?;
                self.counted += usize::try_from(count)?;
                self.next_block += 1;
                if count > 0 {
                    last_seen = Instant::now();
                }
            }
            if last_seen.elapsed() > PATIENCE {
                break;
            }
            if self.counted < expected {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
        Ok(last_seen)
    }

    /// Reads the blocks again, with hashes, and counts only transactions in `expected`.
    ///
    /// # Errors
    /// If the endpoint stops answering.
    pub(super) async fn count_own(self, rpc: &mut RpcClient, expected: &[B256]) -> eyre::Result<OwnCount> {
        let expected: HashSet<_> = expected.iter().collect();
        let mut blocks = Vec::new();
        for number in self.first_block..self.next_block {
            let block = rpc.block(number).await?;
            let own = block
                .transactions
                .iter()
                .filter(|hash| expected.contains(hash))
                .count();
            if own > 0 {
                blocks.push((block.timestamp.to::<u64>(), own));
            }
        }
        Ok(OwnCount {
            own: blocks.iter().map(|(_, own)| own).sum(),
            sustained_per_second: sustained_rate(&blocks),
        })
    }
}

/// Transactions per second of the blocks after the first and before the last, by their timestamps. The first and the
/// last block are only partly filled by the run.
fn sustained_rate(blocks: &[(u64, usize)]) -> Option<f64> {
    let [first, middle @ .., _] = blocks else {
        return None;
    };
    let seconds = middle.last()?.0.checked_sub(first.0)?;
    let transactions: usize = middle.iter().map(|(_, own)| own).sum();
    (seconds > 0).then(|| transactions as f64 / seconds as f64)
}

/// A task that notes when each transaction was first seen in a block.
#[derive(Debug)]
pub(super) struct Sightings {
    last_block: watch::Sender<Option<u64>>,
    task: JoinHandle<eyre::Result<HashMap<B256, Instant>>>,
}

impl Sightings {
    /// Watches the blocks from `first_block` on over a connection of its own.
    ///
    /// # Errors
    /// If the endpoint does not accept the connection.
    pub(super) async fn watch(endpoint: &Endpoint, first_block: u64) -> eyre::Result<Self> {
        let mut rpc = RpcClient::open(endpoint).await?;
        let (last_block, ends) = watch::channel(None);
        let task = tokio::spawn(async move {
            let mut seen = HashMap::new();
            let mut next = first_block;
            loop {
                let last = *ends.borrow();
                if last.is_some_and(|last| next > last) {
                    return Ok(seen);
                }
                let head = rpc.block_number().await?;
                while next <= head {
                    let block = rpc.block(next).await?;
                    let now = Instant::now();
                    for hash in block.transactions {
                        seen.entry(hash).or_insert(now);
                    }
                    next += 1;
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        });
        Ok(Self { last_block, task })
    }

    /// Ends the watch once block `last` has been seen.
    ///
    /// # Errors
    /// If the endpoint stopped answering the watcher.
    pub(super) async fn finish(self, last: u64) -> eyre::Result<HashMap<B256, Instant>> {
        self.last_block.send_replace(Some(last));
        self.task.await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sustained_rate_leaves_out_both_ends() {
        assert_eq!(
            sustained_rate(&[(10, 5), (11, 100), (12, 200), (13, 7)]),
            Some(150.0)
        );
        assert_eq!(sustained_rate(&[(10, 5), (11, 100)]), None);
        assert_eq!(sustained_rate(&[]), None);
    }
}
