//! Keeps the pool in step with the head.

use std::time::{SystemTime, UNIX_EPOCH};

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::map::B256HashSet;
use rapid_chain::{Chain, ChainEvent};
use rapid_pool::{HeadInfo, Origin, Pool, PooledTransaction};
use rapid_primitives::TransactionSigned;
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

/// Tells the pool what became canonical and what stopped being so, on the thread that decides it.
#[derive(Debug)]
pub(crate) struct PoolFollower {
    chain: Chain,
    pool: Pool,
    events: Receiver<ChainEvent>,
}

/// What happened to the chain since the pool was told last.
#[derive(Default)]
struct Change {
    /// Transactions of blocks that were taken back, in order.
    removed: Vec<TransactionSigned>,
    /// Those that the new branch has as well.
    included: B256HashSet,
    /// The pool's accounts may be of another branch.
    resync: bool,
}

impl PoolFollower {
    pub(crate) fn new(chain: Chain, pool: Pool) -> Self {
        Self {
            events: chain.subscribe(),
            chain,
            pool,
        }
    }

    /// Takes in everything that was published since the last call. What canonical blocks include leaves the pool; what
    /// removed blocks included and the new branch does not goes back into it.
    pub(crate) fn follow(&mut self) {
        let change = self.drain();
        let view = self.chain.view();
        if change.resync
            && let Err(error) = self.pool.resync(&view.state)
        {
            // The next head tries again: until then accounts of some senders are those of the other branch.
            tracing::warn!(target: "engine::tree", %error, "The pool could not be brought in step with the new branch");
        }
        let Some(head) = self.head() else { return };
        self.pool.on_head(&head);
        let returned: Vec<_> = change
            .removed
            .into_iter()
            .filter(|transaction| !change.included.contains(transaction.tx_hash()))
            .collect();
        if !returned.is_empty() {
            self.give_back(&returned, &head);
        }
    }

    fn drain(&mut self) -> Change {
        let mut change = Change::default();
        loop {
            match self.events.try_recv() {
                Ok(ChainEvent::MiniBlock(mini_block)) => {
                    if !change.removed.is_empty() {
                        let hashes = mini_block.body().transactions.iter();
                        change
                            .included
                            .extend(hashes.map(|transaction| *transaction.tx_hash()));
                    }
                    self.pool.on_mini_block(&mini_block);
                }
                Ok(ChainEvent::Block(_)) => {}
                Ok(ChainEvent::TakenBack { removed, .. }) => {
                    change.resync = true;
                    let blocks = removed.iter();
                    change
                        .removed
                        .extend(blocks.flat_map(|block| block.body.transactions.iter().cloned()));
                }
                // More blocks at once than the chain keeps events of: the state has the accounts.
                Err(TryRecvError::Lagged(_)) => change.resync = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return change,
            }
        }
    }

    /// What the block after the head asks of transactions.
    fn head(&self) -> Option<HeadInfo> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let environment = self.chain.simulation_environment(&self.chain.view(), now);
        environment
            .inspect_err(
                |error| tracing::warn!(target: "engine::tree", %error, "No block can follow the head"),
            )
            .ok()
            .map(|environment| HeadInfo::of(self.chain.spec(), &environment))
    }

    /// Puts transactions back. Decoding them anew recovers their senders once more, which a reorganisation is rare
    /// enough for; blob transactions have lost their blobs and are refused.
    fn give_back(&self, transactions: &[TransactionSigned], head: &HeadInfo) {
        let decoded: Vec<PooledTransaction> = transactions
            .iter()
            .filter_map(|transaction| {
                self.pool
                    .decode_bytes_and_recover(transaction.encoded_2718().into())
                    .ok()
            })
            .collect();
        let state = self.chain.view().state.clone();
        let results = self.pool.submit_batch(Origin::External, decoded, &state, head);
        let pooled = results.iter().filter(|result| result.is_ok()).count();
        let count = |outcome: &'static str, transactions: usize| {
            metrics::counter!("rapid_reth_engine_returned_transactions_total", "outcome" => outcome)
                .increment(transactions as u64);
        };
        count("pooled", pooled);
        count("refused", transactions.len() - pooled);
    }
}
