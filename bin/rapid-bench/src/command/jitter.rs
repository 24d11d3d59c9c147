//! `rapid-bench jitter`: how late mini-blocks are cut under a constant load.
//!
//! The node itself knows when a mini-block was due; its metrics give cut minus due for the cuts that a deadline made.
//! Other cuts (the lanes ran empty, the size bound) have no due time and are only counted. So the load must keep the
//! lanes filled: without `--rate` batches follow one another without a pause.

use super::compare::rapid_reth_binary;
use crate::{
    compare::{BestMode, Durability, RapidReth, free_port},
    load::{self, Confirm, LoadPlan, LoadReport, Pace, Submit},
    measure::Percentiles,
    metrics_page::MetricsPage,
    report::percentile_cell,
    rpc::RpcClient,
    table::{OutputArgs, Tabular},
    workload::{PreparedWorkload, Workload, WorkloadPlan},
};
use clap::Args;
use eyre::ensure;
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// The node's own measurements.
const LATENESS: &str = "rapid_reth_sequencer_jitter_seconds";
const SPACING: &str = "rapid_reth_sequencer_mini_block_interval_seconds";
const COMMIT: &str = "rapid_reth_sequencer_commit_seconds";
const CUTS: &str = "rapid_reth_sequencer_cuts_total";
const MISSED: &str = "rapid_reth_sequencer_deadlines_missed_total";

/// Arguments of `jitter`.
#[derive(Args, Debug)]
pub(crate) struct JitterArgs {
    /// The rapid-reth binary [default: beside this one]
    #[arg(long, value_name = "FILE")]
    rapid_reth: Option<PathBuf>,
    /// Mini-block intervals to measure, one fresh node each
    #[arg(long, value_parser = humantime::parse_duration, value_delimiter = ',', default_value = "10ms,1ms")]
    interval: Vec<Duration>,
    /// Open loop: transactions per second [default: closed loop]
    #[arg(long)]
    rate: Option<f64>,
    /// Connections, each with one request outstanding
    #[arg(long, default_value_t = 4)]
    in_flight: usize,
    /// Transactions per request
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// Most transactions per interval
    #[arg(long, default_value_t = 300_000)]
    count: usize,
    /// How long each interval is measured
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
    interval_ms: f64,
    /// Cut minus due, deadline cuts only.
    lateness: Percentiles,
    /// Between the cuts of successive mini-blocks.
    spacing: Percentiles,
    /// From the cut to publication.
    commit: Percentiles,
    /// Mini-blocks by what cut them.
    cuts: BTreeMap<String, f64>,
    /// Deadlines without a cut.
    missed_deadlines: f64,
    load: LoadReport,
}

/// Measures each interval and shows the results.
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
    let mut runs = Vec::with_capacity(args.interval.len());
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
    args.output.show(&JitterResult { runs })
}

async fn measure(
    args: &JitterArgs,
    side: &RapidReth,
    interval: Duration,
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
    })
    .await?;
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
        interval_ms: interval.as_secs_f64() * 1e3,
        lateness: after.summary(LATENESS),
        spacing: after.summary(SPACING),
        commit: after.summary(COMMIT),
        cuts,
        missed_deadlines: after.value(MISSED) - before.value(MISSED),
        load,
    })
}

impl Tabular for JitterResult {
    fn title(&self) -> String {
        "Mini-block deadlines under constant load, p50 / p99 / p99.9 / max".to_owned()
    }

    fn heads(&self) -> Vec<String> {
        [
            "interval",
            "included",
            "cut minus due",
            "spacing",
            "cut to publication",
            "missed",
            "cuts",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.runs
            .iter()
            .map(|run| {
                let cuts: Vec<_> = run
                    .cuts
                    .iter()
                    .map(|(reason, count)| format!("{reason}: {count}"))
                    .collect();
                vec![
                    format!("{} ms", run.interval_ms),
                    format!("{:.0}/s", run.load.included_per_second),
                    percentile_cell(&run.lateness),
                    percentile_cell(&run.spacing),
                    percentile_cell(&run.commit),
                    run.missed_deadlines.to_string(),
                    cuts.join(", "),
                ]
            })
            .collect()
    }
}
