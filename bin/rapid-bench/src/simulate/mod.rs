//! Parallel executors on more cores than there are: models of them, driven by what was measured here.
//!
//! In: workloads and numbers of workers. Out: how many times as fast as sequential execution each executor would be, and
//! how wrong the models are where that can be measured.
//!
//! What always holds: costs, keys and senders are those of a sequential run of the same block that
//! `rapid-bench parallel` measures. The models have no memory bandwidth, caches or frequencies, so what they say of more threads
//! than this machine has cores is an upper bound, and is shown as one.

pub(crate) mod models;
mod overheads;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod trace;

use crate::{
    parallel::{
        alternate,
        block::{Block, Fork},
        plan::ParallelPlan,
        report::SideReport,
        sides::{SideId, SideKind, Subject},
        stop,
    },
    scenario::ScenarioKind,
};
use models::{BlockStm, Committer, Lanes, Production, Simulated, Validation};
use overheads::Overheads;
use plan::SimulatePlan;
use report::{Cell, Model, Report, WorkloadCells};
use std::thread;
use trace::Trace;

/// Lost races after which a key gets a lane in the models.
const LANE_AFTER: usize = 2;

/// Gain from which the sequencer gives transactions to workers.
const PAYS_FROM: f64 = 1.1;

/// Simulates the workloads of the plan.
///
/// # Errors
/// If a block cannot be executed.
pub(crate) fn run(plan: &SimulatePlan) -> eyre::Result<Report> {
    eprintln!("overheads");
    let overheads = Overheads::measure(plan)?;
    let workloads = plan
        .workloads
        .iter()
        .map(|&kind| {
            eprintln!("{}", kind.name());
            simulate(plan, overheads, kind)
        })
        .collect::<eyre::Result<_>>()?;
    Ok(Report::new(plan, overheads, workloads))
}

/// Cores of this machine.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn simulate(plan: &SimulatePlan, overheads: Overheads, kind: ScenarioKind) -> eyre::Result<WorkloadCells> {
    let block = Block::draw(kind, kind.count(plan.count), plan.seed, Fork::Osaka)?;
    let subject = Subject::of(block, plan.jit.compiler()?)?;
    let measured = alternate(&plan.measurement(), &subject)?;
    let trace = Trace::record(&subject.block, &subject.compiler)?;
    stop(&subject.compiler);
    let total = trace.total_ns();
    let mut cells = Vec::new();
    for model in Model::ALL {
        let mut workers: Vec<_> = plan
            .workers
            .iter()
            .chain(&plan.measure_workers)
            .copied()
            .collect();
        workers.sort_unstable();
        workers.dedup();
        for workers in workers {
            let simulated = run_model(model, workers, overheads, &trace);
            cells.push(Cell {
                model,
                workers,
                simulated: total / simulated.end_ns,
                executions: simulated.executions as f64 / trace.tasks.len() as f64,
                measured: measured_ratio(&measured, model, workers),
            });
        }
    }
    Ok(WorkloadCells {
        name: kind.name(),
        transactions: trace.tasks.len(),
        cost_ns: total / trace.tasks.len() as f64,
        fixed_order_bound: total / trace.critical_path_ns(),
        cells,
    })
}

fn run_model(model: Model, workers: usize, overheads: Overheads, trace: &Trace) -> Simulated {
    let production = |lanes| {
        let overhead_ns = overheads.production_ns;
        Production {
            workers,
            overhead_ns,
            dispatch_ns: overheads.dispatch_ns,
            lanes,
        }
        .run(trace)
        .or_plainly(workers, trace)
    };
    match model {
        Model::Production => production(Lanes::After {
            losses: LANE_AFTER,
            park_ns: overheads.park_ns,
        }),
        Model::ProductionWithoutLanes => production(Lanes::Off),
        Model::Validation => Validation {
            workers,
            overhead_ns: overheads.validation_ns,
            serial_ns: overheads.validation_serial_ns,
        }
        .run(trace),
        Model::Committer => Committer {
            workers,
            overhead_ns: overheads.list_ns,
            commit_ns: overheads.commit_ns,
        }
        .run(trace),
        Model::BlockStm => BlockStm {
            workers,
            overhead_ns: overheads.block_stm_ns,
        }
        .run(trace),
    }
}

impl Simulated {
    /// The plain loop instead, which takes no more than the transactions do, where the sequencer would choose it.
    fn or_plainly(self, workers: usize, trace: &Trace) -> Self {
        let plain_ns = trace.total_ns();
        if workers > 1 && plain_ns / self.end_ns >= PAYS_FROM {
            return self;
        }
        Self {
            end_ns: plain_ns,
            executions: trace.tasks.len(),
        }
    }
}

/// How many times as fast as flat execution an executor was, if it was measured.
fn measured_ratio(measured: &[SideReport], model: Model, workers: usize) -> Option<f64> {
    let side = |id: SideId| measured.iter().find(|side| side.id == id);
    let own = side(SideId {
        kind: model.side()?,
        workers,
    })?;
    let flat = side(SideId::sequential(SideKind::Flat))?;
    Some(own.ratio_to(flat).of_minima)
}

impl SimulatePlan {
    /// What is measured beside the models.
    fn measurement(&self) -> ParallelPlan {
        let mut sides = vec![SideKind::Flat];
        if !self.measure_workers.is_empty() {
            sides.extend(Model::ALL.iter().filter_map(|model| model.side()));
        }
        ParallelPlan {
            workloads: Vec::new(),
            sides,
            workers: self.measure_workers.clone(),
            rounds: self.rounds,
            count: self.count,
            seed: self.seed,
            jit: self.jit,
            fork: Fork::Osaka,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pipeline::JitSwitch, table::Tabular};
    use plan::Given;

    #[test]
    fn every_model_is_shown_and_some_are_measured() {
        let plan = SimulatePlan {
            workloads: vec![ScenarioKind::Erc20, ScenarioKind::AmmHot],
            workers: vec![2, 128],
            measure_workers: vec![1, 2],
            rounds: 2,
            count: 80,
            seed: 1,
            jit: JitSwitch::Off,
            given: Given {
                park_ns: 600.0,
                block_stm_ns: 2_500.0,
                ..Given::default()
            },
        };
        plan.check().unwrap();
        let report = run(&plan).unwrap();
        let (speed_ups, errors) = (report::SpeedUps(&report), report::Errors(&report));
        let rows = speed_ups.rows();
        assert_eq!(rows.len(), 2 * Model::ALL.len());
        assert!(rows.iter().all(|row| row.len() == speed_ups.heads().len()));
        assert!(rows.iter().all(|row| row[5].starts_with("<= ")), "128 workers");
        // Two workloads, three executors, two numbers of workers.
        assert_eq!(errors.rows().len(), 2 * 3 * 2);
        assert!(errors.rows().iter().all(|row| row.len() == errors.heads().len()));
    }

    /// A hot pool is one lane, whatever the number of workers; post-values make it as parallel as anything.
    #[test]
    fn hot_pools_limit_production_and_not_validation() {
        let block = Block::draw(ScenarioKind::AmmHot, 64, 1, Fork::Osaka).unwrap();
        let trace = Trace::record(&block, &rapid_evm::Compiler::none()).unwrap();
        let speed_up = |model| {
            let simulated = run_model(model, 16, Overheads::default(), &trace);
            trace.total_ns() / simulated.end_ns
        };
        assert!(speed_up(Model::Production) <= 1.05);
        assert!(speed_up(Model::BlockStm) <= 1.05);
        assert!(speed_up(Model::Validation) > 8.0);
    }
}
