//! The pool: what producers and readers call.

use std::sync::{Arc, atomic::Ordering};

use alloy_consensus::Transaction;
use alloy_primitives::{Address, Bytes, TxHash};
use rapid_primitives::ReadState;
use tokio::sync::broadcast;

use crate::{
    HeadInfo, IngressGuard, Lane, Limit, Origin, PoolConfig, PoolError, PooledTransaction, ReadyQueue,
    decode::{decode_and_recover, decode_bytes_and_recover},
    growth::{check_growth, check_writable},
    sender::{Entry, SenderQueue},
    shard::Shard,
    shared::{DropReason, Shared},
    signal::Urgency,
    tally::Place,
    validate::{SenderAccount, check_account, check_alone, read_sender},
};

/// The transaction pool. Cheap to clone; clones are the same pool.
#[derive(Clone, Debug)]
pub struct Pool {
    pub(crate) shared: Arc<Shared>,
}

/// How many transactions the pool has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Executable ones, including those dispatched and not yet published.
    pub pending: usize,
    /// Those that wait for a nonce, for balance, or for a lower base fee.
    pub queued: usize,
}

/// The transactions of the pool, of each sender in nonce order.
#[derive(Clone, Debug, Default)]
pub struct PoolContent {
    /// As in [`PoolStatus::pending`].
    pub pending: Vec<Arc<PooledTransaction>>,
    /// As in [`PoolStatus::queued`].
    pub queued: Vec<Arc<PooledTransaction>>,
}

impl PoolContent {
    fn collect(&mut self, queue: &SenderQueue) {
        for Entry {
            transaction, place, ..
        } in queue.entries.values()
        {
            match place {
                Place::Pending(_) => self.pending.push(Arc::clone(transaction)),
                Place::BaseFee | Place::Queued => self.queued.push(Arc::clone(transaction)),
            }
        }
    }
}

/// A transaction that passed what can be checked without a lock.
struct Candidate {
    transaction: Arc<PooledTransaction>,
    account: SenderAccount,
    local: bool,
}

