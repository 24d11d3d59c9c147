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

mod alone;
mod attempt;
mod batch;
mod contention;
mod efficiency;
mod getting_back;
mod handing_out;
mod injector;
#[cfg(all(test, shuttle))]
mod interleavings;
mod job;
mod lane;
mod ledger;
mod length;
mod metrics;
#[cfg(all(test, any(loom, shuttle)))]
mod model;
mod outbox;
mod route;
mod senders;
mod shared;
mod starting;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
mod waiting;
#[cfg(all(test, loom))]
mod weak_orders;
mod worker;

use std::{collections::VecDeque, fmt::Debug, sync::Arc};

use rapid_chainspec::ChainSpec;
use rapid_evm::{BlockRules, Compiler};
use rapid_primitives::BlockEnvironment;
use rapid_state::State;
use rapid_sync::{Parker, thread::JoinHandle};

pub use efficiency::{Efficiency, Way};
pub use job::{CLASSES, Class, Job};
pub use outbox::{Executed, StopReason, Stopped};

use alone::Alone;
use batch::OpenBatch;
use ledger::Ledger;
use metrics::Metrics;
use outbox::{Lost, Outcome};
use route::Router;
use senders::Senders;
use shared::Shared;
use worker::Own;

use crate::Pinning;

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
#[derive(Clone, Debug)]
pub struct ProductionConfig {
    /// Threads that execute, the one that hands out among them; at least one.
    pub workers: usize,
    /// Whether a worker without work uses up its core for some microseconds before it sleeps.
    pub spin: bool,
    /// Where they run; the one that hands out is the first of them.
    pub pinning: Pinning,
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
    alone: Alone<J>,
    router: Router<J>,
    efficiency: Efficiency,
    metrics: Metrics,
}

impl<J: Job> Production<J> {
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
        self.alone.decay();
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
