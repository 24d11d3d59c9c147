//! Handing transactions out: how many at a time, and to whom.

use std::collections::VecDeque;

use alloy_primitives::Address;
use rapid_evm::Promised;
use rapid_sync::{CHECKED, now};

use super::{
    Class, Job, Production,
    batch::{Batch, RUN_MAX},
    injector::Runnable,
    job::{Length, Task},
    route::Route,
};

/// Transactions that workers have at a time, for each of them: enough that none waits for the thread that hands out, few enough
/// that what is urgent is not behind many.
pub(super) const HANDED_OUT_PER_WORKER: usize = if CHECKED { 2 } else { 32 };

/// Classes that may be handed out beyond that, as many again: what is urgent does not wait for room.
const URGENT_CLASSES: usize = 2;

/// As many times that may be handed out in all: what waits for others of its sender keeps no worker busy.
const WAITING_SHARE: usize = 4;

/// Transactions that wait to run alone before nothing more is handed out.
const ALONE_MAX: usize = 1_024;

impl<J: Job> Production<J> {
    /// Whether one more of this class may be handed out.
    #[must_use]
    pub fn has_room(&self, class: Class) -> bool {
        let room = if class.index() < URGENT_CLASSES {
            2 * self.room
        } else {
            self.room
        };
        let in_flight = self.ledger.in_flight;
        in_flight - self.senders.waiting() < room
            && in_flight < WAITING_SHARE * room
            && self.alone.len() < ALONE_MAX
    }

    /// What is promised of the block to transactions that are handed out, and used by those that are executed and not cut.
    #[must_use]
    pub const fn promised(&self) -> Promised {
        self.ledger.promised()
    }

    /// Transactions and their bytes that are handed out, or executed and not cut.
    #[must_use]
    pub const fn uncut(&self) -> (usize, usize) {
        (self.ledger.in_flight + self.executed.len(), self.ledger.bytes())
    }

    /// Bytes of the transactions that are executed and not cut.
    #[must_use]
    pub const fn executed_bytes(&self) -> usize {
        self.ledger.executed_bytes()
    }

    /// Hands a transaction to the workers. Those of one sender are to be handed out by nonce. Some are kept back until there
    /// are more of them, at most until the next call of anything else.
    pub fn hand_out(&mut self, job: J, class: Class) {
        let Some(job) = self.alone.keep_behind(job, class) else {
            return;
        };
        let sender = job.sender();
        if self.ledger.in_flight == 0 {
            self.efficiency.busy(now());
        }
        self.ledger.handed_out(&job);
        let task = Task { job, class };
        let route = self.router.route(&task);
        let open = match route {
            Route::WithOthers => Some(self.open_for(class)),
            Route::Lane(_) | Route::Long => None,
        };
        if let Some(task) = self.senders.admit(sender, task, open) {
            self.give(task, route);
        }
    }

    /// The batch that is open for transactions of this class.
    fn open_for(&mut self, class: Class) -> u64 {
        if !self.open.takes(class) {
            self.close_batch();
        }
        self.open.number()
    }

    /// Gives a transaction to the workers.
    fn give(&mut self, task: Task<J>, route: Route<J>) {
        self.given += 1;
        match route {
            Route::Lane(lane) => {
                let class = task.class;
                if lane.enter(task) {
                    let runnable = Runnable::Lane(lane, class);
                    self.shared.injector.push(runnable, class, Length::Short);
                }
            }
            Route::Long => self.push(Batch::of(VecDeque::from([task]), Length::Long)),
            Route::WithOthers => {
                let is_complete = self.open.push(task);
                // Nobody is to wait while others collect.
                if is_complete || self.ledger.in_flight < 2 * self.shared.outboxes.len() {
                    self.close_batch();
                }
            }
        }
    }

    pub(super) fn close_batch(&mut self) {
        if let Some(batch) = self.open.close() {
            self.push(batch);
        }
    }

    fn push(&self, batch: Batch<J>) {
        let (class, length) = (batch.class, batch.length);
        self.shared.injector.push(Runnable::Batch(batch), class, length);
    }

    /// One of a sender's is done, so later ones may be next: many together, where nothing is known of them.
    pub(super) fn let_go(&mut self, sender: Address) {
        let Some(first) = self.senders.done(&sender) else {
            return;
        };
        match self.router.route(&first) {
            Route::WithOthers => {
                let class = first.class;
                let mut run = VecDeque::from([first]);
                while run.len() < RUN_MAX
                    && let Some(next) = self.senders.next(&sender)
                    && next.class == class
                    && matches!(self.router.route(next), Route::WithOthers)
                {
                    run.extend(self.senders.take_next(&sender));
                }
                self.given += run.len();
                self.push(Batch::of(run, Length::Short));
            }
            route => self.give(first, route),
        }
    }
}
