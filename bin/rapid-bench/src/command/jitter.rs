//! `rapid-bench jitter`: how late mini-blocks are cut under a constant load, and what short intervals cost.
//!
//! The node itself knows when a mini-block was due; its metrics give cut minus due for the cuts that a deadline made.
//! Other cuts (the lanes ran empty, the size bound) have no due time and are only counted. So the load must keep the
//! lanes filled: without `--rate` batches follow one another without a pause.
//!
//! Drift is the time between two looks while the load is on, less the deadlines that passed in it times the interval: what
//! lateness adds up to. A look is as late as the node's answer to it.

use super::compare::rapid_reth_binary;
use crate::{
    compare::{BestMode, Durability, MiniBlockInterval, RapidReth, free_port},
    load::{self, Confirm, LoadPlan, LoadReport, Pace, Submit},
    measure::{Percentiles, Spread},
    metrics_page::MetricsPage,
    rpc::RpcClient,
    table::{OutputArgs, Tabular},
    workload::{PreparedWorkload, Workload, WorkloadPlan},
};
use clap::Args;
use eyre::ensure;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

/// The node's own measurements.
const LATENESS: &str = "rapid_reth_sequencer_jitter_seconds";
const SPACING: &str = "rapid_reth_sequencer_mini_block_interval_seconds";
const SEAL: &str = "rapid_reth_sequencer_seal_seconds";
const COMMIT: &str = "rapid_reth_sequencer_commit_seconds";
const CUTS: &str = "rapid_reth_sequencer_cuts_total";
const MISSED: &str = "rapid_reth_sequencer_deadlines_missed_total";
const DEADLINES: &str = "rapid_reth_sequencer_deadlines_total";
const TARGET: &str = "rapid_reth_sequencer_mini_block_target_seconds";

/// Arguments of `jitter`.
#[derive(Args, Debug)]
pub(crate) struct JitterArgs {
    /// The rapid-reth binary [default: beside this one]
    #[arg(long, value_name = "FILE")]
    rapid_reth: Option<PathBuf>,
    /// Mini-block intervals to measure: times, or auto; a fresh node for each in each round
    #[arg(
        long,
        value_name = "TIME|auto",
        value_delimiter = ',',
        default_value = "10ms,1ms"
    )]
    interval: Vec<MiniBlockInterval>,
    /// Rounds; each measures every interval, one after the other
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Open loop: transactions per second [default: closed loop]
    #[arg(long)]
    rate: Option<f64>,
    /// Connections, each with one request outstanding
    #[arg(long, default_value_t = 4)]
    in_flight: usize,
    /// Transactions per request
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// Most transactions per run
    #[arg(long, default_value_t = 300_000)]
    count: usize,
    /// How long each run is measured
    #[arg(long, value_parser = humantime::parse_duration, default_value = "10s")]
    duration: Duration,
    /// `--durability` of rapid-reth [default: that of --dev]
    #[arg(long)]
    durability: Option<Durability>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct JitterResult {
    runs: Vec<JitterRun>,
}

#[derive(Debug, Serialize)]
struct JitterRun {
    interval: String,
    /// Where it was at the end; that of the argument unless it moves.
    last_interval_ms: f64,
    /// Cut minus due, deadline cuts only.
    lateness: Percentiles,
    /// Between the cuts of successive mini-blocks.
    spacing: Percentiles,
    /// Encoding and hashing.
    seal: Percentiles,
    /// From the cut to publication.
    commit: Percentiles,
    /// Of the deadlines, over most of the run; nothing where they move.
    drift_ms: Option<f64>,
    /// Mini-blocks by what cut them.
    cuts: BTreeMap<String, f64>,
    /// Deadlines without a cut.
    missed_deadlines: f64,
    load: LoadReport,
}

/// Measures each interval in each round and shows the results.
///
/// # Errors
/// If the node does not start or the load cannot be sent.
pub(crate) async fn run(args: JitterArgs) -> eyre::Result<()> {
    ensure!(
        args.rate.is_none_or(|rate| rate.is_finite() && rate > 0.0),
        "the rate must be above zero"
    );
    ensure!(args.batch > 0, "a batch has at least one transaction");
    let binary = rapid_reth_binary(args.rapid_reth.clone())?;
    let mut runs = Vec::new();
    for _ in 0..args.rounds {
        for interval in &args.interval {
            let metrics_port = free_port()?;
            let node = RapidReth {
                binary: binary.clone(),
                durability: args.durability.clone(),
                interval: Some(*interval),
                metrics_port: Some(metrics_port),
                best_mode: BestMode {
                    submit: Submit::Sync,
                    in_flight: args.in_flight,
                },
            };
            runs.push(measure(&args, &node, *interval, metrics_port).await?);
        }
    }
    args.output.show(&JitterResult { runs })
}

