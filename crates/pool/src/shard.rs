//! The senders, spread over independently locked shards.

use std::{
    collections::{VecDeque, hash_map::Entry},
    time::Instant,
};

use alloy_primitives::{Address, map::AddressHashMap};

use crate::{PoolConfig, sender::SenderQueue, shared::Shared, validate::SenderAccount};

/// Number of shards. A power of two well above the number of threads that submit at once.
pub(crate) const SHARDS: usize = 64;

/// The shard of a sender. Addresses are hashes, so any byte will do; the last ones are the least likely to be chosen
/// as vanity.
pub(crate) fn shard_of(sender: &Address) -> usize {
    usize::from(sender.0[18]) % SHARDS
}

/// The senders of one shard.
///
/// The account of a sender without transactions is remembered for a while ([`PoolConfig::idle_senders_max`] says
/// why), oldest first out.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    /// Senders with transactions.
    pub(crate) senders: AddressHashMap<SenderQueue>,
    /// Senders without.
    idle: AddressHashMap<IdleSender>,
    /// The idle ones by age, with records of some that are idle no more.
    idle_order: VecDeque<(Instant, Address)>,
    /// Senders whose next transaction waits for room in its lane, in the order in which they began to.
    waiting: VecDeque<Address>,
}

#[derive(Clone, Copy, Debug)]
struct IdleSender {
    account: SenderAccount,
    since: Instant,
}

impl Shard {
    /// Works on the queue of a sender that is known, and keeps the shard's own lists in step.
    pub(crate) fn update<R>(
        &mut self,
        sender: &Address,
        config: &PoolConfig,
        work: impl FnOnce(&mut SenderQueue) -> R,
    ) -> Option<R> {
        if let Some(queue) = self.senders.get_mut(sender) {
            let result = work(queue);
            self.note(sender, config);
            return Some(result);
        }
        let account = self.idle_account(sender)?;
        Some(self.update_or_insert(sender, &account, config, work))
    }

    /// As [`Shard::update`], with a queue for the account made if there is none.
    pub(crate) fn update_or_insert<R>(
        &mut self,
        sender: &Address,
        account: &SenderAccount,
        config: &PoolConfig,
        work: impl FnOnce(&mut SenderQueue) -> R,
    ) -> R {
        let result = work(
            self.senders
                .entry(*sender)
                .or_insert_with(|| SenderQueue::new(account)),
        );
        self.note(sender, config);
        result
    }

    /// The remembered account of a sender without transactions.
    pub(crate) fn idle_account(&self, sender: &Address) -> Option<SenderAccount> {
        self.idle.get(sender).map(|idle| idle.account)
    }

    fn note(&mut self, sender: &Address, config: &PoolConfig) {
        let Some(queue) = self.senders.get_mut(sender) else {
            return;
        };
        if queue.waits_for.is_some() && !queue.listed {
            queue.listed = true;
            self.waiting.push_back(*sender);
        }
        if !queue.entries.is_empty() {
            self.idle.remove(sender);
            return;
        }
        let account = queue.account();
        self.senders.remove(sender);
        match self.idle.entry(*sender) {
            Entry::Occupied(mut idle) => idle.get_mut().account = account,
            Entry::Vacant(vacant) => {
                let since = Instant::now();
                vacant.insert(IdleSender { account, since });
                self.idle_order.push_back((since, *sender));
            }
        }
        let max = (config.idle_senders_max / SHARDS).max(1);
        while self.idle.len() > max || self.idle_order.len() > 4 * max {
            self.forget_oldest_idle();
        }
    }

    fn forget_oldest_idle(&mut self) {
        let Some((since, sender)) = self.idle_order.pop_front() else {
            return;
        };
        // A sender that was busy since has another record, or none.
        if self.idle.get(&sender).is_some_and(|idle| idle.since == since) {
            self.idle.remove(&sender);
        }
    }

    /// Forgets senders that have had no transactions for the retention time.
    pub(crate) fn sweep_idle(&mut self, now: Instant, config: &PoolConfig) {
        while let Some((since, _)) = self.idle_order.front() {
            if now.saturating_duration_since(*since) < config.idle_sender_retention {
                return;
            }
            self.forget_oldest_idle();
        }
    }

    /// Forgets all senders without transactions: what is remembered of them may be of another chain.
    pub(crate) fn forget_idle(&mut self) {
        self.idle.clear();
        self.idle_order.clear();
    }

    /// Works on every sender's queue.
    pub(crate) fn update_all(
        &mut self,
        config: &PoolConfig,
        mut work: impl FnMut(&Address, &mut SenderQueue),
    ) {
        let senders: Vec<Address> = self.senders.keys().copied().collect();
        for sender in senders {
            self.update(&sender, config, |queue| work(&sender, queue));
        }
    }

    /// Gives every sender that waits for room in a lane one more chance, in order.
    pub(crate) fn serve_waiters(&mut self, shared: &Shared) {
        for _ in 0..self.waiting.len() {
            let Some(sender) = self.waiting.pop_front() else {
                return;
            };
            self.update(&sender, &shared.config, |queue| {
                queue.listed = false;
                if queue.waits_for.is_some() {
                    queue.extend(shared);
                }
            });
        }
    }
}
