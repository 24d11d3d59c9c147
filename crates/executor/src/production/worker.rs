//! A worker: takes what is ready, executes it on committed values, commits.
//!
//! All but one have a thread of their own. One belongs to the thread that hands out, which works while it would wait.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use rapid_state::StateKey;
use rapid_sync::{CHECKED, Parker, now};

use super::{
    attempt::{Attempts, Post, Verdict},
    batch::Batch,
    injector::{Appetite, Runnable},
    job::{Class, Job, Length},
    lane::Lane,
    outbox::{Alone, Lost, Obstacle, Outbox, Outcome, Stop, StopReason},
    shared::Shared,
};

/// Transactions that a worker runs of one lane before others have their turn.
const LANE_RUN_MAX: usize = if CHECKED { 2 } else { 16 };

/// Transactions in a batch from which looking at them before is quicker than waiting for memory at each.
const LOOK_AHEAD_MIN: usize = if CHECKED { 2 } else { 4 };

/// Executions after which a worker tells how much time it used.
const UNTOLD_MAX: usize = 32;

/// Races that a transaction may lose before it has to run alone.
const LOST_MAX: u32 = 8;

/// How long a worker looks for something to do before it sleeps, where it may.
const SPIN: Duration = Duration::from_micros(if CHECKED { 0 } else { 20 });

/// Whether workers may use up the time of a core for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// They sleep at once.
    Sleep,
    /// They look for a while first.
    SpinFirst,
}

/// The worker of the thread that hands out.
pub(crate) trait Own {
    /// Executes some of what is ready; `None` if nothing is, else the time.
    fn work(&mut self) -> Option<Instant>;
    /// The thread does something else from now on.
    fn pause(&mut self);
}

pub(crate) struct Worker<J, A> {
    number: usize,
    appetite: Appetite,
    waiting: Waiting,
    shared: Arc<Shared<J>>,
    attempts: A,
    at: Instant,
    /// CPU time of this thread that was told, and executions since.
    told: Duration,
    untold: usize,
    /// Whether what the thread does now is a worker's work.
    is_at_work: bool,
}

impl<J: Job, A: Attempts<J>> Worker<J, A> {
    pub(crate) fn new(number: usize, waiting: Waiting, shared: Arc<Shared<J>>, attempts: A) -> Self {
        Self {
            number,
            appetite: Appetite::of(number, shared.outboxes.len()),
            waiting,
            shared,
            attempts,
            at: now(),
            told: Duration::ZERO,
            untold: 0,
            is_at_work: false,
        }
    }

    /// Works until it is stopped.
    pub(crate) fn run(mut self) {
        let parker = Parker::new();
        while !self.shared.injector.is_stopping() {
            match self.find() {
                Some(runnable) => {
                    self.at = now();
                    self.go_on_with(runnable);
                }
                None => {
                    self.tell_work();
                    self.shared
                        .injector
                        .sleep(self.number, self.appetite, &parker, None);
                }
            }
        }
    }

