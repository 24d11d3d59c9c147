//! Order-free production: transactions run on all workers at once, and the order of their commits is the order of the block.
//!
//! One thread hands transactions out, and gets them back executed; while it would wait it is a worker itself. Workers read committed values only, so nobody depends on
//! what may yet be taken back: a transaction that lost a race runs again, and no other does.
//!
//! ```text
//!  hand_out --> chain of its sender --+--> injector, by class --> worker: execute, commit --> outbox --> collect, cut
//!               (nonces in order)     +--> lane of a contended key --^
//! ```
//!
//! What cannot run beside others is given back to run alone: [`Stopped`] says why.

mod attempt;
mod chain;
mod contention;
mod efficiency;
mod injector;
mod job;
mod lane;
mod length;
mod metrics;
mod outbox;
mod shared;
mod worker;

use std::{
    collections::{VecDeque, hash_map::Entry},
    fmt::Debug,
    io,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use alloy_consensus::Transaction;
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
use chain::Chain;
use contention::Contention;
use injector::{Appetite, Injector, OWN};
use job::Task;
use length::Lengths;
use metrics::Metrics;
use outbox::Outcome;
use shared::Shared;
use worker::{Own, Waiting, Worker};

/// Transactions handed out at a time for each worker: enough that none waits for the thread that hands out, few enough
/// that what is urgent is not behind many.
const HANDED_OUT_PER_WORKER: usize = 32;

/// How long the thread that hands out executes itself before it looks for what is due or has arrived.
const OWN_SHARE: Duration = Duration::from_micros(200);

/// Classes that may be handed out beyond that, as many again: what is urgent does not wait for room.
const URGENT_CLASSES: usize = 2;

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
    senders: AddressMap<Sender<J>>,
    /// Handed out and not collected.
    in_flight: usize,
    /// Handed out since the start.
    handed_out: usize,
    in_flight_gas: Promised,
    in_flight_bytes: usize,
    /// Executed and not cut.
    executed: Vec<Executed<J>>,
    executed_gas: Promised,
    executed_bytes: usize,
    stopped: VecDeque<Stopped<J>>,
    alone: VecDeque<J>,
    /// Later transactions of those who wait to run alone: as many as whoever hands out may have of one sender.
    behind_alone: AddressMap<Vec<(J, Class)>>,
    contention: Contention<J>,
    lengths: Lengths,
    efficiency: Efficiency,
    metrics: Metrics,
}

