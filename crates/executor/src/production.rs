//! Order-free production: transactions run on all workers at once, and the order of their commits is the order of the block.
//!
//! One thread hands transactions out, and gets them back executed; while it would wait it is a worker itself. Workers read
//! committed values only, so nobody depends on what may yet be taken back: a transaction that lost a race runs again, and no
//! other does.
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
mod getting_back;
mod handing_out;
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
mod waiting;
mod worker;

use std::{collections::VecDeque, fmt::Debug, io, sync::Arc, thread::JoinHandle};

use alloy_primitives::map::AddressMap;
use crossbeam_utils::sync::Parker;
use rapid_chainspec::ChainSpec;
use rapid_evm::{BlockHashes, BlockRules, Compiler};
use rapid_primitives::BlockEnvironment;
use rapid_state::State;

pub use efficiency::{Efficiency, Way};
pub use job::{CLASSES, Class, Job};
pub use outbox::{Alone, Executed, StopReason, Stopped};

use attempt::OnState;
use batch::OpenBatch;
use handing_out::HANDED_OUT_PER_WORKER;
use injector::{Injector, OWN};
use ledger::Ledger;
use metrics::Metrics;
use outbox::{Lost, Outcome};
use route::Router;
use senders::Senders;
use shared::Shared;
use worker::{Own, Waiting, Worker};

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
            ledger: Ledger::new(BlockRules::Paid),
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
        self.ledger = Ledger::new(BlockRules::at(&self.shared.spec, environment.timestamp));
        self.shared.enter_block(environment, pending_parent);
        self.router.decay();
    }

    /// The parent's hash is known, and what it changes is in the state.
    pub fn parent_hash_arrived(&self) {
        self.shared.parent_hash_arrived();
    }

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
            .field("workers", &self.shared.outboxes.len())
            .field("in_flight", &self.ledger.in_flight)
            .finish_non_exhaustive()
    }
}
