//! What the thread that hands out and the workers share.

use std::sync::Arc;

use crossbeam_utils::CachePadded;
use rapid_chainspec::ChainSpec;
use rapid_primitives::BlockEnvironment;
use rapid_sync::{
    Mutex,
    atomic::{
        AtomicU64, AtomicUsize,
        Ordering::{AcqRel, Acquire, Release, SeqCst},
    },
};

use super::{injector::Injector, outbox::Outbox};

/// No number of a block: the hash of every ancestor is known.
const NONE_PENDING: u64 = u64::MAX;

/// Nobody waits for progress.
const NOBODY_WAITS: usize = usize::MAX;

pub(crate) struct Shared<J> {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) injector: Injector<J>,
    pub(crate) outboxes: Vec<CachePadded<Mutex<Outbox<J>>>>,
    block: Mutex<Arc<Block>>,
    /// Number of the block among those that were entered; changes only while no worker has anything.
    generation: AtomicU64,
    /// The parent whose hash is not known yet.
    pending_parent: AtomicU64,
    /// Transactions that workers are done with.
    pub(crate) done: CachePadded<AtomicUsize>,
    /// When that many are done, somebody is to be woken.
    wake_at: CachePadded<AtomicUsize>,
    wake: Box<dyn Fn() + Send + Sync>,
}

/// The block in execution.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) environment: BlockEnvironment,
}

impl<J> Shared<J> {
    pub(crate) fn new(
        spec: Arc<ChainSpec>,
        injector: Injector<J>,
        workers: usize,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self {
            spec,
            injector,
            outboxes: (0..workers).map(|_| CachePadded::default()).collect(),
            block: Mutex::new(Arc::new(Block {
                environment: BlockEnvironment::default(),
            })),
            generation: AtomicU64::new(0),
            pending_parent: AtomicU64::new(NONE_PENDING),
            done: CachePadded::default(),
            wake_at: CachePadded::new(AtomicUsize::new(NOBODY_WAITS)),
            wake,
        }
    }

    /// Makes a block the one in execution. Nothing is handed out.
    pub(crate) fn enter_block(&self, environment: BlockEnvironment, pending_parent: Option<u64>) {
        *self.block.lock() = Arc::new(Block { environment });
        self.pending_parent
            .store(pending_parent.unwrap_or(NONE_PENDING), Release);
        self.generation.fetch_add(1, AcqRel);
    }

    /// The block in execution, if it is another than that of this generation.
    pub(crate) fn new_block(&self, generation: u64) -> Option<(u64, Arc<Block>)> {
        let now = self.generation.load(Acquire);
        (now != generation).then(|| (now, Arc::clone(&self.block.lock())))
    }

    /// The parent's hash is known, and what depends on it is in the state.
    pub(crate) fn parent_hash_arrived(&self) {
        self.pending_parent.store(NONE_PENDING, Release);
    }

    pub(crate) fn pending_parent(&self) -> Option<u64> {
        Some(self.pending_parent.load(Acquire)).filter(|number| *number != NONE_PENDING)
    }

    /// A worker is done with so many transactions.
    pub(crate) fn are_done(&self, count: usize) {
        let done = self.done.fetch_add(count, SeqCst) + count;
        let wake_at = self.wake_at.load(SeqCst);
        if done >= wake_at
            && self
                .wake_at
                .compare_exchange(wake_at, NOBODY_WAITS, SeqCst, SeqCst)
                .is_ok()
        {
            self.wake();
        }
    }

    /// Wakes the thread that hands out.
    pub(crate) fn wake(&self) {
        (self.wake)();
    }

    /// Whether so many are done.
    pub(crate) fn has_done(&self, count: usize) -> bool {
        self.done() >= count
    }

    /// How many are done.
    pub(crate) fn done(&self) -> usize {
        self.done.load(Acquire)
    }

    /// Asks to be woken when so many are done; `false` if they are.
    pub(crate) fn wake_when_done(&self, count: usize) -> bool {
        self.wake_at.store(count, SeqCst);
        // Whoever is done counts first and looks then, so one of both sees the other.
        self.done.load(SeqCst) < count
    }
}