/// A sender of whom something is handed out.
#[derive(Debug)]
struct Sender<J> {
    chain: Arc<Chain<J>>,
    in_flight: usize,
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
            senders: AddressMap::default(),
            in_flight: 0,
            handed_out: 0,
            in_flight_gas: Promised::default(),
            in_flight_bytes: 0,
            executed: Vec::new(),
            executed_gas: Promised::default(),
            executed_bytes: 0,
            stopped: VecDeque::new(),
            alone: VecDeque::new(),
            behind_alone: AddressMap::default(),
            contention: Contention::new(workers),
            lengths: Lengths::default(),
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
        self.contention.decay();
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
        self.in_flight < room && self.alone.len() < ALONE_MAX
    }

    /// What is promised of the block to transactions that are handed out, and used by those that are executed and not cut.
    #[must_use]
    pub const fn promised(&self) -> Promised {
        Promised {
            gas: self.in_flight_gas.gas.saturating_add(self.executed_gas.gas),
            blob_gas: self.in_flight_gas.blob_gas + self.executed_gas.blob_gas,
        }
    }

    /// Transactions and their bytes that are handed out, or executed and not cut.
    #[must_use]
    pub const fn uncut(&self) -> (usize, usize) {
        (
            self.in_flight + self.executed.len(),
            self.in_flight_bytes + self.executed_bytes,
        )
    }

    /// Bytes of the transactions that are executed and not cut.
    #[must_use]
    pub const fn executed_bytes(&self) -> usize {
        self.executed_bytes
    }

    /// Hands a transaction to the workers. Those of one sender are to be handed out by nonce.
    pub fn hand_out(&mut self, job: J, class: Class) {
        if let Some(behind) = self.behind_alone.get_mut(&job.sender()) {
            behind.push((job, class));
            return;
        }
        if self.in_flight == 0 {
            self.efficiency.busy(Instant::now());
        }
        let transaction = job.transaction();
        let task = Task {
            class,
            length: self.lengths.expect(transaction),
            lane: self.contention.lane(transaction),
            job,
        };
        self.count(&task.job);
        let chain = match self.senders.entry(task.job.sender()) {
            Entry::Occupied(entry) => {
                let sender = entry.into_mut();
                sender.in_flight += 1;
                Arc::clone(&sender.chain)
            }
            Entry::Vacant(entry) => {
                let sender = entry.insert(Sender {
                    chain: Chain::new(),
                    in_flight: 1,
                });
                Arc::clone(&sender.chain)
            }
        };
        if chain.push(task.clone()) {
            self.shared.make_ready(chain, &task);
        }
    }

    fn count(&mut self, job: &J) {
        self.in_flight += 1;
        self.handed_out += 1;
        add(&mut self.in_flight_gas, promise_of(job));
        self.in_flight_bytes += job.encoded_len();
    }

    fn uncount(&mut self, job: &J) {
        self.in_flight -= 1;
        subtract(&mut self.in_flight_gas, promise_of(job));
        self.in_flight_bytes -= job.encoded_len();
        if let Entry::Occupied(mut entry) = self.senders.entry(job.sender()) {
            entry.get_mut().in_flight -= 1;
            if entry.get().in_flight == 0 {
                entry.remove();
            }
        }
    }

    // ---- getting back

    /// Takes what the workers have done. Never waits.
    pub fn collect(&mut self) {
        if self.in_flight == 0 {
            return;
        }
        for worker in 0..self.shared.outboxes.len() {
            let (outcomes, lost, worked) = {
                let mut outbox = self.shared.outboxes[worker].lock();
                let outcomes = std::mem::take(&mut outbox.outcomes);
                (outcomes, outbox.take_lost(), std::mem::take(&mut outbox.worked))
            };
            self.efficiency.worked(worked);
            for lost in lost {
                self.metrics.lost.increment(1);
                self.efficiency
                    .lost(Duration::from_nanos(lost.nanoseconds.into()));
                self.contention
                    .lost(lost.key, lost.job.transaction(), lost.nanoseconds);
            }
            for outcome in outcomes {
                match outcome {
                    Outcome::Executed(executed) => self.executed(executed),
                    Outcome::Stopped(stop) => self.stopped(stop),
                }
            }
        }
        if self.in_flight == 0 {
            self.efficiency.idle();
        }
        self.metrics.lanes.set(self.contention.lanes() as f64);
    }

    fn executed(&mut self, executed: Executed<J>) {
        let transaction = executed.job.transaction();
        self.lengths.note(transaction, executed.nanoseconds);
        let took = Duration::from_nanos(executed.nanoseconds.into());
        self.efficiency.executed(took, Instant::now());
        self.uncount(&executed.job);
        add(
            &mut self.executed_gas,
            Promised {
                gas: executed.result.tx_gas_used(),
                blob_gas: transaction.blob_gas_used().unwrap_or_default(),
            },
        );
        self.executed_bytes += executed.job.encoded_len();
        self.executed.push(executed);
    }

    fn stopped(&mut self, stop: outbox::Stop<J>) {
        let sender = stop.job.sender();
        let behind = self
            .senders
            .get(&sender)
            .map_or_else(Vec::new, |sender| sender.chain.withdraw());
        self.uncount(&stop.job);
        behind.iter().for_each(|task| self.uncount(&task.job));
        self.shared.are_done(behind.len());
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
        for executed in &of_version {
            subtract(
                &mut self.executed_gas,
                Promised {
                    gas: executed.result.tx_gas_used(),
                    blob_gas: executed.job.transaction().blob_gas_used().unwrap_or_default(),
                },
            );
            self.executed_bytes -= executed.job.encoded_len();
        }
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
        self.in_flight == 0
    }

    /// Works until no worker has anything. What runs, runs to its end.
    pub fn quiet(&mut self) {
        self.collect();
        while self.in_flight > 0 {
            self.work_until(self.handed_out, None);
            self.collect();
        }
    }

    /// Works until half of what is handed out is done, something stopped, the deadline, or it is time to look around.
    pub fn wait_for_room(&mut self, deadline: Instant) {
        let done = self.handed_out - self.in_flight;
        self.work_until(done + self.in_flight.div_ceil(2), Some(deadline));
        self.collect();
    }

    /// Works for a moment, if something is ready; `false` if nothing is.
    pub fn help(&mut self) -> bool {
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
                    if self.shared.wake_when_done(done) {
                        let appetite = Appetite::of(OWN, self.shared.outboxes.len());
                        self.shared.injector.sleep(OWN, appetite, &self.parker, deadline);
                    }
                    break;
                }
            }
        }
        self.own.pause();
    }

    /// Asks for a wake-up when all that is handed out is done; `false` if it is.
    pub fn wake_when_quiet(&self) -> bool {
        self.in_flight > 0 && self.shared.wake_when_done(self.handed_out)
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
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

/// What a transaction may take of its block.
fn promise_of(job: &impl Job) -> Promised {
    let transaction = job.transaction();
    Promised {
        gas: transaction.gas_limit(),
        blob_gas: transaction.blob_gas_used().unwrap_or_default(),
    }
}

const fn add(sum: &mut Promised, more: Promised) {
    sum.gas = sum.gas.saturating_add(more.gas);
    sum.blob_gas += more.blob_gas;
}

const fn subtract(sum: &mut Promised, less: Promised) {
    sum.gas -= less.gas;
    sum.blob_gas -= less.blob_gas;
}