    fn find(&mut self) -> Option<Runnable<J>> {
        self.appetite = self.appetite.next();
        let found = self.shared.injector.pop(self.appetite);
        if found.is_some() || self.waiting == Waiting::Sleep {
            return found;
        }
        let since = now();
        while now().duration_since(since) < SPIN {
            for _ in 0..32 {
                std::hint::spin_loop();
            }
            let found = self.shared.injector.pop(self.appetite);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn go_on_with(&mut self, runnable: Runnable<J>) {
        match runnable {
            Runnable::Batch(batch) => self.run_batch(batch),
            Runnable::Lane(lane, class) => {
                if lane.begin(class) {
                    self.run_lane(&lane);
                }
            }
        }
    }

    /// Runs a batch until something more urgent is ready.
    fn run_batch(&mut self, mut batch: Batch<J>) {
        let before = batch.tasks.len();
        if before >= LOOK_AHEAD_MIN {
            let jobs = batch.tasks.iter().map(|task| &task.job);
            // It changes nothing, so whatever breaks it breaks the execution of what it is, or nothing.
            let looked = catch_unwind(AssertUnwindSafe(|| self.attempts.look_ahead(jobs)));
            if looked.is_err() {
                self.attempts.start_over();
            }
        }
        while let Some(task) = batch.tasks.pop_front() {
            if let Some((job, obstacle)) = self.execute(task.job) {
                let successors = batch.take_of(&job.sender());
                self.stop(Stop {
                    job,
                    obstacle,
                    successors,
                });
            }
            if !batch.tasks.is_empty() && self.shared.injector.has_above(batch.class) {
                break;
            }
        }
        let after = batch.tasks.len();
        if after > 0 {
            let (class, length) = (batch.class, batch.length);
            self.shared.injector.push(Runnable::Batch(batch), class, length);
        }
        self.shared.are_done(before - after);
    }

    /// Runs the transactions in a lane.
    fn run_lane(&mut self, lane: &Arc<Lane<J>>) {
        for _ in 0..LANE_RUN_MAX {
            let Some(task) = lane.next() else { return };
            if let Some((job, obstacle)) = self.execute(task.job) {
                self.stop(Stop {
                    job,
                    obstacle,
                    successors: Vec::new(),
                });
            }
            self.shared.are_done(1);
            if self.shared.injector.has_above(Class::new(usize::MAX)) {
                break;
            }
        }
        if let Some(class) = lane.yield_up() {
            let runnable = Runnable::Lane(Arc::clone(lane), class);
            self.shared.injector.push(runnable, class, Length::Short);
        }
    }

    /// Executes a transaction until it commits; gives it back if it does not.
    fn execute(&mut self, job: J) -> Option<(J, Obstacle)> {
        let mut job = Some(job);
        let mut lost = 0;
        loop {
            let post = Post {
                shared: &self.shared,
                worker: self.number,
                began: self.at,
            };
            let attempt = catch_unwind(AssertUnwindSafe(|| self.attempts.attempt(post, &mut job)));
            let ended = attempt.as_ref().map_or_else(|_| now(), |attempt| attempt.ended);
            let took = ended.duration_since(self.at).as_nanos();
            self.at = ended;
            self.untold += 1;
            if self.untold >= UNTOLD_MAX {
                self.tell_work();
            }
            // Who committed it has it.
            let left = job.take()?;
            let obstacle = match attempt.map(|attempt| attempt.verdict) {
                Ok(Verdict::Committed) => return None,
                Ok(Verdict::Lost(key)) => {
                    lost += 1;
                    self.tell_lost(&left, key, u32::try_from(took).unwrap_or(u32::MAX));
                    if lost < LOST_MAX {
                        job = Some(left);
                        continue;
                    }
                    Obstacle::Alone(Alone::LostRaces)
                }
                Ok(Verdict::Stopped(obstacle)) => obstacle,
                Err(_) => {
                    // Whatever it was doing may be half done.
                    self.attempts.start_over();
                    Obstacle::Stops(StopReason::Panicked)
                }
            };
            return Some((left, obstacle));
        }
    }

    fn tell_lost(&self, job: &J, key: StateKey, nanoseconds: u32) {
        self.outbox(|outbox| {
            outbox.lost(Lost {
                job: job.clone(),
                key,
                nanoseconds,
            })
        });
    }

    fn stop(&self, stop: Stop<J>) {
        self.outbox(|outbox| outbox.outcomes.push(Outcome::Stopped(stop)));
        // Its successors wait for what becomes of it.
        self.shared.wake();
    }

    /// Tells how much CPU time this thread has used. Asking the system costs as much as a tenth of a short transaction.
    fn tell_work(&mut self) {
        self.untold = 0;
        let used = thread_cpu_time();
        let worked = used.saturating_sub(std::mem::replace(&mut self.told, used));
        self.outbox(|outbox| outbox.worked += worked);
    }

    fn outbox(&self, fill: impl FnOnce(&mut Outbox<J>)) {
        fill(&mut self.shared.outboxes[self.number].lock());
    }
}

impl<J: Job, A: Attempts<J>> Own for Worker<J, A> {
    fn work(&mut self) -> Option<Instant> {
        let runnable = self.shared.injector.pop(self.appetite)?;
        if !self.is_at_work {
            self.is_at_work = true;
            self.told = thread_cpu_time();
        }
        self.at = now();
        self.go_on_with(runnable);
        Some(self.at)
    }

    fn pause(&mut self) {
        if std::mem::take(&mut self.is_at_work) {
            self.tell_work();
        }
    }
}

fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
