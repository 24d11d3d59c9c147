//! Waiting for the workers, as one of them while there is work.

use std::time::{Duration, Instant};

use rapid_sync::now;

use super::{
    Job, Production,
    injector::{Appetite, OWN},
};

/// How long the thread that hands out executes itself before it looks for what is due or has arrived.
const OWN_SHARE: Duration = Duration::from_micros(200);

impl<J: Job> Production<J> {
    /// Whether no worker has anything.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.ledger.in_flight == 0
    }

    /// Works until no worker has anything. What runs, runs to its end.
    pub fn quiet(&mut self) {
        self.collect();
        while self.ledger.in_flight > 0 {
            self.work_until(self.given, None);
            self.collect();
        }
    }

    /// Works until half of what workers have is done, something stopped, the deadline, or it is time to look around.
    pub fn wait_for_room(&mut self, deadline: Instant) {
        self.close_batch();
        let out = self.ledger.in_flight - self.senders.waiting();
        self.work_until(self.given - out / 2, Some(deadline));
        self.collect();
    }

    /// Works for a moment, if something is ready; `false` if nothing is.
    pub fn help(&mut self) -> bool {
        self.close_batch();
        let helped = self.own.work().is_some();
        self.own.pause();
        helped
    }

    /// Works until so many are done, and waits when nothing is ready.
    fn work_until(&mut self, done: usize, deadline: Option<Instant>) {
        let until = deadline.map(|deadline| deadline.min(now() + OWN_SHARE));
        while !self.shared.has_done(done) {
            match self.own.work() {
                Some(now) if until.is_none_or(|until| now < until) => {}
                Some(_) => break,
                None => {
                    self.own.pause();
                    if self.shared.wake_when_done(self.next_done(done)) {
                        let appetite = Appetite::of(OWN, self.shared.outboxes.len());
                        self.shared.injector.sleep(OWN, appetite, &self.parker, deadline);
                    }
                    break;
                }
            }
        }
        self.own.pause();
    }

    /// How many are to be done before it is worth waking up: the next, if others wait for it.
    fn next_done(&self, done: usize) -> usize {
        if self.senders.waiting() > 0 {
            done.min(self.shared.done() + 1)
        } else {
            done
        }
    }

    /// Asks for a wake-up when all that workers have is done; `false` if it is.
    pub fn wake_when_quiet(&mut self) -> bool {
        self.close_batch();
        self.ledger.in_flight > 0 && self.shared.wake_when_done(self.next_done(self.given))
    }
}
