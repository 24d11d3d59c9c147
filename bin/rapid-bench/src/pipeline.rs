//! The sequencer in this process: recovered transactions go straight to the pool's ready side, and the clock runs from
//! the sequencer's start until the last of them is published.

use crate::{
    account::SignedTransaction,
    chain::ChainTerms,
    process,
    scenario::{Scenario, ScenarioKind},
};
use clap::ValueEnum;
use eyre::{ensure, eyre};
use rapid_chain::{Chain, ChainConfig};
use rapid_chainspec::ChainSpec;
use rapid_evm::{Compiler, ShadowInterval};
use rapid_executor::ExecutorConfig;
use rapid_jit::runtime::{Runtime, RuntimeConfig};
use rapid_log::Durability;
use rapid_pool::{HeadInfo, Origin, Pool, PoolConfig, SubPoolLimit};
use rapid_sequencer::{Sequencer, SequencerConfig, SystemHost};
use rayon::prelude::*;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Fee cap of the transactions in wei: far above what the base fee reaches in a run.
const MAX_FEE: u128 = 1_000_000_000_000;
/// Tip in wei.
const PRIORITY_FEE: u128 = 1_000_000;

/// Pause between two looks at the pool.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// How long nothing may be published before the run gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PipelinePlan {
    /// What the transactions do.
    pub(crate) workload: PipelineWorkload,
    /// Transactions.
    pub(crate) count: usize,
    /// Accounts that send them in turn.
    pub(crate) senders: usize,
    /// Mini-block interval.
    pub(crate) interval: Duration,
    /// When a mini-block is announced.
    pub(crate) durability: Durability,
    /// Decides the senders' keys.
    pub(crate) seed: u64,
    /// Whether contracts are compiled.
    pub(crate) jit: JitSwitch,
    /// One after the other, or many at once.
    pub(crate) executor: ExecutorConfig,
}

/// What the transactions do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PipelineWorkload {
    /// Payments from each sender to the next
    Transfers,
    /// Transfers of one token to holders of their own
    Erc20,
    /// Swaps in one pool
    Amm,
    /// 30 % payments, 40 % transfers of 60 tokens, 25 % swaps in 60 pools, 5 % that compute
    Mixed,
    /// The same, and none takes longer than 400 microseconds
    MixedShort,
    /// Two thousand hashes each: nothing but computing
    Hashing,
}

impl PipelineWorkload {
    const fn scenario(self) -> ScenarioKind {
        match self {
            Self::Transfers => ScenarioKind::Circle,
            Self::Erc20 => ScenarioKind::Erc20,
            Self::Amm => ScenarioKind::AmmHot,
            Self::Mixed => ScenarioKind::Mixed,
            Self::MixedShort => ScenarioKind::MixedShort,
            Self::Hashing => ScenarioKind::Hashing,
        }
    }
}

/// Whether contracts are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JitSwitch {
    /// As the node does by itself
    On,
    /// Everything is interpreted
    Off,
}

impl JitSwitch {
    /// A compiler that knows nothing yet, or none.
    ///
    /// # Errors
    /// If its threads do not start.
    pub(crate) fn compiler(self) -> eyre::Result<Compiler> {
        Ok(match self {
            Self::On => Compiler::new(
                Runtime::start(RuntimeConfig::default())?,
                ShadowInterval::default(),
            ),
            Self::Off => Compiler::none(),
        })
    }
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PipelineRound {
    /// Transactions published per second of wall time.
    pub(crate) published_per_second: f64,
    /// CPU nanoseconds per transaction of each thread that worked, by thread name (15 characters of it).
    pub(crate) cpu_ns_per_transaction: BTreeMap<String, f64>,
    /// Mini-blocks made.
    pub(crate) mini_blocks: u64,
}

/// A chain whose genesis funds the senders, and their signed transactions.
#[derive(Debug)]
pub(crate) struct Pipeline {
    plan: PipelinePlan,
    spec: Arc<ChainSpec>,
    transactions: Vec<SignedTransaction>,
}

impl Pipeline {
    /// A chain with the accounts that the workload begins with, and its transactions.
    ///
    /// # Errors
    /// If the workload cannot be drawn or the chain's genesis cannot be made.
    pub(crate) fn prepare(plan: PipelinePlan) -> eyre::Result<Self> {
        ensure!(plan.count > 0, "there must be transactions");
        let kind = plan.workload.scenario();
        let scenario = Scenario::draw_with_senders(kind, plan.count, plan.senders, plan.seed)?;
        let spec = Arc::new(chain_of(&scenario)?);
        let transactions = signed(&scenario, &spec);
        Ok(Self {
            plan,
            spec,
            transactions,
        })
    }

