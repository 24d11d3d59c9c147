//! `rapid-bench load`: one workload against one endpoint.

use crate::{
    load::{self, Confirm, LoadPlan, Pace, Submit},
    process,
    rpc::RpcClient,
    table::OutputArgs,
    transport::Endpoint,
    workload::{PreparedWorkload, Workload, WorkloadPlan},
};
use clap::Args;
use eyre::ensure;
use std::time::Duration;

/// Arguments of `load`.
#[derive(Args, Debug)]
pub(crate) struct LoadArgs {
    /// The endpoint, http:// or ws://
    #[arg(long, default_value = "http://127.0.0.1:8545")]
    url: Endpoint,
    /// What the transactions do
    #[arg(long, value_enum, default_value = "transfers")]
    workload: Workload,
    /// Transactions to sign and send [default: rate x duration, else 10000]
    #[arg(long)]
    count: Option<usize>,
    /// Starts no request later than this after the first one
    #[arg(long, value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Connections, each with one request outstanding
    #[arg(long, default_value_t = 8)]
    in_flight: usize,
    /// Open loop: transactions per second, latency counted from the intended time [default: closed loop]
    #[arg(long)]
    rate: Option<f64>,
    /// Closed loop: pause of each connection between two requests
    #[arg(long, value_parser = humantime::parse_duration, default_value = "0s")]
    pause: Duration,
    /// Transactions per JSON-RPC batch; 1 sends plain calls
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Accounts that send [default: enough for 8 nonces per batch or request, at least 16]
    #[arg(long)]
    senders: Option<usize>,
    /// Submitting method [default: sync where the endpoint has it]
    #[arg(long, value_enum)]
    mode: Option<Submit>,
    /// What ends a latency [default: answer for sync, receipt for single sends, blocks for batches]
    #[arg(long, value_enum)]
    confirm: Option<Confirm>,
    /// Decides the senders' keys and the order of a mixed workload
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The server's process [default: the local process that listens on the endpoint's port]
    #[arg(long)]
    pid: Option<u32>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Transactions of a run that names neither a count nor rate and duration.
const DEFAULT_COUNT: usize = 10_000;

/// Prepares, runs and shows.
///
/// # Errors
/// If the arguments contradict each other or the endpoint does not answer.
pub(crate) async fn run(args: LoadArgs) -> eyre::Result<()> {
    ensure!(args.batch > 0, "a batch has at least one transaction");
    ensure!(
        args.rate.is_none_or(|rate| rate.is_finite() && rate > 0.0),
        "the rate must be above zero"
    );
    let mut rpc = RpcClient::open(&args.url).await?;
    let submit = match args.mode {
        Some(submit) => submit,
        None if rpc.knows(Submit::Sync.method()).await? => Submit::Sync,
        None => Submit::Send,
    };
    let confirm = args.confirm.unwrap_or(match (submit, args.batch) {
        (Submit::Sync, _) => Confirm::Answer,
        (Submit::Send, 1) => Confirm::Receipt,
        (Submit::Send, _) => Confirm::Blocks,
    });
    ensure!(
        confirm != Confirm::Receipt || args.batch == 1,
        "receipts are asked for one by one: use --confirm blocks with batches"
    );
    let plan = WorkloadPlan {
        workload: args.workload,
        count: count(&args),
        senders: args
            .senders
            .unwrap_or_else(|| (args.in_flight * args.batch.div_ceil(8)).max(16)),
        lanes: args.in_flight,
        seed: args.seed,
    };
    let prepared = PreparedWorkload::prepare(&mut rpc, plan).await?;
    let report = load::run(LoadPlan {
        lanes: prepared.sign(),
        batch: args.batch,
        submit,
        confirm,
        pace: match args.rate {
            Some(rate) => Pace::Open { rate },
            None => Pace::Closed { pause: args.pause },
        },
        duration: args.duration,
        server: args.pid.or_else(|| process::listener(args.url.port())),
        endpoint: args.url,
    })
    .await?;
    args.output.show(&report)
}

fn count(args: &LoadArgs) -> usize {
    match (args.count, args.rate, args.duration) {
        (Some(count), _, _) => count,
        (None, Some(rate), Some(duration)) => (rate * duration.as_secs_f64()).ceil() as usize,
        (None, _, _) => DEFAULT_COUNT,
    }
}
