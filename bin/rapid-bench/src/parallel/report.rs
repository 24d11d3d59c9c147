//! What was measured, and the tables it is shown in.

use super::{
    latency::Latencies,
    plan::ParallelPlan,
    sides::{Run, SideId, SideKind},
    targets::Target,
};
use crate::{compare::machine, measure::Spread, table::Tabular};
use serde::Serialize;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    plan: ParallelPlan,
    workloads: Vec<WorkloadReport>,
    /// If they were measured.
    pub(crate) latencies: Option<Latencies>,
}

/// One workload.
#[derive(Debug, Serialize)]
pub(crate) struct WorkloadReport {
    /// Its name.
    pub(crate) name: String,
    /// How many transactions a round executes.
    pub(crate) transactions: usize,
    /// Their gas.
    pub(crate) gas: u64,
    /// What each side took.
    pub(crate) sides: Vec<SideReport>,
    /// What is promised, of the sides that were measured.
    pub(crate) promises: Vec<Promise>,
}

/// One side of a workload.
#[derive(Debug, Serialize)]
pub(crate) struct SideReport {
    /// Which.
    pub(crate) id: SideId,
    /// Round by round.
    pub(crate) runs: Vec<Run>,
}

/// A promise and what came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Promise {
    target: Target,
    ratio: Ratio,
    is_met: bool,
}

/// How many times as fast one side is as another, by wall time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    /// Of the shortest times of both: load of the machine only ever adds.
    pub(crate) of_minima: f64,
    /// Of the rounds.
    pub(crate) of_rounds: Spread,
}

impl SideReport {
    fn wall(&self) -> Spread {
        Spread::of(self.runs.iter().map(|run| run.wall_ns))
    }

    fn cpu(&self) -> Spread {
        Spread::of(self.runs.iter().map(|run| run.cpu_ns))
    }

    fn executions(&self) -> Option<f64> {
        let executions: Vec<_> = self.runs.iter().filter_map(|run| run.executions).collect();
        (!executions.is_empty()).then(|| Spread::of(executions).median)
    }

    /// How many times as fast it is as `other`.
    pub(crate) fn ratio_to(&self, other: &Self) -> Ratio {
        let rounds = self.runs.iter().zip(&other.runs);
        Ratio {
            of_minima: other.wall().low / self.wall().low,
            of_rounds: Spread::of(rounds.map(|(own, other)| other.wall_ns / own.wall_ns)),
        }
    }
}

impl WorkloadReport {
    fn side(&self, id: SideId) -> Option<&SideReport> {
        self.sides.iter().find(|side| side.id == id)
    }

    /// Adds what is promised, as far as both sides of a promise were measured.
    pub(crate) fn judge(&mut self, targets: Vec<Target>) {
        let promises = targets.into_iter().filter_map(|target| {
            let ratio = self.side(target.side)?.ratio_to(self.side(target.against)?);
            Some(Promise {
                is_met: ratio.of_minima >= target.at_least,
                target,
                ratio,
            })
        });
        self.promises = promises.collect();
    }
}

impl Report {
    /// A report of nothing yet.
    pub(crate) fn new(plan: &ParallelPlan) -> Self {
        Self {
            machine: machine(),
            plan: plan.clone(),
            workloads: Vec::new(),
            latencies: None,
        }
    }

    /// Adds a workload.
    pub(crate) fn add(&mut self, workload: WorkloadReport) {
        self.workloads.push(workload);
    }

    fn circumstances(&self) -> String {
        format!(
            "{}, {:?}, {} alternating rounds, seed {}, compiler {:?}",
            self.machine, self.plan.fork, self.plan.rounds, self.plan.seed, self.plan.jit
        )
    }
}

/// Times of all sides: the first table.
#[derive(Serialize)]
pub(crate) struct Times<'a>(pub(crate) &'a Report);

