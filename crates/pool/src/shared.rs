//! What producers, the consumer and those who tell of the chain share.

use std::{
    collections::hash_map::Entry as MapEntry,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_primitives::{
    Address, TxHash,
    map::{AddressHashMap, B256HashMap},
};
use parking_lot::{Mutex, RwLock};
use tokio::sync::broadcast;

use crate::{
    DiscardReason, HeadInfo, PoolConfig, PooledTransaction,
    lane::LANES,
    lane_meter::LaneMeter,
    lane_queue::LaneQueue,
    metrics::PoolMetrics,
    shard::{SHARDS, Shard, shard_of},
    signal::Signal,
    tally::{Place, Tally},
};

/// Time between two looks for expired transactions and idle senders. Short against the lifetimes, long against the
/// time between blocks.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

type HashShard = RwLock<B256HashMap<Arc<PooledTransaction>>>;

/// Why a transaction left the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// A published mini-block has it.
    Included,
    /// Another transaction used its nonce.
    NonceUsed,
    /// A better-paying one took its place.
    Replaced,
    /// It was not executable for too long.
    Expired,
    /// The operator removed it.
    Removed,
    /// The hot loop could not execute it.
    Discarded(DiscardReason),
}

impl DropReason {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Included => "included",
            Self::NonceUsed => "nonce_used",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
            Self::Removed => "removed",
            Self::Discarded(reason) => reason.name(),
        }
    }
}

/// The insides of the pool.
///
/// Lock order: a shard, then any of the leaves (a hash shard, an authority shard, a lane's overflow, a slot). No two
/// shards at once, no two leaves at once.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: PoolConfig,
    pub(crate) shards: Box<[Mutex<Shard>]>,
    by_hash: Box<[HashShard]>,
    /// Authorities named by pooled type 4 transactions, with how many name them.
    authorities: Box<[Mutex<AddressHashMap<usize>>]>,
    authority_count: AtomicUsize,
    pub(crate) tally: Tally,
    pub(crate) queues: [LaneQueue; LANES],
    /// Written by the consumer.
    pub(crate) meters: [LaneMeter; LANES],
    pub(crate) signal: Arc<Signal>,
    pub(crate) base_fee: AtomicU64,
    pub(crate) consumer_taken: AtomicBool,
    /// When expired transactions and idle senders were last looked for.
    swept: Mutex<Instant>,
    /// Rotates which shard's waiters are served first.
    turn: AtomicUsize,
    feed: broadcast::Sender<Arc<PooledTransaction>>,
    pub(crate) metrics: PoolMetrics,
}

