//! What the pool is told of the chain: mini-blocks, heads, and the state's word after a reorganisation.

use std::{sync::atomic::Ordering, time::Instant};

use alloy_consensus::Transaction;
use alloy_eip7928::AccountChanges;
use alloy_primitives::Address;
use rapid_primitives::{ReadState, SealedMiniBlock, TransactionSigned};

use crate::{
    HeadInfo, Pool, PoolError,
    sender::SenderQueue,
    shard::{Shard, shard_of},
    shared::{DropReason, Shared},
    tally::Place,
    validate::{SenderAccount, read_sender},
};

/// What a mini-block says of an account.
#[derive(Clone, Copy)]
enum News<'a> {
    /// A transaction of this sender is in it.
    Included(&'a Address, &'a TransactionSigned),
    /// It changed.
    Changed(&'a AccountChanges),
}

impl News<'_> {
    fn shard(&self) -> usize {
        match self {
            Self::Included(sender, _) => shard_of(sender),
            Self::Changed(account) => shard_of(&account.address),
        }
    }

    /// Tells it the sender's queue, if there is one.
    fn tell(&self, shard: &mut Shard, shared: &Shared) {
        let _nobody_asked = match *self {
            Self::Included(sender, transaction) => shard.update(sender, &shared.config, |queue| {
                queue.advance(transaction.nonce() + 1, Some(*transaction.tx_hash()), shared);
            }),
            Self::Changed(account) => {
                let (balance, nonce) = (account.balance_post_state(), account.nonce_post_state());
                let code = account.code_post_state();
                shard.update(&account.address, &shared.config, |queue| {
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
                })
            }
        };
    }
}

/// The news of a mini-block, those of one shard together: first what is included, in its order, then what changed.
fn news_by_shard(mini_block: &SealedMiniBlock) -> Vec<News<'_>> {
    let body = mini_block.body();
    let included = body.senders.iter().zip(&body.transactions);
    let included = included.map(|(sender, transaction)| News::Included(sender, transaction));
    let has_fields = |account: &&AccountChanges| {
        let fields = [
            account.balance_changes.is_empty(),
            account.nonce_changes.is_empty(),
            account.code_changes.is_empty(),
        ];
        fields.contains(&false)
    };
    let changed = body.diff.accounts.iter().filter(has_fields).map(News::Changed);
    let mut news: Vec<_> = included.chain(changed).collect();
    news.sort_by_key(News::shard);
    news
}

impl Pool {
    /// Takes in a published mini-block: its transactions leave the pool, its changes reach the accounts of pooled
    /// senders, and what waited for them is filed.
    ///
    /// Called by one thread, in order, after the mini-block was published.
    pub fn on_mini_block(&self, mini_block: &SealedMiniBlock) {
        let shared = &*self.shared;
        // Each shard is locked once: whoever adds transactions meanwhile, and is put aside with a lock, would else be waited
        // for at any of a thousand.
        for news in news_by_shard(mini_block).chunk_by(|one, other| one.shard() == other.shard()) {
            let mut shard = shared.shards[news[0].shard()].lock();
            news.iter().for_each(|news| news.tell(&mut shard, shared));
        }
        if shared.tally.any_waiters() {
            shared.serve_waiters();
        }
        shared.metrics.report(shared);
        shared.signal.wake();
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
