//! Two nodes side by side, in alternating rounds.
//!
//! Each measurement starts its node afresh with an empty chain and stops it afterwards, so no round inherits state,
//! memory or warm caches from another, and no idle peer takes CPU time. The side that goes first changes every round.

mod node;
mod side;

pub(crate) use node::{NodeProcess, free_port, machine};
pub(crate) use side::{Anvil, BestMode, Durability, MiniBlockInterval, RapidReth};

use side::Side;

use crate::{
    account::SignedTransaction,
    chain::ChainTerms,
    load::{self, Confirm, LoadPlan, LoadReport, Pace, Submit},
    measure::Spread,
    rpc::RpcClient,
    table::Tabular,
    workload::{PreparedWorkload, Workload, WorkloadPlan},
};
use eyre::ensure;
use serde::Serialize;
use std::time::Duration;

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ComparePlan {
    /// How many rounds.
    pub(crate) rounds: usize,
    /// Submissions per latency measurement.
    pub(crate) latency_count: usize,
    /// Pause between two of them, so that the node is idle when the next one comes.
    pub(crate) latency_pause: Duration,
    /// How long transactions are submitted in a throughput measurement.
    pub(crate) throughput_duration: Duration,
    /// Most transactions of a throughput measurement.
    pub(crate) throughput_count: usize,
    /// Transactions per batch.
    pub(crate) batch: usize,
    /// Decides the senders' keys.
    pub(crate) seed: u64,
}

/// Both measurements of one side in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SideRound {
    /// One transaction at a time.
    pub(crate) latency: LoadReport,
    /// Batches.
    pub(crate) throughput: LoadReport,
}

/// One round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    /// The node under test.
    pub(crate) rapid_reth: SideRound,
    /// The peer.
    pub(crate) anvil: SideRound,
}

/// All rounds with their summary.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    /// Processor and number of cores.
    pub(crate) machine: String,
    /// Versions as the binaries print them.
    pub(crate) versions: [String; 2],
    /// Summary per measured quantity.
    pub(crate) summary: Vec<Quantity>,
    /// Every single measurement.
    pub(crate) rounds: Vec<Round>,
}

/// One measured quantity over all rounds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Quantity {
    /// What it is, with its unit.
    pub(crate) name: &'static str,
    /// The node under test.
    pub(crate) rapid_reth: Spread,
    /// The peer.
    pub(crate) anvil: Spread,
    /// First by second, round by round.
    pub(crate) ratio: Spread,
}

/// Runs all rounds.
///
/// # Errors
/// If a node does not start or stops answering, or if a measurement has errors: a comparison of failures says nothing.
pub(crate) async fn run(
    plan: ComparePlan,
    rapid_reth: &RapidReth,
    anvil: &Anvil,
) -> eyre::Result<Comparison> {
    let mut signed = SignedCache::default();
    let mut rounds = Vec::with_capacity(plan.rounds);
    for round in 0..plan.rounds {
        let sides: [&dyn Side; 2] = [rapid_reth, anvil];
        let first = round % 2;
        let mut measured: [Option<LoadReport>; 4] = [const { None }; 4];
        for side in [first, 1 - first] {
            measured[side] = Some(idle_latency(plan, sides[side], &mut signed).await?);
        }
        for side in [first, 1 - first] {
            measured[2 + side] = Some(throughput(plan, sides[side], &mut signed).await?);
        }
        let [
            Some(rapid_latency),
            Some(anvil_latency),
            Some(rapid_throughput),
            Some(anvil_throughput),
        ] = measured
        else {
            unreachable!("both sides were measured twice");
        };
        let round = Round {
            rapid_reth: SideRound {
                latency: rapid_latency,
                throughput: rapid_throughput,
            },
            anvil: SideRound {
                latency: anvil_latency,
                throughput: anvil_throughput,
            },
        };
        eprintln!("round {} of {}: {}", rounds.len() + 1, plan.rounds, round.line());
        rounds.push(round);
    }
    Ok(Comparison {
        machine: node::machine(),
        versions: [rapid_reth.version()?, anvil.version()?],
        summary: summarise(&rounds),
        rounds,
    })
}

async fn idle_latency(
    plan: ComparePlan,
    side: &dyn Side,
    signed: &mut SignedCache,
) -> eyre::Result<LoadReport> {
    let node = side.start_idle().await?;
    let workload = WorkloadPlan {
        workload: Workload::Transfers,
        count: plan.latency_count,
        senders: 16,
        lanes: 1,
        seed: plan.seed,
    };
    let lanes = signed.prepare(&node, workload).await?;
    let report = load::run(LoadPlan {
        endpoint: node.http().clone(),
        lanes,
        batch: 1,
        submit: Submit::Sync,
        confirm: Confirm::Answer,
        pace: Pace::Closed {
            pause: plan.latency_pause,
        },
        duration: None,
        server: Some(node.pid()),
    })
    .await?;
    node.stop().await?;
    check(side, &report)?;
    Ok(report)
}