impl Shared {
    pub(crate) fn new(config: PoolConfig, head: &HeadInfo) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            by_hash: (0..SHARDS).map(|_| HashShard::default()).collect(),
            authorities: (0..SHARDS).map(|_| Mutex::default()).collect(),
            authority_count: AtomicUsize::new(0),
            tally: Tally::new(&config),
            queues: std::array::from_fn(|_| LaneQueue::new(config.ready_queue_len, config.pending.count_max)),
            meters: Default::default(),
            signal: Arc::default(),
            base_fee: AtomicU64::new(head.base_fee),
            consumer_taken: AtomicBool::new(false),
            swept: Mutex::new(Instant::now()),
            turn: AtomicUsize::new(0),
            feed: broadcast::Sender::new(config.pending_feed_len.max(1)),
            metrics: PoolMetrics::new(),
            config,
        }
    }

    pub(crate) fn shard(&self, sender: &Address) -> &Mutex<Shard> {
        &self.shards[shard_of(sender)]
    }

    fn hash_shard(&self, hash: &TxHash) -> &HashShard {
        &self.by_hash[usize::from(hash.0[31]) % SHARDS]
    }

    pub(crate) fn get(&self, hash: &TxHash) -> Option<Arc<PooledTransaction>> {
        self.hash_shard(hash).read().get(hash).cloned()
    }

    pub(crate) fn contains(&self, hash: &TxHash) -> bool {
        self.hash_shard(hash).read().contains_key(hash)
    }

    /// Makes a transaction known by its hash. The caller holds its sender's shard.
    pub(crate) fn index(&self, transaction: &Arc<PooledTransaction>) {
        let hash = transaction.hash();
        self.hash_shard(&hash)
            .write()
            .insert(hash, Arc::clone(transaction));
        self.metrics.inserted(transaction);
    }

    /// Undoes [`Shared::index`] for a transaction that leaves the pool.
    pub(crate) fn forget(&self, transaction: &Arc<PooledTransaction>, reason: DropReason) {
        let hash = transaction.hash();
        self.hash_shard(&hash).write().remove(&hash);
        self.release_authorities(&transaction.authorities);
        self.metrics.removed(transaction, reason);
    }

    /// Tells subscribers that a transaction may be executed now.
    pub(crate) fn announce(&self, transaction: &Arc<PooledTransaction>) {
        if self.feed.receiver_count() > 0 {
            // Fails only if the last subscriber left this moment.
            let _ = self.feed.send(Arc::clone(transaction));
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<PooledTransaction>> {
        self.feed.subscribe()
    }

    /// Marks authorities as having a pending authorisation.
    pub(crate) fn reserve_authorities(&self, authorities: &[Address]) {
        for authority in authorities {
            *self.authorities[shard_of(authority)]
                .lock()
                .entry(*authority)
                .or_default() += 1;
        }
        self.authority_count
            .fetch_add(authorities.len(), Ordering::SeqCst);
    }

    pub(crate) fn release_authorities(&self, authorities: &[Address]) {
        for authority in authorities {
            if let MapEntry::Occupied(mut count) =
                self.authorities[shard_of(authority)].lock().entry(*authority)
            {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        self.authority_count
            .fetch_sub(authorities.len(), Ordering::SeqCst);
    }

    pub(crate) fn has_pending_authorization(&self, sender: &Address) -> bool {
        self.authority_count.load(Ordering::SeqCst) > 0
            && self.authorities[shard_of(sender)].lock().contains_key(sender)
    }

    /// Whether it is time to look for what has expired, which costs a look at everything.
    pub(crate) fn sweep_is_due(&self, now: Instant) -> bool {
        let mut swept = self.swept.lock();
        let due = now.saturating_duration_since(*swept) >= SWEEP_INTERVAL;
        if due {
            *swept = now;
        }
        due
    }

    /// Consumer: processes a discard, unless the sender's shard is locked.
    pub(crate) fn try_discard(&self, transaction: &Arc<PooledTransaction>, reason: DiscardReason) -> bool {
        let sender = transaction.sender();
        let Some(mut shard) = self.shard(&sender).try_lock() else {
            return false;
        };
        shard.update(&sender, &self.config, |queue| {
            let nonce = transaction.nonce();
            let known = queue
                .entries
                .get(&nonce)
                .is_some_and(|entry| entry.transaction.hash() == transaction.hash());
            queue.unwind_to(nonce, self);
            match reason {
                DiscardReason::NonceTooLow { next } => {
                    if known {
                        queue.remove(nonce, DropReason::Discarded(reason), self);
                    }
                    queue.advance(next, None, self);
                    queue.extend(self);
                }
                _ if !known => queue.extend(self),
                DiscardReason::NonceTooHigh => queue.demote(nonce, Place::Queued, self),
                DiscardReason::FeeCapBelowBaseFee => queue.demote(nonce, Place::BaseFee, self),
                DiscardReason::InsufficientFunds
                | DiscardReason::ExceedsBlockGasLimit
                | DiscardReason::Invalid => queue.remove(nonce, DropReason::Discarded(reason), self),
            }
        });
        self.metrics.discarded(reason);
        true
    }

    /// Files what waited for room in a lane, as far as there is room now.
    pub(crate) fn serve_waiters(&self) {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        for offset in 0..SHARDS {
            if !self.tally.any_waiters() {
                break;
            }
            self.shards[(first + offset) % SHARDS].lock().serve_waiters(self);
        }
        self.signal.wake();
    }
}
