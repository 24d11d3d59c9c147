//! `rapid-bench jitter`: mini-block deadlines under a constant load.

use super::compare::rapid_reth_binary;
use crate::{
    compare::{BestMode, Durability, RapidReth},
    jitter::{self, JitterReport, SealTimes},
    load::{self, Confirm, LoadPlan, LoadReport, Pace, Submit},
    report::{OutputArgs, Tabular, percentile_cell},
    rpc::RpcClient,
    workload::{PreparedWorkload, Workload, WorkloadPlan},
};
use clap::Args;
use eyre::ensure;
use serde::Serialize;
use std::{path::PathBuf, time::Duration};

/// Arguments of `jitter`.
#[derive(Args, Debug)]
pub(crate) struct JitterArgs {
    /// The rapid-reth binary [default: beside this one]
    #[arg(long, value_name = "FILE")]
    rapid_reth: Option<PathBuf>,
    /// Mini-block intervals to measure, one fresh node each
    #[arg(long, value_parser = humantime::parse_duration, value_delimiter = ',', default_value = "10ms,1ms")]
    interval: Vec<Duration>,
    /// Transactions per second, open loop
    #[arg(long, default_value_t = 3_000.0)]
    rate: f64,
    /// Connections that share them
    #[arg(long, default_value_t = 8)]
    in_flight: usize,
    /// Transactions per request
    #[arg(long, default_value_t = 1)]
    batch: usize,
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
    jitter: JitterReport,
    load: LoadReport,
}

/// Measures each interval and shows the results.
///
/// # Errors
/// If the node does not start, the load cannot be sent, or a mini-block is missing in the subscription.
pub(crate) async fn run(args: JitterArgs) -> eyre::Result<()> {
    ensure!(
        args.rate.is_finite() && args.rate > 0.0,
        "the rate must be above zero"
    );
    let binary = rapid_reth_binary(args.rapid_reth.clone())?;
    let mut runs = Vec::with_capacity(args.interval.len());
    for interval in &args.interval {
        let node = RapidReth {
            binary: binary.clone(),
            durability: args.durability.clone(),
            interval: Some(*interval),
            best_mode: BestMode {
                submit: Submit::Send,
                in_flight: args.in_flight,
            },
        };
        runs.push(measure(&args, &node, *interval).await?);
    }
    args.output.show(&JitterResult { runs })
}

async fn measure(args: &JitterArgs, side: &RapidReth, interval: Duration) -> eyre::Result<JitterRun> {
    let node = side.start().await?;
    let mut rpc = RpcClient::open(node.http()).await?;
    let plan = WorkloadPlan {
        workload: Workload::Transfers,
        count: (args.rate * args.duration.as_secs_f64()).ceil() as usize,
        senders: args.in_flight * 32,
        lanes: args.in_flight,
        seed: 1,
    };
    let lanes = PreparedWorkload::prepare(&mut rpc, plan).await?.sign();
    let seals = SealTimes::subscribe(node.ws()).await?;
    let load = load::run(LoadPlan {
        endpoint: node.http().clone(),
        lanes,
        batch: args.batch,
        submit: Submit::Send,
        confirm: Confirm::Answer,
        pace: Pace::Open { rate: args.rate },
        duration: Some(args.duration),
        server: Some(node.pid()),
    })
    .await?;
    let times = seals.finish().await?;
    node.stop().await?;
    Ok(JitterRun {
        jitter: jitter::judge(&times, interval),
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
            "load",
            "mini-blocks",
            "missed",
            "actual minus due",
            "spacing",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.runs
            .iter()
            .map(|JitterRun { jitter, load }| {
                vec![
                    format!("{} ms", jitter.interval_ms),
                    format!("{:.0}/s included", load.included_per_second),
                    jitter.mini_blocks.to_string(),
                    jitter.missed_deadlines.to_string(),
                    percentile_cell(&jitter.lateness),
                    percentile_cell(&jitter.spacing),
                ]
            })
            .collect()
    }
}