async fn measure(
    args: &JitterArgs,
    side: &RapidReth,
    interval: MiniBlockInterval,
    metrics_port: u16,
) -> eyre::Result<JitterRun> {
    let node = side.start().await?;
    let mut rpc = RpcClient::open(node.http()).await?;
    let plan = WorkloadPlan {
        workload: Workload::Transfers,
        count: args.count,
        senders: args.in_flight * args.batch.max(16),
        lanes: args.in_flight,
        seed: 1,
    };
    let lanes = PreparedWorkload::prepare(&mut rpc, plan).await?.sign();
    let before = MetricsPage::scrape(metrics_port).await?;
    let load = load::run(LoadPlan {
        endpoint: node.http().clone(),
        lanes,
        batch: args.batch,
        submit: Submit::Sync,
        confirm: Confirm::Answer,
        pace: match args.rate {
            Some(rate) => Pace::Open { rate },
            None => Pace::Closed {
                pause: Duration::ZERO,
            },
        },
        duration: Some(args.duration),
        server: Some(node.pid()),
    });
    let (load, drift_ms) = tokio::join!(load, drift(metrics_port, args.duration, interval));
    let (load, drift_ms) = (load?, drift_ms?);
    let after = MetricsPage::scrape(metrics_port).await?;
    node.stop().await?;
    let cuts = after
        .labelled(CUTS)
        .map(|(labels, count)| {
            (
                labels.to_owned(),
                count - before.value(&format!("{CUTS}{{{labels}}}")),
            )
        })
        .filter(|(_, count)| *count > 0.0)
        .collect();
    Ok(JitterRun {
        interval: interval.to_string(),
        last_interval_ms: after.value(TARGET) * 1e3,
        lateness: after.summary(LATENESS),
        spacing: after.summary(SPACING),
        seal: after.summary(SEAL),
        commit: after.summary(COMMIT),
        drift_ms,
        cuts,
        missed_deadlines: after.value(MISSED) - before.value(MISSED),
        load,
    })
}

/// Looks twice while the load is on: a node that has nothing to do counts no deadlines until it has.
async fn drift(
    metrics_port: u16,
    duration: Duration,
    interval: MiniBlockInterval,
) -> eyre::Result<Option<f64>> {
    let MiniBlockInterval::Fixed(interval) = interval else {
        return Ok(None);
    };
    tokio::time::sleep(duration / 10).await;
    let (started, before) = (Instant::now(), MetricsPage::scrape(metrics_port).await?);
    tokio::time::sleep(duration * 7 / 10).await;
    let (ended, after) = (Instant::now(), MetricsPage::scrape(metrics_port).await?);
    let deadlines = after.value(DEADLINES) - before.value(DEADLINES);
    let passed = ended.duration_since(started).as_secs_f64();
    Ok(Some((passed - deadlines * interval.as_secs_f64()) * 1e3))
}

impl JitterResult {
    /// The runs of each interval, in the order of the argument.
    fn by_interval(&self) -> Vec<(&str, Vec<&JitterRun>)> {
        let mut intervals: Vec<(&str, Vec<&JitterRun>)> = Vec::new();
        for run in &self.runs {
            match intervals
                .iter_mut()
                .find(|(interval, _)| *interval == run.interval)
            {
                Some((_, runs)) => runs.push(run),
                None => intervals.push((&run.interval, vec![run])),
            }
        }
        intervals
    }
}

impl Tabular for JitterResult {
    fn title(&self) -> String {
        "Mini-block deadlines under constant load: median (lowest to highest) of the rounds; times in milliseconds".to_owned()
    }

    fn heads(&self) -> Vec<String> {
        [
            "interval",
            "included/s",
            "to the first, per round",
            "cut minus due p50",
            "p99",
            "spacing p99",
            "seal p99",
            "cut to publication p99",
            "drift",
            "missed",
            "interval at the end",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let intervals = self.by_interval();
        let included = |run: &&JitterRun| run.load.included_per_second;
        let first: Vec<f64> = intervals
            .first()
            .map_or_else(Vec::new, |(_, runs)| runs.iter().map(included).collect());
        intervals
            .iter()
            .map(|(interval, runs)| {
                let cell = |of: &dyn Fn(&JitterRun) -> f64, digits: usize| {
                    spread_cell(Spread::of(runs.iter().map(|run| of(run))), digits)
                };
                let ratios = runs
                    .iter()
                    .map(included)
                    .zip(&first)
                    .map(|(own, first)| own / first);
                let drifts: Vec<f64> = runs.iter().filter_map(|run| run.drift_ms).collect();
                vec![
                    (*interval).to_owned(),
                    cell(&|run| run.load.included_per_second, 0),
                    spread_cell(Spread::of(ratios), 3),
                    cell(&|run| run.lateness.p50_ms, 2),
                    cell(&|run| run.lateness.p99_ms, 2),
                    cell(&|run| run.spacing.p99_ms, 2),
                    cell(&|run| run.seal.p99_ms, 3),
                    cell(&|run| run.commit.p99_ms, 2),
                    if drifts.is_empty() {
                        "-".to_owned()
                    } else {
                        spread_cell(Spread::of(drifts), 1)
                    },
                    cell(&|run| run.missed_deadlines, 0),
                    cell(&|run| run.last_interval_ms, 2),
                ]
            })
            .collect()
    }
}

fn spread_cell(spread: Spread, digits: usize) -> String {
    let Spread { median, low, high } = spread;
    format!("{median:.digits$} ({low:.digits$} to {high:.digits$})")
}
