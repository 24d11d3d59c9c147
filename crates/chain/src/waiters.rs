//! Who waits for which receipt.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use alloy_primitives::B256;
use parking_lot::Mutex;
use rapid_primitives::SealedMiniBlock;
use tokio::sync::oneshot;

const SHARDS: usize = 16;

/// A transaction in the mini-block that published it.
#[derive(Clone, Debug)]
pub struct Included {
    /// The mini-block.
    pub mini_block: Arc<SealedMiniBlock>,
    /// Index of the transaction in the mini-block.
    pub index: usize,
}

type Waiting = HashMap<B256, Vec<(u64, oneshot::Sender<Included>)>>;

/// Receipt waiters by transaction hash. Each belongs to a request in flight, so their number is bounded by the
/// connections' request limits.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    shards: [Mutex<Waiting>; SHARDS],
    waiting: AtomicUsize,
    next_id: AtomicU64,
}

impl Waiters {
    pub(crate) fn register(self: &Arc<Self>, hash: B256) -> ReceiptWaiter {
        let (sender, receiver) = oneshot::channel();
        let id = self.next_id.fetch_add(1, Relaxed);
        // Counted before it is in the map: a publisher that sees zero may skip the maps.
        self.waiting.fetch_add(1, SeqCst);
        self.shard(&hash)
            .lock()
            .entry(hash)
            .or_default()
            .push((id, sender));
        ReceiptWaiter {
            receiver,
            registration: Registration {
                waiters: Arc::clone(self),
                hash,
                id,
            },
        }
    }

    /// Wakes all who wait for a transaction of the mini-block.
    pub(crate) fn wake(&self, mini_block: &Arc<SealedMiniBlock>) {
        if self.waiting.load(SeqCst) == 0 {
            return;
        }
        for (index, transaction) in mini_block.body().transactions.iter().enumerate() {
            let Some(waiting) = self
                .shard(transaction.tx_hash())
                .lock()
                .remove(transaction.tx_hash())
            else {
                continue;
            };
            self.waiting.fetch_sub(waiting.len(), SeqCst);
            for (_, sender) in waiting {
                // A waiter that went away meanwhile is no error.
                let _ = sender.send(Included {
                    mini_block: Arc::clone(mini_block),
                    index,
                });
            }
        }
    }

    fn shard(&self, hash: &B256) -> &Mutex<Waiting> {
        &self.shards[usize::from(hash[0]) % SHARDS]
    }
}

/// Resolves once the transaction is published; dropping it ends the wait.
#[derive(Debug)]
pub struct ReceiptWaiter {
    receiver: oneshot::Receiver<Included>,
    registration: Registration,
}

impl ReceiptWaiter {
    /// The transaction waited for.
    #[must_use]
    pub const fn hash(&self) -> B256 {
        self.registration.hash
    }
}

impl Future for ReceiptWaiter {
    /// `None` if nobody can publish it any more. Callers set their own time limit.
    type Output = Option<Included>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context).map(Result::ok)
    }
}

#[derive(Debug)]
struct Registration {
    waiters: Arc<Waiters>,
    hash: B256,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut shard = self.waiters.shard(&self.hash).lock();
        let Some(waiting) = shard.get_mut(&self.hash) else {
            return;
        };
        let before = waiting.len();
        waiting.retain(|(id, _)| *id != self.id);
        self.waiters.waiting.fetch_sub(before - waiting.len(), SeqCst);
        if waiting.is_empty() {
            shard.remove(&self.hash);
        }
    }
}
