//! The consumer's side: what the hot loop calls.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use crate::{
    Lane, PooledTransaction,
    discard::DiscardReason,
    lane::LANES,
    shared::Shared,
    signal::Urgency,
    slot::{Before, Slot},
    turns::{Turn, Turns},
};

/// Lanes that go on when no others do.
const URGENT: [Lane; 2] = [Lane::System, Lane::Critical];

/// Why [`ReadyQueue::wait_until`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// There may be something to pop.
    Ready,
    /// Nothing is being decoded any more, or [`crate::Pool::notify_consumer`] was called.
    Notified,
    /// The deadline is reached.
    Deadline,
}

/// Takes executable transactions out of the pool. One per pool, owned by the hot loop's thread.
///
/// # Order
/// - Within a lane: first come, first served. A real-time sequencer promises latency, and arrival order is the one that
///   bounds it; a tip buys a lane, never a place before an earlier one of the same lane.
/// - Between lanes: the highest lane that has something, except that a lane passed over
///   [`crate::LaneConfig::passed_over_max`] times in a row, or for its ageing bound, is served once (those
///   that are late by time first, then the most overdue). So a lane with something is served at the latest after its
///   bound plus the number of lanes pops, and at the latest two seconds after it was last served ([`crate::AGEING_MAX`]).
///   The same input at the same times gives the same order.
/// - Of one sender: strictly by nonce, whatever the lanes. A later nonce is filed no higher than an earlier one that
///   still waits; when a lane's share reaches the later one first, the earlier one is handed out in its place.
///
/// # Results
/// A transaction that was executed needs no word: the published mini-block takes it out of the pool. One that was not is
/// given to exactly one of [`requeue_front`](Self::requeue_front), [`hold`](Self::hold) and
/// [`discard`](Self::discard).
///
/// # Cost
/// `pop` takes no lock that another thread may hold for longer than a pointer copy; the locks of the sender's shard
/// and of a lane's overflow are only tried, and tried again at the next call.
#[derive(Debug)]
pub struct ReadyQueue {
    shared: Arc<Shared>,
    /// Per lane, what goes before the shared queue: put back, or stepped over for an earlier nonce.
    front: [VecDeque<Arc<Slot>>; LANES],
    turns: Turns,
    held: Vec<(Arc<Slot>, Arc<PooledTransaction>)>,
    /// Later nonces of held transactions' senders.
    blocked: Vec<Arc<Slot>>,
    /// Discards that met a locked shard. Bounded by what was dispatched, which the lanes bound.
    discards: VecDeque<(Arc<PooledTransaction>, DiscardReason)>,
    /// Whether the last look at the ingress saw something on its way.
    saw_ingress: bool,
}