impl Pool {
    /// An empty pool. Metrics go to the recorder that is installed by now.
    #[must_use]
    pub fn new(config: PoolConfig, head: &HeadInfo) -> Self {
        Self {
            shared: Arc::new(Shared::new(config, head)),
        }
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &PoolConfig {
        &self.shared.config
    }

    /// Announces a submission whose bytes have arrived. Keep the guard until it is admitted or refused.
    pub fn ingress(&self) -> IngressGuard {
        IngressGuard::new(Arc::clone(&self.shared.signal))
    }

    /// The consumer's side; `None` while another one lives.
    #[must_use]
    pub fn ready_queue(&self) -> Option<ReadyQueue> {
        let taken = self.shared.consumer_taken.swap(true, Ordering::SeqCst);
        (!taken).then(|| ReadyQueue::new(Arc::clone(&self.shared)))
    }

    /// Ends the consumer's present or next [`ReadyQueue::wait_until`]: a parent hash is there, or the node stops.
    pub fn notify_consumer(&self) {
        self.shared.signal.notify();
    }

    /// Decodes one transaction and recovers its sender on the calling thread.
    ///
    /// # Errors
    /// As [`crate::decode_and_recover`]; counted as refused.
    pub fn decode_and_recover(&self, raw: &[u8]) -> Result<PooledTransaction, PoolError> {
        decode_and_recover(raw, &self.shared.config.decode_limits())
            .inspect_err(|error| self.shared.metrics.rejected(error))
    }

    /// [`Pool::decode_and_recover`] for bytes that are already shared: they are kept and not copied.
    ///
    /// # Errors
    /// As [`Pool::decode_and_recover`].
    pub fn decode_bytes_and_recover(&self, raw: Bytes) -> Result<PooledTransaction, PoolError> {
        decode_bytes_and_recover(raw, &self.shared.config.decode_limits())
            .inspect_err(|error| self.shared.metrics.rejected(error))
    }

    /// Admits a transaction. `accounts` is the published state, `head` the open block.
    ///
    /// An executable one is with the consumer when this returns. One that is not yet (nonce gap, balance taken by
    /// earlier ones, fee cap below the base fee) is kept within its limits until it is or expires.
    ///
    /// # Errors
    /// [`PoolError`]; the pool is then as before.
    pub fn submit<S: ReadState>(
        &self,
        origin: Origin,
        transaction: PooledTransaction,
        accounts: &S,
        head: &HeadInfo,
    ) -> Result<TxHash, PoolError> {
        let account = read_sender(&transaction.sender(), accounts);
        let result = self
            .prepare(origin, transaction, account, head)
            .and_then(|candidate| {
                let urgency = urgency_of(candidate.transaction.lane());
                let admitted = self.admit(&candidate);
                self.shared.signal.wake_for(urgency);
                admitted
            });
        result.inspect_err(|error| self.shared.metrics.rejected(error))
    }

    /// Admits transactions in order, each with its own result. A run of transactions of one sender costs one read of its
    /// account, and all of them wake the consumer once.
    pub fn submit_batch<S: ReadState>(
        &self,
        origin: Origin,
        transactions: Vec<PooledTransaction>,
        accounts: &S,
        head: &HeadInfo,
    ) -> Vec<Result<TxHash, PoolError>> {
        let mut last: Option<(Address, Result<SenderAccount, PoolError>)> = None;
        let mut urgency = Urgency::Any;
        let results = transactions
            .into_iter()
            .map(|transaction| {
                let sender = transaction.sender();
                let account = match &last {
                    Some((known, account)) if *known == sender => account.clone(),
                    _ => last.insert((sender, read_sender(&sender, accounts))).1.clone(),
                };
                self.prepare(origin, transaction, account, head)
                    .and_then(|candidate| {
                        urgency = urgency.min(urgency_of(candidate.transaction.lane()));
                        self.admit(&candidate)
                    })
                    .inspect_err(|error| self.shared.metrics.rejected(error))
            })
            .collect();
        self.shared.signal.wake_for(urgency);
        results
    }

    /// Checks everything that needs no lock.
    fn prepare(
        &self,
        origin: Origin,
        mut transaction: PooledTransaction,
        account: Result<SenderAccount, PoolError>,
        head: &HeadInfo,
    ) -> Result<Candidate, PoolError> {
        let config = &self.shared.config;
        let pressure = config.memory.load();
        check_writable(pressure)?;
        if self.shared.contains(&transaction.hash()) {
            return Err(PoolError::AlreadyKnown);
        }
        let local = config.is_local(origin, &transaction.sender());
        check_alone(&transaction, head, config, local)?;
        let account = account?;
        if transaction.transaction().is_eip7702() {
            // Recovering the authorities costs as much as that many transactions, so only for who can pay.
            check_account(&transaction, &account)?;
            transaction.authorities = authorities_of(&transaction);
        }
        transaction.origin = origin;
        transaction.lane = config.lanes.classify(&transaction);
        check_growth(pressure, &transaction)?;
        Ok(Candidate {
            transaction: Arc::new(transaction),
            account,
            local,
        })
    }

    fn admit(&self, candidate: &Candidate) -> Result<TxHash, PoolError> {
        let authorities = &candidate.transaction.authorities;
        // First the reservation, then the look for their transactions: so one of two racing submissions sees the other.
        self.shared.reserve_authorities(authorities);
        let result = self
            .check_authorities(candidate)
            .and_then(|()| self.admit_with_help(candidate));
        if result.is_err() {
            self.shared.release_authorities(authorities);
        }
        result.map(|()| candidate.transaction.hash())
    }

    /// An authority with transactions in the pool could have them all invalidated by one authorisation.
    fn check_authorities(&self, candidate: &Candidate) -> Result<(), PoolError> {
        let sender = candidate.transaction.sender();
        let reserved = candidate.transaction.authorities.iter().any(|authority| {
            let shard = self.shared.shard(authority).lock();
            let Some(queue) = shard.senders.get(authority) else {
                return false;
            };
            let replaces = *authority == sender && queue.entries.contains_key(&candidate.transaction.nonce());
            queue.entries.len() > usize::from(replaces)
        });
        if reserved {
            Err(PoolError::AuthorityReserved)
        } else {
            Ok(())
        }
    }

    fn admit_with_help(&self, candidate: &Candidate) -> Result<(), PoolError> {
        let admit_now = || {
            let mut shard = self.shared.shard(&candidate.transaction.sender()).lock();
            self.admit_locked(&mut shard, candidate)
        };
        let lane = self.shared.tally.lane(candidate.transaction.lane());
        match admit_now() {
            // Others were promised the room first. If there is room, they can have it now, and this one after them.
            Err(PoolError::Full(Limit::Lane)) if lane.waiters() > 0 => {
                self.shared.serve_waiters();
                admit_now()
            }
            result => result,
        }
    }

    fn admit_locked(&self, shard: &mut Shard, candidate: &Candidate) -> Result<(), PoolError> {
        let shared = &*self.shared;
        let Candidate {
            transaction,
            account: read,
            ..
        } = candidate;
        let sender = transaction.sender();
        shard.update(&sender, &shared.config, |queue| queue.learn(read, shared));
        let fresh;
        let queue = match shard.senders.get(&sender) {
            Some(queue) => queue,
            None => {
                fresh = SenderQueue::new(&shard.idle_account(&sender).unwrap_or(*read));
                &fresh
            }
        };
        let account = queue.account();
        check_account(transaction, &account)?;
        if let Some(entry) = queue.entries.get(&transaction.nonce()) {
            self.check_replacement(&entry.transaction, transaction)?;
            let replaced = shard.update(&sender, &shared.config, |queue| {
                queue.replace(transaction, shared)
            });
            return match replaced {
                Some(true) => Ok(()),
                // The one it would replace is being executed, so its nonce is as good as used.
                _ => Err(PoolError::NonceTooLow {
                    next: transaction.nonce() + 1,
                    nonce: transaction.nonce(),
                }),
            };
        }
        self.check_room(queue, candidate)?;
        let place = queue.place_of(transaction, shared);
        self.reserve(place, transaction)?;
        shard.update_or_insert(&sender, &account, &shared.config, |queue| {
            queue.add(Arc::clone(transaction), place, shared);
        });
        Ok(())
    }

    /// Replacement rule: the fee cap must rise by the bump, and the tip too unless one of them is zero.
    fn check_replacement(&self, old: &PooledTransaction, new: &PooledTransaction) -> Result<(), PoolError> {
        if old.hash() == new.hash() {
            return Err(PoolError::AlreadyKnown);
        }
        let percent = 100 + self.shared.config.price_bump_percent;
        let outbids = |new: u128, old: u128| new >= old.saturating_mul(percent).div_ceil(100);
        let tip = |transaction: &PooledTransaction| {
            transaction
                .transaction()
                .max_priority_fee_per_gas()
                .unwrap_or_default()
        };
        let tips_count = tip(old) != 0 && tip(new) != 0;
        if outbids(new.fee_cap(), old.fee_cap()) && (!tips_count || outbids(tip(new), tip(old))) {
            Ok(())
        } else {
            Err(PoolError::ReplacementUnderpriced)
        }
    }

    /// Limits of one sender, and of a delegated one, for a transaction that replaces none.
    fn check_room(&self, queue: &SenderQueue, candidate: &Candidate) -> Result<(), PoolError> {
        let config = &self.shared.config;
        let (count, next) = (queue.entries.len(), candidate.transaction.nonce() == queue.nonce);
        if count >= config.slots_max(candidate.local) && !next {
            return Err(PoolError::Full(Limit::Sender));
        }
        if queue.delegated
            || self
                .shared
                .has_pending_authorization(&candidate.transaction.sender())
        {
            if count == 0 && !next {
                return Err(PoolError::DelegatedNonceGap);
            }
            // Its balance may leave by way of its code at any moment, so little is kept that this would invalidate.
            if count >= config.delegated_slots_max && count > 0 {
                return Err(PoolError::DelegatedInFlightLimit);
            }
        }
        Ok(())
    }

    fn reserve(&self, place: Place, transaction: &PooledTransaction) -> Result<(), PoolError> {
        let sub_pool = self.shared.tally.at(place);
        let promised = matches!(place, Place::Pending(_)) && sub_pool.waiters() > 0;
        if !promised && sub_pool.try_add(transaction.encoded_len()) {
            return Ok(());
        }
        Err(PoolError::Full(match place {
            Place::Pending(_) => Limit::Lane,
            Place::BaseFee => Limit::BaseFee,
            Place::Queued => Limit::Queued,
        }))
    }

    /// The pooled transaction with this hash.
    #[must_use]
    pub fn get(&self, hash: &TxHash) -> Option<Arc<PooledTransaction>> {
        self.shared.get(hash)
    }

    /// Whether a transaction with this hash is pooled.
    #[must_use]
    pub fn contains(&self, hash: &TxHash) -> bool {
        self.shared.contains(hash)
    }

    /// The next nonce of a sender counting its pooled transactions up to the first gap; `None` if it has none, and
    /// then the state's nonce is the answer.
    #[must_use]
    pub fn pending_nonce(&self, sender: &Address) -> Option<u64> {
        self.shared
            .shard(sender)
            .lock()
            .senders
            .get(sender)?
            .pending_nonce()
    }

    /// Counts.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        let tally = &self.shared.tally;
        PoolStatus {
            pending: tally.pending_count(),
            queued: tally.at(Place::BaseFee).count() + tally.at(Place::Queued).count(),
        }
    }

