//! Starting the workers.

use std::{collections::VecDeque, fmt::Debug, io, sync::Arc};

use rapid_chainspec::ChainSpec;
use rapid_evm::{BlockHashes, BlockRules};
use rapid_state::State;
use rapid_sync::{Parker, thread};

use super::{
    Efficiency, Job, Production, ProductionConfig, ProductionParts,
    alone::Alone,
    attempt::{Attempts, OnState},
    batch::OpenBatch,
    contention::LANES_MAX,
    handing_out::HANDED_OUT_PER_WORKER,
    injector::{Injector, OWN},
    ledger::Ledger,
    metrics::Metrics,
    route::Router,
    senders::Senders,
    shared::Shared,
    worker::{Waiting, Worker},
};

/// What workers run on, however they execute.
pub(super) struct Ground<A> {
    pub(super) spec: Arc<ChainSpec>,
    pub(super) state: State,
    /// Makes what a worker executes with, on its thread.
    pub(super) attempts: A,
}

impl<J: Job> Production<J> {
    /// Starts the workers but the first, which is the calling thread. `wake` is called from their threads when the thread that hands out may have something to do.
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
        let attempts = {
            let state = state.clone();
            move || OnState::new(state.clone(), hashes.clone(), compiler.clone())
        };
        let ground = Ground {
            spec,
            state,
            attempts,
        };
        Self::start_on(ground, config, wake)
    }

    /// Starts workers that execute by other means than the EVM, perhaps.
    pub(super) fn start_on<A: Attempts<J> + 'static>(
        ground: Ground<impl Fn() -> A + Clone + Send + 'static>,
        config: ProductionConfig,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let Ground {
            spec,
            state,
            attempts,
        } = ground;
        let workers = config.workers.max(1);
        let room = workers * HANDED_OUT_PER_WORKER;
        let parker = Parker::new();
        let unparker = parker.unparker().clone();
        let wake = move || {
            unparker.unpark();
            wake();
        };
        let places = 2 * room + LANES_MAX + workers;
        let shared = Arc::new(Shared::new(spec, Injector::new(places), workers, Box::new(wake)));
        let waiting = if config.spin {
            Waiting::SpinFirst
        } else {
            Waiting::Sleep
        };
        let pinning = config.pinning;
        let own = Worker::new(OWN, waiting, Arc::clone(&shared), attempts());
        let mut production = Self {
            shared: Arc::clone(&shared),
            threads: Vec::with_capacity(workers - 1),
            own: Box::new(own),
            state,
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
            alone: Alone::default(),
            router: Router::new(workers),
            efficiency: Efficiency::of(workers),
            metrics: Metrics::new(),
        };
        for number in OWN + 1..workers {
            let (shared, attempts, pinning) = (Arc::clone(&shared), attempts.clone(), pinning.clone());
            let work = move || {
                pinning.pin(number);
                Worker::new(number, waiting, shared, attempts()).run();
            };
            let thread = thread::Builder::new().name(format!("executor-{number}"));
            production.threads.push(thread.spawn(work)?);
        }
        // Last: threads begin where the one is that starts them.
        pinning.pin(OWN);
        Ok(production)
    }
}
