//! Order-free production: transactions run on all workers at once, and the order of their commits is the order of the block.
//!
//! One thread hands transactions out, and gets them back executed; while it would wait it is a worker itself. Workers read committed values only, so nobody depends on
//! what may yet be taken back: a transaction that lost a race runs again, and no other does.
//!
//! ```text
//!  hand_out --> senders ---------+--> batch ------------------> injector, --> worker: execute, --> outbox --> collect, cut
//!            (nonces in order)   +--> lane of a contended key --^ by class       commit
//! ```
//!
//! What cannot run beside others is given back to run alone: [`Stopped`] says why.

mod attempt;
mod batch;
mod contention;
mod efficiency;
mod injector;
mod job;
mod lane;
mod ledger;
mod length;
mod metrics;
mod outbox;
mod route;
mod senders;
mod shared;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    collections::VecDeque,
    fmt::Debug,
    io,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, map::AddressMap};
use crossbeam_utils::sync::Parker;
use rapid_chainspec::ChainSpec;
use rapid_evm::{BlockHashes, Compiler, Promised};
use rapid_primitives::{BlockEnvironment, CommitSequence};
use rapid_state::State;

pub use efficiency::{Efficiency, Way};
pub use job::{CLASSES, Class, Job};
pub use outbox::{Alone, Executed, StopReason, Stopped};

use attempt::OnState;
use batch::{Batch, OpenBatch, RUN_MAX};
use injector::{Appetite, Injector, OWN, Runnable};
use job::{Length, Task};
use ledger::Ledger;
use metrics::Metrics;
use outbox::{Lost, Outcome};
use route::{Route, Router};
use senders::Senders;
use shared::Shared;
use worker::{Own, Waiting, Worker};

/// Transactions that workers have at a time, for each of them: enough that none waits for the thread that hands out, few enough
/// that what is urgent is not behind many.
const HANDED_OUT_PER_WORKER: usize = 32;

/// How long the thread that hands out executes itself before it looks for what is due or has arrived.
const OWN_SHARE: Duration = Duration::from_micros(200);

/// Classes that may be handed out beyond that, as many again: what is urgent does not wait for room.
const URGENT_CLASSES: usize = 2;

/// As many times that may be handed out in all: what waits for others of its sender keeps no worker busy.
const WAITING_SHARE: usize = 4;

/// Transactions that wait to run alone before nothing more is handed out.
const ALONE_MAX: usize = 1_024;

/// What production runs on.
#[derive(Debug)]
pub struct ProductionParts<H> {
    /// The chain's rules.
    pub spec: Arc<ChainSpec>,
    /// The state that is read and written in place.
    pub state: State,
    /// Hashes of past blocks.
    pub hashes: H,
    /// Code of contracts.
    pub compiler: Compiler,
}

/// How it runs.
#[derive(Clone, Copy, Debug)]
pub struct ProductionConfig {
    /// Threads that execute, the one that hands out among them; at least one.
    pub workers: usize,
    /// Whether a worker without work uses up its core for some microseconds before it sleeps.
    pub spin: bool,
}

/// The workers, and what was handed out to them. Owned by the thread that hands out.
pub struct Production<J> {
    shared: Arc<Shared<J>>,
    threads: Vec<JoinHandle<()>>,
    own: Box<dyn Own>,
    state: State,
    parker: Parker,
    room: usize,
    senders: Senders<J>,
    open: OpenBatch<J>,
    ledger: Ledger,
    /// Given to workers since the start.
    given: usize,
    /// Executed and not cut.
    executed: Vec<Executed<J>>,
    /// Memory for what is taken out of outboxes.
    outcomes: Vec<Outcome<J>>,
    lost: Vec<Lost<J>>,
    stopped: VecDeque<Stopped<J>>,
    alone: VecDeque<J>,
    /// Later transactions of those who wait to run alone: as many as whoever hands out may have of one sender.
    behind_alone: AddressMap<Vec<(J, Class)>>,
    router: Router<J>,
    efficiency: Efficiency,
    metrics: Metrics,
}