    /// Fills the pool, starts the sequencer on an empty data directory, and waits until everything is published.
    ///
    /// # Errors
    /// If a part does not start, a transaction is refused, or the sealed blocks do not hold all transactions.
    pub(crate) fn run(&self) -> eyre::Result<PipelineRound> {
        let scratch = tempfile::tempdir()?;
        let mut config = ChainConfig::new(scratch.path().to_owned());
        config.log.durability = self.plan.durability;
        let opened = Chain::open(Arc::clone(&self.spec), &config)?;
        let chain = opened.chain.clone();
        chain.attach_compiler(self.plan.jit.compiler()?);
        let pool = self.filled_pool(&chain)?;
        let first_mini_block = chain.view().mini_block;

        let before = process::own_threads()?;
        let started = Instant::now();
        let sequencer_config = SequencerConfig {
            mini_block_interval: self.plan.interval,
            executor: self.plan.executor,
            ..SequencerConfig::default()
        };
        let sequencer = Sequencer::start(sequencer_config, SystemHost, opened, pool.clone())?;
        await_empty(&pool)?;
        let elapsed = started.elapsed();
        let after = process::own_threads()?;

        let mini_blocks = chain.view().mini_block.0 - first_mini_block.0;
        await_sealed(&chain, self.plan.count)?;
        sequencer.stop()?;

        let mut cpu: BTreeMap<String, f64> = BTreeMap::new();
        for (id, (name, time)) in after {
            let spent = time.saturating_sub(before.get(&id).map_or(Duration::ZERO, |(_, time)| *time));
            *cpu.entry(name).or_default() += spent.as_nanos() as f64 / self.plan.count as f64;
        }
        cpu.retain(|_, nanoseconds| *nanoseconds >= 1.0);
        Ok(PipelineRound {
            published_per_second: self.plan.count as f64 / elapsed.as_secs_f64(),
            cpu_ns_per_transaction: cpu,
            mini_blocks,
        })
    }

    /// A pool that holds the whole workload, executable.
    fn filled_pool(&self, chain: &Chain) -> eyre::Result<Pool> {
        let count = self.plan.count;
        let mut config = PoolConfig::new(self.spec.chain_id());
        config.pending = SubPoolLimit {
            count_max: count,
            bytes_max: usize::MAX,
        };
        config.account_slots_max = count;
        config.ready_queue_len = count;
        let view = chain.view();
        let head = HeadInfo::of(chain.spec(), &chain.simulation_environment(&view, 0)?);
        let pool = Pool::new(config, &head);
        let recovered = self
            .transactions
            .par_iter()
            .map(|signed| pool.decode_bytes_and_recover(signed.raw.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        for result in pool.submit_batch(Origin::External, recovered, &view.state, &head) {
            result?;
        }
        ensure!(
            pool.status().pending == count,
            "only {} of {count} are executable",
            pool.status().pending
        );
        Ok(pool)
    }
}

/// The real-time chain, and a scenario's accounts from the start.
///
/// # Errors
/// If that is no chain.
pub(crate) fn chain_of(scenario: &Scenario) -> eyre::Result<ChainSpec> {
    let mut genesis = ChainSpec::realtime().genesis().clone();
    genesis.alloc.extend(scenario.allocation.clone());
    Ok(ChainSpec::from_genesis(genesis)?)
}

/// A scenario's transactions as they would be sent, signed on all cores.
pub(crate) fn signed(scenario: &Scenario, spec: &ChainSpec) -> Vec<SignedTransaction> {
    let terms = ChainTerms {
        chain_id: spec.chain_id(),
        max_fee_per_gas: MAX_FEE,
        max_priority_fee_per_gas: PRIORITY_FEE,
    };
    let transactions = scenario.transactions.par_iter();
    transactions
        .map(|planned| {
            let unsigned = terms.transaction(planned.intent.clone(), planned.nonce);
            scenario.senders[planned.sender].sign(unsigned)
        })
        .collect()
}

fn await_empty(pool: &Pool) -> eyre::Result<()> {
    let (mut pending, mut changed) = (pool.status().pending, Instant::now());
    while pending > 0 {
        thread::sleep(POLL_INTERVAL);
        let now = pool.status().pending;
        if now != pending {
            (pending, changed) = (now, Instant::now());
        }
        ensure!(
            changed.elapsed() < PATIENCE,
            "{pending} transactions are not published"
        );
    }
    Ok(())
}

/// Waits until sealed blocks hold `count` transactions: what was measured is what the chain has.
fn await_sealed(chain: &Chain, count: usize) -> eyre::Result<()> {
    let (mut next, mut sealed) = (1, 0);
    let deadline = Instant::now() + PATIENCE;
    while sealed < count {
        let head = chain.view().head.header.number;
        while next <= head {
            let block = chain
                .block_by_number(next)?
                .ok_or_else(|| eyre!("sealed block {next} is gone"))?;
            sealed += block.body.transactions.len();
            next += 1;
        }
        ensure!(
            Instant::now() < deadline,
            "only {sealed} of {count} transactions are sealed"
        );
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}
