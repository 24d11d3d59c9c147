//! `rapid-bench pipeline`: the sequencer alone, in this process.

use crate::{
    measure::{Percentiles, Spread},
    metrics_page::MetricsPage,
    pipeline::{JitSwitch, Pipeline, PipelinePlan, PipelineRound, PipelineWorkload},
    report::percentile_cell,
    table::{OutputArgs, Tabular},
};
use clap::{Args, ValueEnum};
use eyre::{WrapErr, ensure, eyre};
use metrics_exporter_prometheus::PrometheusBuilder;
use rapid_executor::{ExecutorConfig, ExecutorMode, WORKERS_MAX, WorkerCount};
use rapid_log::Durability;
use serde::Serialize;
use std::{collections::BTreeSet, time::Duration};

/// The quantiles that the percentiles need.
const QUANTILES: [f64; 4] = [0.5, 0.99, 0.999, 1.0];

/// The sequencer's own measurements.
const SPACING: &str = "rapid_reth_sequencer_mini_block_interval_seconds";
const LATENESS: &str = "rapid_reth_sequencer_jitter_seconds";
const COMMIT: &str = "rapid_reth_sequencer_commit_seconds";
const BLOCK: &str = "rapid_reth_sequencer_block_seconds";

/// Arguments of `pipeline`.
#[derive(Args, Debug)]
pub(crate) struct PipelineArgs {
    /// What the transactions do
    #[arg(long, value_enum, default_value = "transfers")]
    workload: PipelineWorkload,
    /// Transactions per round
    #[arg(long, default_value_t = 100_000)]
    count: usize,
    /// Accounts that send them in turn
    #[arg(long, default_value_t = 1_000)]
    senders: usize,
    /// Rounds, each on an empty chain
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Mini-block interval
    #[arg(long, value_parser = humantime::parse_duration, default_value = "10ms")]
    interval: Duration,
    /// When a mini-block is announced: sync, group:TIME or async:TIME
    #[arg(long, default_value = "async:10ms")]
    durability: Durability,
    /// Decides the senders' keys
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Whether contracts are compiled
    #[arg(long, value_enum, default_value = "off")]
    jit: JitSwitch,
    /// Whether transactions are executed one after the other
    #[arg(long, value_enum, default_value = "parallel")]
    executor: ExecutorChoice,
    /// Threads that execute beside the loop [default: one less than there are cores]
    #[arg(long, value_parser = workers)]
    workers: Option<WorkerCount>,
    #[command(flatten)]
    output: OutputArgs,
}

/// How transactions are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum ExecutorChoice {
    /// By the loop
    Sequential,
    /// By workers, where that pays
    Parallel,
}

fn workers(text: &str) -> eyre::Result<WorkerCount> {
    WorkerCount::new(text.parse()?).ok_or_else(|| eyre!("between 1 and {WORKERS_MAX} workers"))
}

impl PipelineArgs {
    fn executor(&self) -> ExecutorConfig {
        ExecutorConfig {
            mode: match self.executor {
                ExecutorChoice::Sequential => ExecutorMode::Sequential,
                ExecutorChoice::Parallel => ExecutorMode::Parallel,
            },
            workers: self.workers.unwrap_or_default(),
            ..ExecutorConfig::default()
        }
    }
}

#[derive(Debug, Serialize)]
struct PipelineResult {
    workload: PipelineWorkload,
    transactions_per_round: usize,
    interval_ms: f64,
    jit: JitSwitch,
    executor: ExecutorChoice,
    workers: usize,
    rounds: Vec<PipelineRound>,
    /// Between the cuts of successive mini-blocks, all rounds of the last minute.
    spacing: Percentiles,
    /// Cut minus due, deadline cuts only.
    lateness: Percentiles,
    /// From the cut to publication.
    commit: Percentiles,
    /// Roots and header of an EVM block after its last mini-block.
    block: Percentiles,
}

/// Runs all rounds and shows the result.
///
/// # Errors
/// If a part of the pipeline fails.
pub(crate) fn run(args: &PipelineArgs) -> eyre::Result<()> {
    ensure!(args.rounds > 0, "at least one round");
    let recorder = PrometheusBuilder::new()
        .set_quantiles(&QUANTILES)
        .and_then(|builder| builder.install_recorder())
        .wrap_err("metrics recorder")?;
    let pipeline = Pipeline::prepare(PipelinePlan {
        workload: args.workload,
        count: args.count,
        senders: args.senders,
        interval: args.interval,
        durability: args.durability,
        seed: args.seed,
        jit: args.jit,
        executor: args.executor(),
    })?;
    let mut rounds = Vec::with_capacity(args.rounds);
    for round in 1..=args.rounds {
        let result = pipeline.run()?;
        eprintln!(
            "round {round} of {}: {:.0} transactions/s",
            args.rounds, result.published_per_second
        );
        rounds.push(result);
    }
    let page = MetricsPage::parse(&recorder.render());
    args.output.show(&PipelineResult {
        workload: args.workload,
        transactions_per_round: args.count,
        interval_ms: args.interval.as_secs_f64() * 1e3,
        jit: args.jit,
        executor: args.executor,
        workers: args.workers.unwrap_or_default().get(),
        rounds,
        spacing: page.summary(SPACING),
        lateness: page.summary(LATENESS),
        commit: page.summary(COMMIT),
        block: page.summary(BLOCK),
    })
}

impl Tabular for PipelineResult {
    fn title(&self) -> String {
        format!(
            "Sequencer alone: {} transactions per round ({:?}), {}, mini-blocks every {} ms, median of {} rounds (lowest to highest)",
            self.transactions_per_round,
            self.workload,
            match self.executor {
                ExecutorChoice::Sequential => "sequential".to_owned(),
                ExecutorChoice::Parallel => format!("parallel, {} workers", self.workers),
            },
            self.interval_ms,
            self.rounds.len()
        )
    }

    fn heads(&self) -> Vec<String> {
        vec!["measured".to_owned(), "value".to_owned()]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let spread = |read: &dyn Fn(&PipelineRound) -> f64| {
            let Spread { median, low, high } = Spread::of(self.rounds.iter().map(read));
            format!("{median:.0} ({low:.0} to {high:.0})")
        };
        let mut rows = vec![
            vec![
                "published per second".to_owned(),
                spread(&|round| round.published_per_second),
            ],
            vec![
                "mini-blocks".to_owned(),
                spread(&|round| round.mini_blocks as f64),
            ],
        ];
        let threads: BTreeSet<_> = self
            .rounds
            .iter()
            .flat_map(|round| round.cpu_ns_per_transaction.keys())
            .collect();
        rows.extend(threads.into_iter().map(|thread| {
            let cpu = spread(&|round| round.cpu_ns_per_transaction.get(thread).copied().unwrap_or(0.0));
            vec![format!("CPU of {thread}, ns per transaction"), cpu]
        }));
        for (name, percentiles) in [
            ("mini-block spacing", &self.spacing),
            ("cut minus due", &self.lateness),
            ("cut to publication", &self.commit),
            ("roots and header of a block", &self.block),
        ] {
            rows.push(vec![
                format!("{name}, p50 / p99 / p99.9 / max"),
                percentile_cell(percentiles),
            ]);
        }
        rows
    }
}