impl<J: Job> Production<J> {
    /// Starts the workers. `wake` is called from their threads when the thread that hands out may have something to do.
    ///
    /// # Errors
    /// If a thread does not start.
    pub fn start<H: BlockHashes + Clone + Debug + Send + 'static>(
        config: ProductionConfig,
        parts: ProductionParts<H>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let ProductionParts {
            spec,
            state,
            hashes,
            compiler,
        } = parts;
        let workers = config.workers.max(1);
        let room = workers * HANDED_OUT_PER_WORKER;
        let parker = Parker::new();
        let unparker = parker.unparker().clone();
        let wake = move || {
            unparker.unpark();
            wake();
        };
        let places = 2 * room + contention::LANES_MAX + workers;
        let shared = Arc::new(Shared::new(spec, Injector::new(places), workers, Box::new(wake)));
        let waiting = if config.spin {
            Waiting::SpinFirst
        } else {
            Waiting::Sleep
        };
        let own = OnState::new(state.clone(), hashes.clone(), compiler.clone());
        let own = Worker::new(OWN, waiting, Arc::clone(&shared), own);
        let mut production = Self {
            shared: Arc::clone(&shared),
            threads: Vec::with_capacity(workers - 1),
            own: Box::new(own),
            state: state.clone(),
            parker,
            room,
            senders: Senders::default(),
            open: OpenBatch::default(),
            ledger: Ledger::default(),
            given: 0,
            executed: Vec::new(),
            outcomes: Vec::new(),
            lost: Vec::new(),
            stopped: VecDeque::new(),
            alone: VecDeque::new(),
            behind_alone: AddressMap::default(),
            router: Router::new(workers),
            efficiency: Efficiency::of(workers),
            metrics: Metrics::new(),
        };
        for number in OWN + 1..workers {
            let (shared, state) = (Arc::clone(&shared), state.clone());
            let (hashes, compiler) = (hashes.clone(), compiler.clone());
            let work = move || {
                let attempts = OnState::new(state, hashes, compiler);
                Worker::new(number, waiting, shared, attempts).run();
            };
            let thread = std::thread::Builder::new().name(format!("executor-{number}"));
            production.threads.push(thread.spawn(work)?);
        }
        Ok(production)
    }

    /// Makes a block the one in execution; `pending_parent` is its parent if the hash of that is not known yet.
    ///
    /// # Panics
    /// If something is handed out: blocks do not overlap.
    pub fn enter_block(&mut self, environment: BlockEnvironment, pending_parent: Option<u64>) {
        assert!(
            self.is_quiet() && self.executed.is_empty(),
            "blocks do not overlap"
        );
        self.state.withhold_for(environment.beneficiary);
        self.shared.enter_block(environment, pending_parent);
        self.router.decay();
    }

    /// The parent's hash is known, and what it changes is in the state.
    pub fn parent_hash_arrived(&self) {
        self.shared.parent_hash_arrived();
    }

    // ---- handing out

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
        let sender = job.sender();
        if let Some(behind) = self.behind_alone.get_mut(&sender) {
            behind.push((job, class));
            return;
        }
        if self.ledger.in_flight == 0 {
            self.efficiency.busy(Instant::now());
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

    fn close_batch(&mut self) {
        if let Some(batch) = self.open.close() {
            self.push(batch);
        }
    }

    fn push(&self, batch: Batch<J>) {
        let (class, length) = (batch.class, batch.length);
        self.shared.injector.push(Runnable::Batch(batch), class, length);
    }

    /// One of a sender's is done, so later ones may be next: many together, where nothing is known of them.
    fn let_go(&mut self, sender: Address) {
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

    // ---- getting back

    /// Takes what the workers have done, and gives them what was kept back. Never waits.
    pub fn collect(&mut self) {
        self.close_batch();
        if self.ledger.in_flight == 0 {
            return;
        }
        let now = Instant::now();
        let mut outcomes = std::mem::take(&mut self.outcomes);
        for worker in 0..self.shared.outboxes.len() {
            let worked = self.shared.outboxes[worker]
                .lock()
                .empty_into(&mut outcomes, &mut self.lost);
            self.efficiency.worked(worked);
            self.learn();
            for outcome in outcomes.drain(..) {
                match outcome {
                    Outcome::Executed(executed) => self.executed(executed, now),
                    Outcome::Stopped(stop) => self.stopped(stop),
                }
            }
        }
        self.outcomes = outcomes;
        self.close_batch();
        if self.ledger.in_flight == 0 {
            self.efficiency.idle();
        }
        self.metrics.lanes.set(self.router.lanes() as f64);
    }

    fn learn(&mut self) {
        for lost in self.lost.drain(..) {
            self.metrics.lost.increment(1);
            self.efficiency
                .lost(Duration::from_nanos(lost.nanoseconds.into()));
            self.router.lost(&lost);
        }
    }

    fn executed(&mut self, executed: Executed<J>, now: Instant) {
        self.router.executed(&executed.job, executed.nanoseconds);
        let took = Duration::from_nanos(executed.nanoseconds.into());
        self.efficiency.executed(took, now);
        self.ledger.collected(&executed.job);
        self.ledger.executed(&executed);
        let sender = executed.job.sender();
        self.executed.push(executed);
        self.let_go(sender);
    }

    fn stopped(&mut self, stop: outbox::Stop<J>) {
        let sender = stop.job.sender();
        let mut behind = stop.successors;
        behind.extend(self.senders.forget(&sender));
        self.ledger.collected(&stop.job);
        behind.iter().for_each(|task| self.ledger.collected(&task.job));
        if let StopReason::Alone(why) = stop.reason {
            self.metrics.alone[why as usize].increment(1);
            self.behind_alone.insert(
                sender,
                behind.into_iter().map(|task| (task.job, task.class)).collect(),
            );
            self.alone.push_back(stop.job);
            return;
        }
        self.stopped.push_back(Stopped {
            job: stop.job,
            reason: stop.reason,
            successors: behind.into_iter().map(|task| task.job).collect(),
        });
    }

    /// The next transaction that was not executed.
    pub fn next_stopped(&mut self) -> Option<Stopped<J>> {
        self.stopped.pop_front()
    }

    /// Ends a version of the state, and takes the transactions of it that were executed since the last, in the order of their commits.
    pub fn cut(&mut self) -> (CommitSequence, Vec<Executed<J>>) {
        let version = self.state.cut();
        // A worker commits under the lock of its outbox, so what is in the version is in the outboxes.
        self.collect();
        let mut of_version = std::mem::take(&mut self.executed);
        self.executed = of_version
            .extract_if(.., |executed| executed.sequence > version)
            .collect();
        of_version.sort_unstable_by_key(|executed| executed.sequence);
        of_version.iter().for_each(|executed| self.ledger.cut(executed));
        (version, of_version)
    }

    // ---- alone

    /// Transactions that wait to run while nothing else does.
    #[must_use]
    pub fn alone_len(&self) -> usize {
        self.alone.len()
    }

    /// Takes the next of them. The caller executes it itself, while the workers are [quiet](Self::is_quiet) and what was
    /// executed is [cut](Self::cut), and tells [what became of it](Self::ran_alone).
    pub fn next_alone(&mut self) -> Option<J> {
        self.alone.pop_front()
    }

    /// Later transactions of a sender whose transaction ran alone, by nonce, to be handed out or given back.
    #[must_use]
    pub fn ran_alone(&mut self, sender: Address) -> Vec<(J, Class)> {
        self.behind_alone.remove(&sender).unwrap_or_default()
    }

    // ---- waiting

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
        let until = deadline.map(|deadline| deadline.min(Instant::now() + OWN_SHARE));
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

    // ---- whether it pays

    /// Whether it pays to hand out, as far as is known.
    #[must_use]
    pub const fn efficiency(&self) -> &Efficiency {
        &self.efficiency
    }

    /// A transaction was executed by the thread that hands out, because that is cheaper.
    pub fn executed_plainly(&mut self) {
        self.efficiency.executed_plainly();
    }
}

impl<J> Drop for Production<J> {
    /// Stops the workers after what they are at.
    fn drop(&mut self) {
        self.shared.injector.stop();
        for thread in self.threads.drain(..) {
            // A worker that panicked has said so.
            drop(thread.join());
        }
    }
}

impl<J> Debug for Production<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Production")
            .field("workers", &self.threads.len())
            .field("in_flight", &self.ledger.in_flight)
            .finish_non_exhaustive()
    }
}