    /// Everything in the pool, shard by shard: each sender's part is of one moment, the whole is not.
    #[must_use]
    pub fn content(&self) -> PoolContent {
        let mut content = PoolContent::default();
        for shard in &self.shared.shards {
            for queue in shard.lock().senders.values() {
                content.collect(queue);
            }
        }
        content
    }

    /// The transactions of one sender.
    #[must_use]
    pub fn content_of(&self, sender: &Address) -> PoolContent {
        let mut content = PoolContent::default();
        if let Some(queue) = self.shared.shard(sender).lock().senders.get(sender) {
            content.collect(queue);
        }
        content
    }

    /// Transactions as they become executable, from now on. A receiver that lags further than
    /// [`PoolConfig::pending_feed_len`] loses the oldest and is told how many. Without receivers it costs nothing.
    #[must_use]
    pub fn subscribe_pending(&self) -> broadcast::Receiver<Arc<PooledTransaction>> {
        self.shared.subscribe()
    }

    /// Takes a transaction out, unless the hot loop has it. Later nonces of its sender are queued behind the gap.
    pub fn remove(&self, hash: &TxHash) -> Option<Arc<PooledTransaction>> {
        let transaction = self.get(hash)?;
        let (sender, nonce) = (transaction.sender(), transaction.nonce());
        let shared = &*self.shared;
        let removed = shared
            .shard(&sender)
            .lock()
            .update(&sender, &shared.config, |queue| {
                if queue.entries.get(&nonce)?.transaction.hash() != *hash {
                    return None;
                }
                queue.retract_to(nonce, shared);
                if queue.frontier > nonce || !queue.entries.get_mut(&nonce)?.withdraw() {
                    queue.extend(shared);
                    return None;
                }
                queue.remove(nonce, DropReason::Removed, shared);
                Some(())
            });
        removed.flatten().map(|()| transaction)
    }
}

/// How urgent the consumer wants to know of something in this lane.
const fn urgency_of(lane: Lane) -> Urgency {
    match lane {
        Lane::System | Lane::Critical => Urgency::Urgent,
        Lane::Paid | Lane::Normal | Lane::Bulk => Urgency::Any,
    }
}

/// The signers of a type 4 transaction's authorisations. One that recovers to nobody is skipped, as at execution.
fn authorities_of(transaction: &PooledTransaction) -> Vec<Address> {
    let mut authorities: Vec<Address> = transaction
        .transaction()
        .authorization_list()
        .unwrap_or_default()
        .iter()
        .filter_map(|authorization| authorization.recover_authority().ok())
        .collect();
    authorities.sort_unstable();
    authorities.dedup();
    authorities
}
