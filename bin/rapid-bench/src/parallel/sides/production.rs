//! The node's parallel production, driven as the sequencer's loop drives it: hand out, collect, cut, and execute here what
//! has to run alone or is cheaper so.

use super::{Run, Side, Subject};
use crate::{
    clock::{timed, timed_with_others},
    metrics_page::MetricsPage,
    parallel::block::Block,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::Address;
use eyre::{bail, eyre};
use metrics_exporter_prometheus::PrometheusBuilder;
use rapid_evm::{BlockExecutor, NoBlockHashes};
use rapid_executor::{Class, Job, Pinning, Production, ProductionConfig, ProductionParts, Way};
use rapid_primitives::{Receipt, TransactionSigned};
use rapid_state::Newest;
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Between cuts, as in the sequencer by default.
const CUT_INTERVAL: Duration = Duration::from_millis(10);
/// For which workers that were just started get ready.
const START_UP: Duration = Duration::from_millis(2);
/// Executions in vain.
const LOST_RACES: &str = "rapid_reth_executor_lost_races_total";

/// A transaction and its place in the block.
#[derive(Debug)]
struct Numbered {
    index: usize,
    transaction: TransactionSigned,
    sender: Address,
    encoded_len: usize,
}

/// As the pool hands it out: each has its own reference count.
#[derive(Clone, Debug)]
struct Shared(Arc<Numbered>);

impl Job for Shared {
    fn transaction(&self) -> &TransactionSigned {
        &self.0.transaction
    }

    fn sender(&self) -> Address {
        self.0.sender
    }

    fn encoded_len(&self) -> usize {
        self.0.encoded_len
    }
}

/// Production with so many workers beside the thread that hands out. They are started for each run, since they belong to its
/// state.
#[derive(Debug)]
pub(super) struct InProduction {
    workers: usize,
}

impl InProduction {
    pub(super) const fn new(workers: usize) -> Self {
        Self { workers }
    }
}

impl Side for InProduction {
    fn run(&mut self, subject: &Subject) -> eyre::Result<Run> {
        let block = &subject.block;
        let jobs = jobs(block);
        let state = block.state()?;
        let (executor, _) = block.begin(state.newest(), &subject.compiler)?;
        let parts = ProductionParts {
            spec: Arc::clone(&block.spec),
            state,
            hashes: NoBlockHashes,
            compiler: subject.compiler.clone(),
        };
        let config = ProductionConfig {
            workers: self.workers,
            spin: self.workers < thread::available_parallelism()?.get(),
            pinning: Pinning::Free,
        };
        // The workers' counters say how often something was executed.
        let recorder = PrometheusBuilder::new().build_recorder();
        let mut production =
            metrics::with_local_recorder(&recorder, || Production::start(config, parts, || {}))?;
        production.enter_block(block.environment.clone(), None);
        thread::sleep(START_UP);
        let mut loop_ = Loop {
            production,
            executor,
            order: Vec::with_capacity(block.len()),
            receipts: Vec::with_capacity(block.len()),
            next_cut: Instant::now() + CUT_INTERVAL,
        };
        let ((done, own), elapsed) = timed_with_others(|| timed(|| loop_.produce(&jobs)));
        done?;
        let lost = MetricsPage::parse(&recorder.handle().render()).value(LOST_RACES);
        let Loop {
            executor,
            order,
            receipts,
            ..
        } = loop_;
        block.expected_in(&order)?.check(&receipts, executor.state())?;
        Ok(Run {
            executions: Some(1.0 + lost / block.len() as f64),
            dispatcher_ns: Some(own.cpu.as_secs_f64() * 1e9),
            ..Run::of(elapsed)
        })
    }
}

fn jobs(block: &Block) -> Vec<Shared> {
    let transactions = block.transactions.iter().zip(&block.senders).enumerate();
    transactions
        .map(|(index, (transaction, sender))| {
            Shared(Arc::new(Numbered {
                index,
                encoded_len: transaction.encode_2718_len(),
                transaction: transaction.clone(),
                sender: *sender,
            }))
        })
        .collect()
}

/// What the sequencer's loop is to the workers.
struct Loop {
    production: Production<Shared>,
    executor: BlockExecutor<Newest, NoBlockHashes>,
    /// Transactions in the order of their commits.
    order: Vec<usize>,
    receipts: Vec<Receipt>,
    next_cut: Instant,
}

impl Loop {
    /// Produces all; the jobs stay, as a pool keeps them until they are published.
    fn produce(&mut self, jobs: &[Shared]) -> eyre::Result<()> {
        for job in jobs {
            self.take(job)?;
        }
        self.finish_parallel()?;
        self.run_alone()
    }

    fn take(&mut self, job: &Shared) -> eyre::Result<()> {
        if self.production.alone_len() > 0 {
            self.finish_parallel()?;
            self.run_alone()?;
        }
        if self.production.efficiency().way() == Way::Plain {
            self.finish_parallel()?;
            self.execute_here(job)?;
            self.production.executed_plainly();
            return Ok(());
        }
        while !self.production.has_room(Class::default()) {
            self.production.wait_for_room(self.next_cut);
            self.fail_if_stopped()?;
            if Instant::now() >= self.next_cut {
                self.cut()?;
            }
        }
        self.production.hand_out(job.clone(), Class::default());
        Ok(())
    }

    /// Waits for the workers and takes what they did.
    fn finish_parallel(&mut self) -> eyre::Result<()> {
        let (uncut, _) = self.production.uncut();
        if uncut == 0 {
            return Ok(());
        }
        self.production.quiet();
        self.fail_if_stopped()?;
        self.cut()
    }

    fn cut(&mut self) -> eyre::Result<()> {
        let (_, executed) = self.production.cut();
        for executed in executed {
            let receipt = self
                .executor
                .absorb(&executed.job.0.transaction, executed.result)
                .map_err(|error| eyre!("{error}"))?;
            self.order.push(executed.job.0.index);
            self.receipts.push(receipt);
        }
        self.next_cut = Instant::now() + CUT_INTERVAL;
        Ok(())
    }

    fn run_alone(&mut self) -> eyre::Result<()> {
        while let Some(job) = self.production.next_alone() {
            self.execute_here(&job)?;
            for (later, class) in self.production.ran_alone(job.sender()) {
                self.production.hand_out(later, class);
            }
            self.finish_parallel()?;
        }
        Ok(())
    }

    fn execute_here(&mut self, job: &Shared) -> eyre::Result<()> {
        let executed = self
            .executor
            .execute(&job.0.transaction, job.0.sender)
            .map_err(|error| eyre!("transaction {}: {error}", job.0.index))?;
        self.order.push(job.0.index);
        self.receipts.push(executed.receipt);
        Ok(())
    }

    fn fail_if_stopped(&mut self) -> eyre::Result<()> {
        match self.production.next_stopped() {
            Some(stopped) => bail!("transaction {}: {:?}", stopped.job.0.index, stopped.reason),
            None => Ok(()),
        }
    }
}
