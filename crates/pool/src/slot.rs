//! A place in a ready queue: who may have its transaction is decided by one atomic state.

use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;

use crate::{Lane, PooledTransaction};

/// A place in a ready queue, from filing until its transaction was taken, replaced or withdrawn.
///
/// Producers and the consumer never wait for each other here: whoever moves the state away from `QUEUED` owns the
/// content. So the mutex around the content is never contended; it is there because the owner changes.
///
/// ```text
///            +--> TAKEN <--> HELD          consumer (dispatched; held back)
///  QUEUED ---+--> SUPERSEDED --next--> QUEUED    producer (replaced in place)
///            +--> DEAD                     producer (withdrawn), consumer (out of order)
/// ```
/// `TAKEN` goes back to `QUEUED` when the consumer puts a transaction back, and to `DEAD` when it discards it.
#[derive(Debug)]
pub(crate) struct Slot {
    state: AtomicU8,
    content: Mutex<Option<Arc<PooledTransaction>>>,
    /// Set while something before it is missing although the consumer has it.
    orphaned: AtomicBool,
    /// The lane it is filed in: that of the transaction or, while an earlier nonce waits in a lower one, that one.
    lane: Lane,
    /// When it was filed; of a replacement, when what it replaced was: it has that one's place.
    since: Instant,
    /// What replaced it; set before the state becomes `SUPERSEDED`.
    next: OnceLock<Arc<Self>>,
    /// The place of the sender's nonce before, if it had not been dispatched when this one was filed. Weak, or else
    /// a sender that never stops would keep every place it ever had.
    predecessor: Weak<Self>,
}

const QUEUED: u8 = 0;
const TAKEN: u8 = 1;
const HELD: u8 = 2;
const SUPERSEDED: u8 = 3;
const DEAD: u8 = 4;

/// What the consumer learns about the place of the nonce before.
#[derive(Debug)]
pub(crate) enum Before {
    /// Dispatched, included or never there: nothing stands in the way.
    Clear,
    /// Waiting itself: it goes first.
    Waiting(Arc<Slot>),
    /// Held back by the consumer.
    Held,
    /// Discarded or withdrawn: what follows is out of order until the pool files it again.
    Gone,
}

