//! Sends a signed workload and measures what comes of it.
//!
//! ```text
//!  signed lanes -> request bodies -> [ lane task x in-flight ] -> endpoint
//!                                        |  answers: latency, errors
//!                                        v
//!  blocks of the chain ------------> inclusion: count, rate
//!  /proc of the server ------------> CPU per transaction, memory
//! ```
//!
//! Everything that can be done before the clock starts is: signing, hex, JSON. The generator runs on one thread, since
//! it shares the machine with the server.

mod answer;
mod body;
mod inclusion;
mod lane;
mod pace;

pub(crate) use body::{Request, requests};
pub(crate) use pace::Pace;

use crate::{
    account::SignedTransaction,
    measure::{ErrorTally, Percentiles},
    process,
    rpc::RpcClient,
    transport::{Connection, Endpoint},
};
use alloy_primitives::B256;
use clap::ValueEnum;
use inclusion::{Inclusion, Sightings};
use lane::{LaneOutcome, LanePlan};
use serde::Serialize;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// The method that submits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Submit {
    /// `eth_sendRawTransactionSync` (EIP-7966): the answer is the receipt.
    Sync,
    /// `eth_sendRawTransaction`: the answer is the hash.
    Send,
}

impl Submit {
    /// The JSON-RPC method.
    pub(crate) const fn method(self) -> &'static str {
        match self {
            Self::Sync => "eth_sendRawTransactionSync",
            Self::Send => "eth_sendRawTransaction",
        }
    }
}

/// What ends the latency of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Confirm {
    /// The answer to the submission: the receipt with `sync`, mere acceptance with `send`.
    Answer,
    /// `eth_getTransactionReceipt` asked again and again on the same connection until it is there.
    Receipt,
    /// The transaction's hash in a block, seen by one watcher that asks for new blocks.
    Blocks,
}

/// Everything a run needs.
#[derive(Debug)]
pub(crate) struct LoadPlan {
    /// Where the transactions go.
    pub(crate) endpoint: Endpoint,
    /// Signed transactions, one list per connection.
    pub(crate) lanes: Vec<Vec<SignedTransaction>>,
    /// Transactions per request; 1 sends no batches.
    pub(crate) batch: usize,
    /// The submitting method.
    pub(crate) submit: Submit,
    /// What ends a latency.
    pub(crate) confirm: Confirm,
    /// When requests are sent.
    pub(crate) pace: Pace,
    /// No request starts later than this after the first.
    pub(crate) duration: Option<Duration>,
    /// The server's process, if its cost can be read.
    pub(crate) server: Option<u32>,
}

/// What a run found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LoadReport {
    /// The endpoint.
    pub(crate) endpoint: String,
    /// The submitting method.
    pub(crate) submit: Submit,
    /// What ended a latency.
    pub(crate) confirm: Confirm,
    /// Connections, each with one request outstanding.
    pub(crate) in_flight: usize,
    /// Transactions per request.
    pub(crate) batch: usize,
    /// When requests were sent.
    pub(crate) pace: Pace,
    /// Transactions signed for the run that were not sent, because its duration was over.
    pub(crate) unsent: usize,
    /// Transactions sent.
    pub(crate) sent: usize,
    /// Transactions that the endpoint took.
    pub(crate) accepted: usize,
    /// Transactions of the run found in blocks.
    pub(crate) included: usize,
    /// Seconds from the first submission to the moment when the last block with transactions of the run was seen.
    pub(crate) elapsed_seconds: f64,
    /// `included` by `elapsed_seconds`.
    pub(crate) included_per_second: f64,
    /// Transactions per second of block time over the blocks between the first and the last, if there are any.
    pub(crate) sustained_per_second: Option<f64>,
    /// Submission (closed loop) or intended submission (open loop) to what `confirm` says.
    pub(crate) latency: Percentiles,
    /// Intended to actual submission, open loop only: how late the generator or its connections were.
    pub(crate) send_delay: Option<Percentiles>,
    /// What the server spent, if its process could be read.
    pub(crate) server: Option<ServerCost>,
    /// CPU seconds of the generator itself between first submission and last inclusion.
    pub(crate) generator_cpu_seconds: f64,
    /// Refusals, failures and broken connections.
    pub(crate) errors: ErrorTally,
}

/// CPU and memory of the server over a run.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct ServerCost {
    /// Process id.
    pub(crate) pid: u32,
    /// User and system time, all threads.
    pub(crate) cpu_seconds: f64,
    /// The same per included transaction, in microseconds.
    pub(crate) cpu_us_per_transaction: f64,
    /// Resident memory before the run, in bytes.
    pub(crate) resident_before: u64,
    /// Resident memory after it, in bytes.
    pub(crate) resident_after: u64,
}

/// How long a block with what prepared the run may stay open; an endpoint without such a block makes none meanwhile.
const PREPARATION_PATIENCE: Duration = Duration::from_millis(1_500);