impl ReadyQueue {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            front: Default::default(),
            turns: Turns::default(),
            held: Vec::new(),
            blocked: Vec::new(),
            discards: VecDeque::new(),
            saw_ingress: false,
        }
    }

    /// Takes the next transaction, or `None` if no lane has one that may be executed now.
    pub fn pop(&mut self) -> Option<Arc<PooledTransaction>> {
        self.pop_at(Instant::now())
    }

    /// [`Self::pop`] at a time that the caller knows; it never goes back.
    pub fn pop_at(&mut self, now: Instant) -> Option<Arc<PooledTransaction>> {
        self.flush_discards();
        let overdue = self.turns.overdue(&self.shared.config.lanes, now);
        let by_rank = Lane::ALL.into_iter().map(|lane| (lane, Turn::Rank));
        for (lane, turn) in overdue.into_iter().chain(by_rank) {
            if let Some(transaction) = self.serve(lane, turn, now) {
                return Some(transaction);
            }
        }
        self.note_served(None, now);
        None
    }

    /// Takes the next transaction of a lane above `Paid`, for who has no room for others. `None` also while a lane below
    /// has not been served for its ageing bound: room has to be made for it first.
    pub fn pop_urgent(&mut self) -> Option<Arc<PooledTransaction>> {
        self.pop_urgent_at(Instant::now())
    }

    /// [`Self::pop_urgent`] at a time that the caller knows; it never goes back.
    pub fn pop_urgent_at(&mut self, now: Instant) -> Option<Arc<PooledTransaction>> {
        self.flush_discards();
        let overdue = self.turns.overdue(&self.shared.config.lanes, now);
        if overdue.is_some_and(|(lane, turn)| turn == Turn::Age && lane > Lane::Critical) {
            return None;
        }
        URGENT
            .into_iter()
            .find_map(|lane| self.serve(lane, Turn::Rank, now))
    }

    /// Takes the next transaction of a lane above `Paid`, for who should not take on more than must be; also of one below that
    /// has not been served for its ageing bound. The time never goes back.
    pub fn pop_pressing_at(&mut self, now: Instant) -> Option<Arc<PooledTransaction>> {
        self.flush_discards();
        let overdue = self.turns.overdue(&self.shared.config.lanes, now);
        let by_age = overdue.filter(|(_, turn)| *turn == Turn::Age);
        let by_rank = URGENT.map(|lane| (lane, Turn::Rank));
        for (lane, turn) in by_age.into_iter().chain(by_rank) {
            if let Some(transaction) = self.serve(lane, turn, now) {
                return Some(transaction);
            }
        }
        self.note_served(None, now);
        None
    }

    /// Takes the next transaction of those that were put back or released, in the order of the lanes.
    pub fn pop_put_back_at(&mut self, now: Instant) -> Option<Arc<PooledTransaction>> {
        Lane::ALL.into_iter().find_map(|lane| {
            let is_there = !self.front[lane.index()].is_empty();
            is_there.then(|| self.serve(lane, Turn::Rank, now)).flatten()
        })
    }

    fn serve(&mut self, lane: Lane, turn: Turn, now: Instant) -> Option<Arc<PooledTransaction>> {
        let (transaction, since) = self.take_from(lane)?;
        self.note_served(Some(lane), now);
        self.shared.meters[lane.index()].serve(turn, now.saturating_duration_since(since));
        Some(transaction)
    }

    fn note_served(&mut self, served: Option<Lane>, now: Instant) {
        let Self {
            turns, front, shared, ..
        } = self;
        let has_something =
            |lane: Lane| !front[lane.index()].is_empty() || !shared.queues[lane.index()].is_empty();
        let passed_over = turns.served(served, now, has_something);
        for (meter, passed_over) in shared.meters.iter().zip(passed_over) {
            if passed_over {
                meter.pass_over();
            }
        }
        self.report_fronts();
    }

    fn report_fronts(&self) {
        for (meter, front) in self.shared.meters.iter().zip(&self.front) {
            meter.set_in_front(front.len());
        }
    }

    /// Takes the oldest transaction of a lane, or in its place the earliest of its sender that still waits, with the time
    /// since when it could be taken.
    fn take_from(&mut self, lane: Lane) -> Option<(Arc<PooledTransaction>, Instant)> {
        loop {
            let slot = match self.front[lane.index()].pop_front() {
                Some(slot) => slot,
                None => self.shared.queues[lane.index()].pop()?,
            }
            .newest();
            if !slot.is_queued() {
                continue;
            }
            let mut first = Arc::clone(&slot);
            let before = loop {
                match first.before() {
                    Before::Waiting(earlier) => first = earlier,
                    before => break before,
                }
            };
            match before {
                Before::Held => {
                    self.blocked.push(slot);
                    continue;
                }
                Before::Gone => {
                    // The discard that made the gap is about to be processed and files it again if it may run.
                    slot.withdraw();
                    continue;
                }
                Before::Clear | Before::Waiting(_) => {}
            }
            if !Arc::ptr_eq(&first, &slot) {
                self.front[lane.index()].push_front(Arc::clone(&slot));
            }
            if let Some(transaction) = first.take() {
                return Some((transaction, first.since()));
            }
            if Arc::ptr_eq(&first, &slot) {
                // Replaced since: its successor has the same place.
                self.front[lane.index()].push_front(slot);
            }
        }
    }

    /// Puts a transaction that was popped back at the front of its lane, to be taken first when the lane is served
    /// next: one that does not fit the block any more. Of several, put back the last popped first.
    ///
    /// Nothing happens if it has left the pool meanwhile.
    pub fn requeue_front(&mut self, transaction: Arc<PooledTransaction>) {
        let Some(slot) = transaction.slot.lock().upgrade() else {
            return;
        };
        if slot.put_back(transaction) {
            self.front[slot.lane().index()].push_front(slot);
        }
        self.report_fronts();
    }

    /// Sets a transaction that was popped aside until [`release_held`](Self::release_held): one that reads the hash of
    /// a block whose header is still being computed. Later nonces of its sender wait with it; other senders go on.
    pub fn hold(&mut self, transaction: Arc<PooledTransaction>) {
        let Some(slot) = transaction.slot.lock().upgrade() else {
            return;
        };
        if slot.is_dispatched() {
            slot.hold();
            self.held.push((slot, transaction));
        }
    }

    /// Puts everything held back at the front of its lane, in the order in which it was popped. How many were held.
    pub fn release_held(&mut self) -> usize {
        let released = self.held.len();
        for slot in self.blocked.drain(..).rev() {
            self.front[slot.lane().index()].push_front(slot);
        }
        for (slot, transaction) in self.held.drain(..).rev() {
            if slot.put_back(transaction) {
                self.front[slot.lane().index()].push_front(slot);
            }
        }
        self.report_fronts();
        released
    }

    /// Transactions set aside, without those that wait for them.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.held.len()
    }

    /// Reports that a transaction that was popped cannot be executed. What becomes of it and of the later nonces of
    /// its sender is said by the [`DiscardReason`].
    pub fn discard(&mut self, transaction: Arc<PooledTransaction>, reason: DiscardReason) {
        if let Some(slot) = transaction.slot.lock().upgrade() {
            slot.abandon();
        }
        self.discards.push_back((transaction, reason));
        self.flush_discards();
    }

    fn flush_discards(&mut self) {
        while let Some((transaction, reason)) = self.discards.front() {
            if !self.shared.try_discard(transaction, *reason) {
                return;
            }
            self.discards.pop_front();
        }
    }

    /// Whether no lane has anything and nothing is being decoded: the moment to seal at once. Held transactions do not
    /// count, since they cannot be executed now.
    pub fn is_idle(&mut self) -> bool {
        // The ingress first: a submission leaves it after its transaction is filed.
        self.saw_ingress = self.shared.signal.ingress() > 0;
        !self.saw_ingress && !self.has_work()
    }

    fn has_work(&self) -> bool {
        !self.discards.is_empty() || Lane::ALL.into_iter().any(|lane| self.has_some_of(lane))
    }

    fn has_urgent(&self) -> bool {
        !self.discards.is_empty() || URGENT.into_iter().any(|lane| self.has_some_of(lane))
    }

    fn has_some_of(&self, lane: Lane) -> bool {
        !self.front[lane.index()].is_empty() || !self.shared.queues[lane.index()].is_empty()
    }

    /// Places in all lanes, an upper bound of what can be popped: some may have been withdrawn.
    #[must_use]
    pub fn len(&self) -> usize {
        let front: usize = self.front.iter().map(VecDeque::len).sum();
        let shared: usize = self
            .shared
            .queues
            .iter()
            .map(crate::lane_queue::LaneQueue::len)
            .sum();
        front + shared
    }

    /// Whether [`len`](Self::len) is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sleeps until there is something to pop, the last submission on its way has ended,
    /// [`crate::Pool::notify_consumer`] is called, or the deadline. Returns at once if one of these holds already; the
    /// end of submissions counts if [`is_idle`](Self::is_idle) saw one since the last call.
    pub fn wait_until(&mut self, deadline: Instant) -> Wake {
        self.shared.signal.register();
        loop {
            self.flush_discards();
            if self.has_work() {
                self.saw_ingress = false;
                return Wake::Ready;
            }
            if self.shared.signal.take_notification() || self.ingress_ended() {
                self.saw_ingress = false;
                return Wake::Notified;
            }
            if Instant::now() >= deadline {
                return Wake::Deadline;
            }
            if self.shared.tally.any_waiters() {
                // Nothing to execute, so this thread may wait for a lock, and nobody else may come to do it.
                self.shared.serve_waiters();
            }
            self.shared
                .signal
                .sleep_until(deadline, Urgency::Any, || self.has_work() || self.ingress_ended());
        }
    }

    /// Sleeps until [`pop_pressing_at`](Self::pop_pressing_at) may have something, [`crate::Pool::notify_consumer`] is called,
    /// or the deadline. What comes for lanes below `Critical` meanwhile is not looked at.
    pub fn wait_for_pressing_until(&mut self, deadline: Instant) -> Wake {
        self.shared.signal.register();
        let due = self.turns.next_due(&self.shared.config.lanes);
        let wakes_at = due.map_or(deadline, |due| due.min(deadline));
        loop {
            self.flush_discards();
            if self.has_urgent() {
                return Wake::Ready;
            }
            if self.shared.signal.take_notification() {
                return Wake::Notified;
            }
            if Instant::now() >= wakes_at {
                return if wakes_at < deadline {
                    Wake::Ready
                } else {
                    Wake::Deadline
                };
            }
            self.shared
                .signal
                .sleep_until(wakes_at, Urgency::Urgent, || self.has_urgent());
        }
    }

    fn ingress_ended(&self) -> bool {
        self.saw_ingress && self.shared.signal.ingress() == 0
    }
}

impl Drop for ReadyQueue {
    /// Lets another consumer be taken; what this one had dispatched stays dispatched.
    fn drop(&mut self) {
        self.release_held();
        for (lane, front) in self.front.iter_mut().enumerate() {
            for slot in front.drain(..) {
                self.shared.queues[lane].push(slot);
            }
            self.shared.meters[lane].set_in_front(0);
        }
        self.shared.consumer_taken.store(false, Ordering::SeqCst);
    }
}
