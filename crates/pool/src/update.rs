//! What the committer tells the pool: mini-blocks, heads, and the state's word after a reorganisation.

use std::{sync::atomic::Ordering, time::Instant};

use alloy_consensus::Transaction;
use alloy_primitives::{Address, TxHash};
use rapid_primitives::{ReadState, SealedMiniBlock};

use crate::{
    HeadInfo, Pool, PoolError,
    sender::SenderQueue,
    shared::DropReason,
    tally::Place,
    validate::{SenderAccount, read_sender},
};

impl Pool {
    /// Takes in a published mini-block: its transactions leave the pool, its changes reach the accounts of pooled
    /// senders, and what waited for them is filed.
    ///
    /// Called by one thread, in order, after the mini-block was published.
    pub fn on_mini_block(&self, mini_block: &SealedMiniBlock) {
        let body = mini_block.body();
        for (transaction, sender) in body.transactions.iter().zip(&body.senders) {
            self.include(sender, transaction.nonce(), *transaction.tx_hash());
        }
        let shared = &*self.shared;
        for account in &body.diff.accounts {
            let (balance, nonce) = (account.balance_post_state(), account.nonce_post_state());
            let code = account.code_post_state();
            if balance.is_none() && nonce.is_none() && code.is_none() {
                continue;
            }
            shared
                .shard(&account.address)
                .lock()
                .update(&account.address, &shared.config, |queue| {
                    if let Some(balance) = balance {
                        queue.set_balance(balance);
                    }
                    if let Some(code) = code {
                        queue.delegated = !code.is_empty();
                    }
                    if let Some(nonce) = nonce {
                        queue.advance(nonce, None, shared);
                    }
                    queue.settle(shared);
                });
        }
        if shared.tally.any_waiters() {
            shared.serve_waiters();
        }
        shared.metrics.report(shared);
        shared.signal.wake();
    }

    fn include(&self, sender: &Address, nonce: u64, hash: TxHash) {
        let shared = &*self.shared;
        shared
            .shard(sender)
            .lock()
            .update(sender, &shared.config, |queue| {
                queue.advance(nonce + 1, Some(hash), shared);
            });
    }

    /// Takes in that an EVM block opened (or that the next one will be this): holds what its base fee is too high for,
    /// releases what it no longer is, and now and then drops what has expired.
    ///
    /// Called by one thread, in order.
    pub fn on_head(&self, head: &HeadInfo) {
        let shared = &*self.shared;
        let before = shared.base_fee.swap(head.base_fee, Ordering::Relaxed);
        // What the hot loop gave back for its fee cap is tried again even at the same base fee.
        if before != head.base_fee || shared.tally.at(Place::BaseFee).count() > 0 {
            for shard in &shared.shards {
                shard
                    .lock()
                    .update_all(&shared.config, |_, queue| queue.reprice(shared));
            }
        }
        let now = Instant::now();
        if shared.sweep_is_due(now) {
            for shard in &shared.shards {
                shard.lock().sweep_idle(now, &shared.config);
            }
            self.evict_expired(now);
        }
        shared.metrics.report(shared);
        shared.signal.wake();
    }

    /// Drops transactions that have been waiting for a nonce, for balance or for a lower base fee longer than
    /// [`crate::PoolConfig::queued_lifetime`]; local ones stay, as in reth. Done by [`Pool::on_head`].
    pub fn evict_expired(&self, now: Instant) {
        let shared = &*self.shared;
        let expired = |queue: &SenderQueue| -> Vec<u64> {
            let waiting = queue.entries.range(queue.frontier..);
            waiting
                .filter(|(_, entry)| {
                    let transaction = &entry.transaction;
                    !matches!(entry.place, Place::Pending(_))
                        && !shared
                            .config
                            .is_local(transaction.origin(), &transaction.sender())
                        && now.saturating_duration_since(transaction.arrival())
                            > shared.config.queued_lifetime
                })
                .map(|(nonce, _)| *nonce)
                .collect()
        };
        for shard in &shared.shards {
            shard.lock().update_all(&shared.config, |_, queue| {
                for nonce in expired(queue) {
                    queue.remove(nonce, DropReason::Expired, shared);
                }
            });
        }
    }

    /// Reads the account of every pooled sender again and takes the state's word for it: after the chain was
    /// reorganised or state was changed by other means than mini-blocks.
    ///
    /// Called by the thread that calls [`Pool::on_mini_block`], with the state that one was published with.
    ///
    /// # Errors
    /// [`PoolError::StateUnavailable`] at the first account that could not be read; the accounts before it are done.
    pub fn resync<S: ReadState>(&self, accounts: &S) -> Result<(), PoolError> {
        let shared = &*self.shared;
        for shard in &shared.shards {
            let senders: Vec<Address> = {
                let mut shard = shard.lock();
                shard.forget_idle();
                shard.senders.keys().copied().collect()
            };
            for sender in senders {
                let account = match read_sender(&sender, accounts) {
                    Ok(account) => account,
                    // A contract now: nothing of it can be executed.
                    Err(PoolError::SenderNotEoa) => SenderAccount {
                        nonce: u64::MAX,
                        ..SenderAccount::EMPTY
                    },
                    Err(error) => return Err(error),
                };
                shard
                    .lock()
                    .update(&sender, &shared.config, |queue| queue.reset(&account, shared));
            }
        }
        shared.metrics.report(shared);
        shared.signal.wake();
        Ok(())
    }
}
