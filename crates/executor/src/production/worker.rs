//! A worker: takes what is ready, executes it on committed values, commits.
//!
//! All but one have a thread of their own. One belongs to the thread that hands out, which works while it would wait.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_utils::sync::Parker;

use super::{
    attempt::{Attempts, Post, Verdict},
    chain::{Chain, Next},
    injector::{Appetite, OWN, Runnable},
    job::{Class, Job, Length, Task},
    lane::Lane,
    outbox::{Alone, Lost, Outbox, Outcome, Stop, StopReason},
    shared::Shared,
};

/// Transactions that a worker runs of one chain or lane before it looks whether something else is more urgent: the others'
/// wait is bounded by this many short ones.
const RUN_MAX: usize = 16;

/// Races that a transaction may lose before it has to run alone.
const LOST_MAX: u32 = 8;

/// The same for the thread that hands out: it has to see to what is due, and to what the others go on with.
const OWN_RUN_MAX: usize = 4;

/// How long a worker looks for something to do before it sleeps, where it may.
const SPIN: Duration = Duration::from_micros(20);

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
    run_max: usize,
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
            run_max: if number == OWN { OWN_RUN_MAX } else { RUN_MAX },
            waiting,
            shared,
            attempts,
            at: Instant::now(),
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
                    self.at = Instant::now();
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

    fn find(&self) -> Option<Runnable<J>> {
        let found = self.shared.injector.pop(self.appetite);
        if found.is_some() || self.waiting == Waiting::Sleep {
            return found;
        }
        let since = Instant::now();
        while since.elapsed() < SPIN {
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
            Runnable::Chain(chain) => self.run_chain(chain),
            Runnable::Lane(lane, class) => {
                if lane.begin(class) {
                    self.run_lane(&lane);
                }
            }
        }
    }

    /// Runs a chain until it is at rest, has to wait elsewhere, or others had to wait long enough.
    fn run_chain(&mut self, chain: Arc<Chain<J>>) {
        let mut next = chain.first();
        for _ in 0..self.run_max {
            let Next::Task(task) = next else { return };
            if task.lane.is_some() || self.shared.injector.has_above(task.class) {
                return self.shared.make_ready(chain, &task);
            }
            match self.execute(&chain, &task) {
                After::Goes => next = chain.ended(),
                After::Stopped => return,
            }
        }
        if let Next::Task(task) = next {
            self.shared.make_ready(chain, &task);
        }
    }

    /// Runs the first transactions of the chains in a lane. What comes after them in their chains goes its own way.
    fn run_lane(&mut self, lane: &Arc<Lane<J>>) {
        for _ in 0..self.run_max {
            let Some(chain) = lane.next() else { return };
            if let Next::Task(task) = chain.first()
                && self.execute(&chain, &task) == After::Goes
                && let Next::Task(next) = chain.ended()
            {
                self.shared.make_ready(chain, &next);
            }
            if self.shared.injector.has_above(Class::new(usize::MAX)) {
                break;
            }
        }
        if let Some(class) = lane.yield_up() {
            let runnable = Runnable::Lane(Arc::clone(lane), class);
            self.shared.injector.push(runnable, class, Length::Short);
        }
    }

    fn execute(&mut self, chain: &Chain<J>, task: &Task<J>) -> After {
        let mut lost = 0;
        loop {
            let post = Post {
                shared: &self.shared,
                worker: self.number,
                began: self.at,
            };
            let attempt = catch_unwind(AssertUnwindSafe(|| self.attempts.attempt(post, task)));
            let ended = attempt
                .as_ref()
                .map_or_else(|_| Instant::now(), |attempt| attempt.ended);
            let took = ended.duration_since(self.at).as_nanos();
            self.at = ended;
            self.untold += 1;
            if self.untold >= RUN_MAX {
                self.tell_work();
            }
            let reason = match attempt.map(|attempt| attempt.verdict) {
                Ok(Verdict::Committed) => {
                    self.shared.are_done(1);
                    return After::Goes;
                }
                Ok(Verdict::Lost(key)) => {
                    lost += 1;
                    let job = task.job.clone();
                    let nanoseconds = u32::try_from(took).unwrap_or(u32::MAX);
                    self.outbox(|outbox| {
                        outbox.lost(Lost {
                            job,
                            key,
                            nanoseconds,
                        })
                    });
                    if lost < LOST_MAX {
                        continue;
                    }
                    StopReason::Alone(Alone::LostRaces)
                }
                Ok(Verdict::Stopped(reason)) => reason,
                Err(_) => {
                    // Whatever it was doing may be half done.
                    self.attempts.start_over();
                    StopReason::Panicked
                }
            };
            self.stop(chain, task, reason);
            return After::Stopped;
        }
    }

    fn stop(&self, chain: &Chain<J>, task: &Task<J>, reason: StopReason) {
        chain.stop();
        let stopped = Stop {
            job: task.job.clone(),
            reason,
        };
        self.outbox(|outbox| outbox.outcomes.push(Outcome::Stopped(stopped)));
        self.shared.are_done(1);
        // Its successors wait for what becomes of it.
        self.shared.wake();
    }

    /// Tells how much CPU time this thread has used. Asking the system costs as much as a tenth of a short transaction.
    fn tell_work(&mut self) {
        self.untold = 0;
        let now = thread_cpu_time();
        let worked = now.saturating_sub(std::mem::replace(&mut self.told, now));
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
        self.at = Instant::now();
        self.go_on_with(runnable);
        Some(self.at)
    }

    fn pause(&mut self) {
        if std::mem::take(&mut self.is_at_work) {
            self.tell_work();
        }
    }
}

/// What becomes of a chain after its first transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Goes,
    Stopped,
}

fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