impl Tabular for Times<'_> {
    fn title(&self) -> String {
        format!(
            "Blocks in memory, {}. CPU of all threads; ratios by wall time, of the minima, and median of the rounds (lowest to highest)",
            self.0.circumstances()
        )
    }

    fn heads(&self) -> Vec<String> {
        [
            "workload",
            "executor",
            "wall min / median",
            "CPU min / median per transaction",
            "Ggas/s",
            "executions",
            "to revm State",
            "to flat",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let workloads = self.0.workloads.iter();
        workloads
            .flat_map(|workload| workload.sides.iter().map(|side| time_row(workload, side)))
            .collect()
    }
}

fn time_row(workload: &WorkloadReport, side: &SideReport) -> Vec<String> {
    let (wall, cpu) = (side.wall(), side.cpu());
    let per_transaction = |ns: f64| ns / workload.transactions as f64;
    let ratio_to = |kind| {
        workload
            .side(SideId::sequential(kind))
            .map(|other| side.ratio_to(other).text())
            .unwrap_or_default()
    };
    vec![
        format!("{} ({})", workload.name, workload.transactions),
        side.id.name(),
        format!("{:.2} / {:.2} ms", wall.low / 1e6, wall.median / 1e6),
        format!(
            "{:.0} / {:.0} ns",
            per_transaction(cpu.low),
            per_transaction(cpu.median)
        ),
        format!("{:.2}", workload.gas as f64 / wall.low),
        side.executions()
            .map(|executions| format!("{executions:.3}"))
            .unwrap_or_default(),
        ratio_to(SideKind::Revm),
        ratio_to(SideKind::Flat),
    ]
}

impl Ratio {
    fn text(&self) -> String {
        let Spread { median, low, high } = self.of_rounds;
        format!("{:.2}x, {median:.2} ({low:.2} to {high:.2})", self.of_minima)
    }
}

/// What is promised: the second table.
#[derive(Serialize)]
pub(crate) struct Promises<'a>(pub(crate) &'a Report);

impl Tabular for Promises<'_> {
    fn title(&self) -> String {
        format!("Targets, {}. Ratios of the minima decide", self.0.circumstances())
    }

    fn heads(&self) -> Vec<String> {
        ["workload", "executor", "against", "ratio", "target", "met"]
            .map(str::to_owned)
            .to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let workloads = self.0.workloads.iter();
        workloads
            .flat_map(|workload| {
                workload
                    .promises
                    .iter()
                    .map(|promise| promise_row(&workload.name, promise))
            })
            .collect()
    }
}

fn promise_row(workload: &str, promise: &Promise) -> Vec<String> {
    vec![
        workload.to_owned(),
        promise.target.side.name(),
        promise.target.against.name(),
        promise.ratio.text(),
        format!(">= {:.2}x", promise.target.at_least),
        if promise.is_met { "yes" } else { "MISSED" }.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(kind: SideKind, wall: &[f64]) -> SideReport {
        let runs = wall.iter().map(|&wall_ns| Run {
            wall_ns,
            cpu_ns: wall_ns,
            executions: None,
            dispatcher_ns: None,
        });
        SideReport {
            id: SideId::sequential(kind),
            runs: runs.collect(),
        }
    }

    #[test]
    fn minima_decide_and_rounds_spread() {
        let mut workload = WorkloadReport {
            name: "any".to_owned(),
            transactions: 10,
            gas: 100,
            sides: vec![
                side(SideKind::Revm, &[40.0, 60.0, 50.0]),
                side(SideKind::Flat, &[25.0, 20.0, 50.0]),
            ],
            promises: Vec::new(),
        };
        let promise = |at_least| Target {
            side: SideId::sequential(SideKind::Flat),
            against: SideId::sequential(SideKind::Revm),
            at_least,
        };
        let of_nobody = Target {
            against: SideId::sequential(SideKind::Draft),
            ..promise(1.0)
        };
        workload.judge(vec![promise(2.0), promise(2.1), of_nobody]);
        let met: Vec<_> = workload.promises.iter().map(|promise| promise.is_met).collect();
        assert_eq!(met, [true, false]);
        assert_eq!(
            workload.promises[0].ratio,
            Ratio {
                of_minima: 2.0,
                of_rounds: Spread {
                    median: 1.6,
                    low: 1.0,
                    high: 3.0
                }
            }
        );
    }
}