/// The newest block once those with the transactions that prepared the run are sealed: they have receipts before.
async fn block_after_preparation(rpc: &mut RpcClient) -> eyre::Result<u64> {
    let (begin, before) = (Instant::now(), rpc.block_number().await?);
    loop {
        let head = rpc.block_number().await?;
        if head > before || begin.elapsed() > PREPARATION_PATIENCE {
            return Ok(head);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs `plan` to its end.
///
/// # Errors
/// If the endpoint cannot be reached or stops answering about its blocks. Refused transactions are results, not errors.
pub(crate) async fn run(plan: LoadPlan) -> eyre::Result<LoadReport> {
    let mut rpc = RpcClient::open(&plan.endpoint).await?;
    let first_block = block_after_preparation(&mut rpc).await? + 1;
    let in_flight = plan.lanes.len();
    let mut lanes = Vec::with_capacity(in_flight);
    for transactions in &plan.lanes {
        let connection = Connection::open(&plan.endpoint).await?;
        lanes.push((connection, requests(transactions, plan.batch, plan.submit)));
    }

    let watcher = match plan.confirm {
        Confirm::Blocks => Some(Sightings::watch(&plan.endpoint, first_block).await?),
        Confirm::Answer | Confirm::Receipt => None,
    };
    let meter = Meter::start(plan.server)?;
    let outcome = drive(&plan, lanes, meter.started).await?;

    let mut inclusion = Inclusion::starting_at(first_block);
    let settled = inclusion.wait_for(&mut rpc, outcome.accepted.len()).await?;
    let generator_cpu = process::own_cpu_time().saturating_sub(meter.own);
    let costs = meter.server_costs()?;

    // From here on nothing is timed.
    let elapsed = settled.duration_since(meter.started).as_secs_f64();
    let sightings = match watcher {
        Some(watcher) => Some(watcher.finish(inclusion.last_block()).await?),
        None => None,
    };
    let transactions = Transactions {
        lanes: &plan.lanes,
        batch: plan.batch,
    };
    let count = inclusion
        .count_own(&mut rpc, &transactions.hashes(&outcome))
        .await?;
    let latency = match sightings {
        Some(sightings) => transactions.sighting_latencies(&outcome, &sightings),
        None => outcome.latencies,
    };
    Ok(LoadReport {
        endpoint: plan.endpoint.to_string(),
        submit: plan.submit,
        confirm: plan.confirm,
        in_flight,
        batch: plan.batch,
        pace: plan.pace,
        unsent: plan.lanes.iter().map(Vec::len).sum::<usize>() - outcome.sent,
        sent: outcome.sent,
        accepted: outcome.accepted.len(),
        included: count.own,
        elapsed_seconds: elapsed,
        included_per_second: count.own as f64 / elapsed,
        sustained_per_second: count.sustained_per_second,
        latency: Percentiles::of(latency),
        send_delay: matches!(plan.pace, Pace::Open { .. }).then(|| Percentiles::of(outcome.send_delays)),
        server: costs.map(|costs| costs.per_transaction(count.own)),
        generator_cpu_seconds: generator_cpu.as_secs_f64(),
        errors: outcome.errors,
    })
}

/// Sends all lanes side by side and puts their outcomes together.
async fn drive(
    plan: &LoadPlan,
    lanes: Vec<(Connection, Vec<Request>)>,
    started: Instant,
) -> eyre::Result<LaneOutcome> {
    let pacers = plan.pace.start(&lanes, started);
    let tasks: Vec<_> = lanes
        .into_iter()
        .zip(pacers.tickets())
        .enumerate()
        .map(|(lane, ((connection, requests), tickets))| {
            let lane_plan = LanePlan {
                lane,
                endpoint: plan.endpoint.clone(),
                requests,
                submit: plan.submit,
                confirm: plan.confirm,
                deadline: plan.duration.map(|duration| started + duration),
            };
            tokio::spawn(lane::run(lane_plan, connection, tickets))
        })
        .collect();
    let mut total = LaneOutcome::default();
    for task in tasks {
        total.merge(task.await?);
    }
    Ok(total)
}

/// Finds a transaction of the run by lane, request and place.
#[derive(Debug)]
struct Transactions<'a> {
    lanes: &'a [Vec<SignedTransaction>],
    batch: usize,
}

impl Transactions<'_> {
    fn hash(&self, at: lane::Place) -> B256 {
        self.lanes[at.lane][at.request * self.batch + at.item].hash
    }

    fn hashes(&self, outcome: &LaneOutcome) -> Vec<B256> {
        outcome
            .accepted
            .iter()
            .map(|accepted| self.hash(accepted.place))
            .collect()
    }

    fn sighting_latencies(&self, outcome: &LaneOutcome, sightings: &HashMap<B256, Instant>) -> Vec<Duration> {
        outcome
            .accepted
            .iter()
            .filter_map(|accepted| {
                let seen = sightings.get(&self.hash(accepted.place))?;
                Some(seen.saturating_duration_since(accepted.submitted))
            })
            .collect()
    }
}

/// Readings taken when the clock starts.
#[derive(Debug)]
struct Meter {
    started: Instant,
    own: Duration,
    server: Option<(u32, Duration, u64)>,
}

/// Readings of the server over the run.
#[derive(Clone, Copy, Debug)]
struct Costs {
    pid: u32,
    cpu: Duration,
    resident_before: u64,
    resident_after: u64,
}

impl Meter {
    fn start(server: Option<u32>) -> eyre::Result<Self> {
        let server = match server {
            Some(pid) => Some((pid, process::cpu_time(pid)?, process::resident_bytes(pid)?)),
            None => None,
        };
        Ok(Self {
            own: process::own_cpu_time(),
            server,
            started: Instant::now(),
        })
    }

    fn server_costs(&self) -> eyre::Result<Option<Costs>> {
        let Some((pid, before, resident_before)) = self.server else {
            return Ok(None);
        };
        let cpu = process::cpu_time(pid)?.saturating_sub(before);
        Ok(Some(Costs {
            pid,
            cpu,
            resident_before,
            resident_after: process::resident_bytes(pid)?,
        }))
    }
}

impl Costs {
    fn per_transaction(self, included: usize) -> ServerCost {
        let cpu_seconds = self.cpu.as_secs_f64();
        ServerCost {
            pid: self.pid,
            cpu_seconds,
            cpu_us_per_transaction: cpu_seconds * 1e6 / included.max(1) as f64,
            resident_before: self.resident_before,
            resident_after: self.resident_after,
        }
    }
}
