//! The workers as the loop sees them, and what it has to know of a block to use them.

use std::{sync::Arc, thread::available_parallelism, time::Instant};

use alloy_primitives::Address;
use rapid_chain::Chain;
use rapid_chainspec::ChainSpec;
use rapid_executor::{
    Class, Executed, ExecutorMode, Job, Pinning, Production, ProductionConfig, ProductionParts, Stopped, Way,
};
use rapid_pool::PooledTransaction;
use rapid_primitives::{CommitSequence, TransactionSigned};

use crate::{
    SequencerConfig, SequencerError, WorkersUse,
    control::Control,
    open_block::{OpenBlock, Outstanding},
};

/// Transactions that have to wait before workers are given any: fewer are executed sooner than handed over.
const WAITING_MIN: usize = 4;

/// Cores from which a worker may spin: with fewer it takes the time of who would give it something to do.
const SPIN_CORES_MIN: usize = 4;

/// A transaction of the pool, on its way to a worker.
#[derive(Clone, Debug)]
pub(crate) struct PoolJob(pub(crate) Arc<PooledTransaction>);

impl Job for PoolJob {
    fn transaction(&self) -> &TransactionSigned {
        self.0.transaction()
    }

    fn sender(&self) -> Address {
        self.0.sender()
    }

    fn encoded_len(&self) -> usize {
        self.0.encoded_len()
    }
}

/// The class in which workers take a transaction: its lane.
pub(crate) fn class_of(transaction: &PooledTransaction) -> Class {
    Class::new(transaction.lane().index())
}

/// Production, and whether the open block is one for it.
#[derive(Debug)]
pub(crate) struct Workers {
    production: Production<PoolJob>,
    used: WorkersUse,
    admitted: bool,
    /// Whether the block's running balance of the beneficiary is that of the state.
    withholds: bool,
}

impl Workers {
    /// The workers, of whom the calling thread is one, if there are to be others.
    pub(crate) fn start(
        config: &SequencerConfig,
        chain: &Chain,
        control: &Arc<Control>,
    ) -> Result<Option<Self>, SequencerError> {
        let (mode, workers) = (config.executor.mode, config.executor.workers.get());
        if mode == ExecutorMode::Sequential || workers < 2 {
            return Ok(None);
        }
        let parts = ProductionParts {
            spec: Arc::clone(chain.spec()),
            state: chain.state().clone(),
            hashes: chain.clone(),
            compiler: chain.compiler().clone(),
        };
        let cores = available_parallelism().map_or(1, usize::from);
        let spin = cores >= SPIN_CORES_MIN && workers < cores;
        let control = Arc::clone(control);
        let wake = move || control.wake_loop();
        let production_config = ProductionConfig {
            workers,
            spin,
            pinning: Pinning::of(config.executor.pinning),
        };
        let production = Production::start(production_config, parts, wake)
            .map_err(|error| SequencerError::Thread(Arc::new(error)))?;
        Ok(Some(Self {
            production,
            used: config.workers_use,
            admitted: false,
            withholds: false,
        }))
    }

    /// A block was opened, or taken up. Nothing is outstanding.
    pub(crate) fn enter_block(&mut self, spec: &ChainSpec, block: &OpenBlock) -> Result<(), SequencerError> {
        let environment = block.environment().clone();
        let pending = block.parent_hash().is_none().then(|| environment.number - 1);
        self.admitted = block.may_withhold_fees(spec)?;
        self.withholds = false;
        self.production.enter_block(environment, pending);
        Ok(())
    }

    pub(crate) fn parent_hash_arrived(&self) {
        self.production.parent_hash_arrived();
    }

    /// How the next transaction is executed best, while so many wait.
    pub(crate) fn way(&self, waiting: usize) -> Way {
        match self.used {
            _ if !self.admitted => Way::Plain,
            WorkersUse::Always => Way::Parallel,
            WorkersUse::WherePays if self.is_settled() && waiting < WAITING_MIN => Way::Plain,
            WorkersUse::WherePays => self.production.efficiency().way(),
        }
    }

    /// Whether one more of this class may be handed out.
    pub(crate) fn has_room(&self, class: Class) -> bool {
        self.production.has_room(class)
    }

    pub(crate) fn hand_out(
        &mut self,
        transaction: Arc<PooledTransaction>,
        block: &mut OpenBlock,
    ) -> Result<(), SequencerError> {
        if !self.withholds {
            block.begin_withholding()?;
            self.withholds = true;
        }
        let class = class_of(&transaction);
        self.production.hand_out(PoolJob(transaction), class);
        Ok(())
    }

    /// A transaction was executed here: the block's running balance of the beneficiary is not that of the state any more.
    pub(crate) fn executed_plainly(&mut self) {
        self.withholds = false;
        self.production.executed_plainly();
    }

    pub(crate) fn collect(&mut self) {
        self.production.collect();
    }

    pub(crate) fn next_stopped(&mut self) -> Option<Stopped<PoolJob>> {
        self.production.next_stopped()
    }

    /// What is executed and not absorbed, and the version of the state that has it.
    pub(crate) fn cut(&mut self) -> (CommitSequence, Vec<Executed<PoolJob>>) {
        self.production.cut()
    }

    /// Whether nothing is handed out, nor executed and not absorbed.
    pub(crate) const fn is_settled(&self) -> bool {
        self.production.uncut().0 == 0
    }

    pub(crate) const fn is_quiet(&self) -> bool {
        self.production.is_quiet()
    }

    /// Bytes of what is executed and not absorbed.
    pub(crate) const fn executed_bytes(&self) -> usize {
        self.production.executed_bytes()
    }

    pub(crate) fn quiet(&mut self) {
        self.production.quiet();
    }

    pub(crate) fn wait_for_room(&mut self, deadline: Instant) {
        self.production.wait_for_room(deadline);
    }

    /// Executes some of what is handed out on this thread; `false` if nothing is left to be taken.
    pub(crate) fn help(&mut self) -> bool {
        self.production.help()
    }

    pub(crate) fn wake_when_quiet(&mut self) -> bool {
        self.production.wake_when_quiet()
    }

    /// Transactions that wait to run alone.
    pub(crate) fn alone_len(&self) -> usize {
        self.production.alone_len()
    }

    /// The next of them, and the later ones of its sender by nonce.
    pub(crate) fn next_alone(&mut self) -> Option<(Arc<PooledTransaction>, Vec<Arc<PooledTransaction>>)> {
        let PoolJob(transaction) = self.production.next_alone()?;
        let behind = self.production.ran_alone(transaction.sender());
        Some((transaction, behind.into_iter().map(|(job, _)| job.0).collect()))
    }

    pub(crate) fn outstanding(&self) -> Outstanding {
        let (transactions, bytes) = self.production.uncut();
        Outstanding {
            promised: self.production.promised(),
            transactions: transactions as u64,
            bytes: bytes as u64,
        }
    }
}