async fn throughput(
    plan: ComparePlan,
    side: &dyn Side,
    signed: &mut SignedCache,
) -> eyre::Result<LoadReport> {
    let node = side.start_loaded().await?;
    let mode = side.best_mode();
    let workload = WorkloadPlan {
        workload: Workload::Transfers,
        count: plan.throughput_count,
        senders: mode.in_flight * plan.batch,
        lanes: mode.in_flight,
        seed: plan.seed,
    };
    let lanes = signed.prepare(&node, workload).await?;
    let report = load::run(LoadPlan {
        endpoint: node.http().clone(),
        lanes,
        batch: plan.batch,
        submit: mode.submit,
        confirm: Confirm::Answer,
        pace: Pace::Closed {
            pause: Duration::ZERO,
        },
        duration: Some(plan.throughput_duration),
        server: Some(node.pid()),
    })
    .await?;
    node.stop().await?;
    check(side, &report)?;
    Ok(report)
}

fn check(side: &dyn Side, report: &LoadReport) -> eyre::Result<()> {
    let kinds: Vec<_> = report.errors.kinds().collect();
    ensure!(
        kinds.is_empty(),
        "{} answered with errors: {kinds:?}",
        side.name()
    );
    ensure!(
        report.included == report.accepted,
        "{} took {} transactions but included {}",
        side.name(),
        report.accepted,
        report.included
    );
    Ok(())
}

/// Signed workloads: a fresh chain has the same nonces each round, so each set is signed once.
#[derive(Default)]
struct SignedCache {
    sets: Vec<(ChainTerms, WorkloadPlan, Vec<Vec<SignedTransaction>>)>,
}

impl SignedCache {
    /// Funds the senders on `node` and returns the signed workload.
    async fn prepare(
        &mut self,
        node: &NodeProcess,
        plan: WorkloadPlan,
    ) -> eyre::Result<Vec<Vec<SignedTransaction>>> {
        let mut rpc = RpcClient::open(node.http()).await?;
        let prepared = PreparedWorkload::prepare(&mut rpc, plan).await?;
        if !prepared.is_fresh() {
            return Ok(prepared.sign());
        }
        let known = self
            .sets
            .iter()
            .find(|(terms, known, _)| *terms == prepared.terms() && *known == plan);
        if let Some((_, _, lanes)) = known {
            return Ok(lanes.clone());
        }
        let lanes = prepared.sign();
        self.sets.push((prepared.terms(), plan, lanes.clone()));
        Ok(lanes)
    }
}

impl Round {
    fn line(&self) -> String {
        let side = |name: &str, round: &SideRound| {
            format!(
                "{name} {:.2}/{:.2} ms, {:.0}/s, {:.0} us CPU",
                round.latency.latency.p50_ms,
                round.latency.latency.p99_ms,
                round.throughput.included_per_second,
                cpu_per_transaction(&round.throughput),
            )
        };
        format!(
            "{}; {}",
            side("rapid-reth", &self.rapid_reth),
            side("anvil", &self.anvil)
        )
    }
}

fn cpu_per_transaction(report: &LoadReport) -> f64 {
    report
        .server
        .map_or(f64::NAN, |server| server.cpu_us_per_transaction)
}

fn resident_megabytes(report: &LoadReport) -> f64 {
    report
        .server
        .map_or(f64::NAN, |server| server.resident_after as f64 / 1e6)
}

type Reading = fn(&SideRound) -> f64;

const QUANTITIES: [(&str, Reading); 8] = [
    ("idle submit to receipt, p50 (ms)", |round| {
        round.latency.latency.p50_ms
    }),
    ("idle submit to receipt, p99 (ms)", |round| {
        round.latency.latency.p99_ms
    }),
    ("idle submit to receipt, p99.9 (ms)", |round| {
        round.latency.latency.p999_ms
    }),
    ("transfers included per second", |round| {
        round.throughput.included_per_second
    }),
    ("the same, whole blocks only", |round| {
        round.throughput.sustained_per_second.unwrap_or(f64::NAN)
    }),
    ("server CPU per transfer (us)", |round| {
        cpu_per_transaction(&round.throughput)
    }),
    ("server memory after the transfers (MB)", |round| {
        resident_megabytes(&round.throughput)
    }),
    ("generator CPU in the throughput run (s)", |round| {
        round.throughput.generator_cpu_seconds
    }),
];

fn summarise(rounds: &[Round]) -> Vec<Quantity> {
    QUANTITIES
        .iter()
        .map(|(name, read)| Quantity {
            name,
            rapid_reth: Spread::of(rounds.iter().map(|round| read(&round.rapid_reth))),
            anvil: Spread::of(rounds.iter().map(|round| read(&round.anvil))),
            ratio: Spread::of(
                rounds
                    .iter()
                    .map(|round| read(&round.rapid_reth) / read(&round.anvil)),
            ),
        })
        .collect()
}

impl Tabular for Comparison {
    fn title(&self) -> String {
        format!(
            "{} against {}, {} alternating rounds, median (lowest to highest), {}",
            self.versions[0],
            self.versions[1],
            self.rounds.len(),
            self.machine
        )
    }

    fn heads(&self) -> Vec<String> {
        ["measured", "rapid-reth", "anvil", "ratio"]
            .map(str::to_owned)
            .to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.summary
            .iter()
            .map(|quantity| {
                vec![
                    quantity.name.to_owned(),
                    spread_cell(&quantity.rapid_reth),
                    spread_cell(&quantity.anvil),
                    spread_cell(&quantity.ratio),
                ]
            })
            .collect()
    }
}

fn spread_cell(spread: &Spread) -> String {
    let digits = if spread.median.abs() >= 100.0 { 0 } else { 2 };
    let Spread { median, low, high } = spread;
    format!("{median:.digits$} ({low:.digits$} to {high:.digits$})")
}