impl Slot {
    pub(crate) fn new(
        transaction: Arc<PooledTransaction>,
        lane: Lane,
        predecessor: Option<&Arc<Self>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(QUEUED),
            content: Mutex::new(Some(transaction)),
            orphaned: AtomicBool::new(false),
            lane,
            since: Instant::now(),
            next: OnceLock::new(),
            predecessor: predecessor.map(Arc::downgrade).unwrap_or_default(),
        })
    }

    pub(crate) const fn lane(&self) -> Lane {
        self.lane
    }

    pub(crate) const fn since(&self) -> Instant {
        self.since
    }

    /// Whether its transaction may still be taken, so that a producer could replace or withdraw it.
    pub(crate) fn is_queued(&self) -> bool {
        self.state.load(Ordering::SeqCst) == QUEUED
    }

    fn move_from_queued(&self, to: u8) -> bool {
        self.state
            .compare_exchange(QUEUED, to, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// Whether its transaction may yet be executed and has not been handed out, or was handed out and is held.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state.load(Ordering::SeqCst), QUEUED | HELD)
    }

    /// Whether the consumer has its transaction.
    pub(crate) fn is_dispatched(&self) -> bool {
        matches!(self.state.load(Ordering::SeqCst), TAKEN | HELD)
    }

    /// Producer: takes the transaction out of the consumer's reach. `false` if the consumer has it.
    pub(crate) fn withdraw(&self) -> bool {
        match self
            .state
            .compare_exchange(QUEUED, DEAD, Ordering::SeqCst, Ordering::SeqCst)
        {
            Ok(_) => {
                *self.content.lock() = None;
                true
            }
            Err(state) => !matches!(state, TAKEN | HELD),
        }
    }

    /// Producer: something before it is gone, so it is withdrawn now or, if the consumer has it and puts it back,
    /// then. `true` if now.
    pub(crate) fn orphan(&self) -> bool {
        self.orphaned.store(true, Ordering::SeqCst);
        self.withdraw()
    }

    /// Producer: what the consumer has is in order again, so it may put it back. `false` if the consumer does not have
    /// it; it is withdrawn then.
    pub(crate) fn adopt(&self) -> bool {
        if self.withdraw() {
            return false;
        }
        self.orphaned.store(false, Ordering::SeqCst);
        // It may have been put back just before, and then withdrawn for being an orphan or not: the consumer sets the
        // state first and looks at the flag after, so this looks at the state after it cleared the flag.
        !self.withdraw()
    }

    /// Producer: its nonce was used by a published transaction, so nothing need wait for it any more.
    pub(crate) fn finish(&self) {
        if self.move_from_queued(TAKEN) {
            *self.content.lock() = None;
        }
    }

    /// Producer: puts another transaction in the same place. `None` if the consumer has the old one.
    ///
    /// Only one producer at a time may do this, which the lock of the sender's shard ensures.
    pub(crate) fn supersede(&self, transaction: Arc<PooledTransaction>) -> Option<Arc<Self>> {
        if !self.is_queued() {
            return None;
        }
        let slot = Arc::new(Self {
            state: AtomicU8::new(QUEUED),
            content: Mutex::new(Some(transaction)),
            orphaned: AtomicBool::new(false),
            lane: self.lane,
            since: self.since,
            next: OnceLock::new(),
            predecessor: Weak::clone(&self.predecessor),
        });
        // The consumer may follow as soon as the state says so, so the successor is there first. If one is there
        // already, an earlier attempt lost the race; the place was put back since, but cannot lead elsewhere.
        if self.next.set(Arc::clone(&slot)).is_err() || !self.move_from_queued(SUPERSEDED) {
            return None;
        }
        *self.content.lock() = None;
        Some(slot)
    }

    /// Consumer: the place that stands here now, after replacements.
    pub(crate) fn newest(self: &Arc<Self>) -> Arc<Self> {
        let mut slot = self;
        while slot.state.load(Ordering::SeqCst) == SUPERSEDED {
            match slot.next.get() {
                Some(next) => slot = next,
                None => break,
            }
        }
        Arc::clone(slot)
    }

    /// Consumer: takes the transaction, or `None` if it was replaced or withdrawn meanwhile.
    pub(crate) fn take(&self) -> Option<Arc<PooledTransaction>> {
        if !self.move_from_queued(TAKEN) {
            return None;
        }
        self.content.lock().take()
    }

    /// Consumer: gives back a transaction that it took. `false` if it does not have it, or if it is out of order now.
    pub(crate) fn put_back(&self, transaction: Arc<PooledTransaction>) -> bool {
        if !self.is_dispatched() {
            return false;
        }
        *self.content.lock() = Some(transaction);
        self.state.store(QUEUED, Ordering::SeqCst);
        if self.orphaned.load(Ordering::SeqCst) {
            self.withdraw();
            return false;
        }
        true
    }

    /// Consumer: keeps a transaction that it took, so that later nonces of the sender wait too.
    pub(crate) fn hold(&self) {
        self.state.store(HELD, Ordering::SeqCst);
    }

    /// Consumer: a transaction that it took will not be executed; later nonces of the sender are out of order.
    pub(crate) fn abandon(&self) {
        self.state.store(DEAD, Ordering::SeqCst);
    }

    /// Consumer: what stands before it.
    pub(crate) fn before(&self) -> Before {
        let Some(predecessor) = self.predecessor.upgrade() else {
            return Before::Clear;
        };
        let predecessor = predecessor.newest();
        match predecessor.state.load(Ordering::SeqCst) {
            QUEUED => Before::Waiting(predecessor),
            HELD => Before::Held,
            DEAD => Before::Gone,
            _ => Before::Clear,
        }
    }
}
