//! What was simulated, and the tables it is shown in.

use super::{overheads::Overheads, plan::SimulatePlan};
use crate::{compare::machine, parallel::sides::SideKind, table::Tabular};
use serde::Serialize;

/// An executor that is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Model {
    /// Production with lanes for hot keys.
    Production,
    /// Production without them.
    ProductionWithoutLanes,
    /// Validation with post-values.
    Validation,
    /// The list with one thread more that commits in order.
    Committer,
    /// Block-STM.
    BlockStm,
}

impl Model {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Production,
        Self::ProductionWithoutLanes,
        Self::Validation,
        Self::Committer,
        Self::BlockStm,
    ];

    /// The executor that can be measured.
    pub(crate) const fn side(self) -> Option<SideKind> {
        match self {
            Self::Production => Some(SideKind::Production),
            Self::Validation => Some(SideKind::Validation),
            Self::Committer => Some(SideKind::Committer),
            Self::ProductionWithoutLanes | Self::BlockStm => None,
        }
    }

    /// Threads that it needs cores for.
    pub(crate) const fn threads(self, workers: usize) -> usize {
        match self {
            Self::Committer | Self::Production | Self::ProductionWithoutLanes => workers + 1,
            Self::Validation | Self::BlockStm => workers,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::ProductionWithoutLanes => "production without lanes",
            Self::Validation => "validation",
            Self::Committer => "list + ordered committer",
            Self::BlockStm => "Block-STM",
        }
    }
}

/// One executor with so many workers on one workload.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cell {
    /// Which.
    pub(crate) model: Model,
    /// Threads that execute.
    pub(crate) workers: usize,
    /// Times as fast as flat sequential execution.
    pub(crate) simulated: f64,
    /// Executions per transaction.
    pub(crate) executions: f64,
    /// The same ratio, measured; of the minima.
    pub(crate) measured: Option<f64>,
}

impl Cell {
    /// How much too high the model is.
    fn error(&self) -> Option<f64> {
        self.measured.map(|measured| self.simulated / measured - 1.0)
    }
}

/// One workload.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WorkloadCells {
    /// Its name.
    pub(crate) name: String,
    /// How many transactions.
    pub(crate) transactions: usize,
    /// Mean cost of one in nanoseconds.
    pub(crate) cost_ns: f64,
    /// How many times as fast the longest chain of the block's order would be on endless workers.
    pub(crate) fixed_order_bound: f64,
    /// By model and workers.
    pub(crate) cells: Vec<Cell>,
}

/// Everything that was simulated.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    cores: usize,
    plan: SimulatePlan,
    overheads: Overheads,
    workloads: Vec<WorkloadCells>,
}

impl Report {
    pub(super) fn new(plan: &SimulatePlan, overheads: Overheads, workloads: Vec<WorkloadCells>) -> Self {
        Self {
            machine: machine(),
            cores: super::cores(),
            plan: plan.clone(),
            overheads,
            workloads,
        }
    }
}

/// Speed-ups: the first table.
#[derive(Serialize)]
pub(crate) struct SpeedUps<'a>(pub(crate) &'a Report);

impl Tabular for SpeedUps<'_> {
    fn title(&self) -> String {
        format!(
            "Simulated times as fast as flat sequential execution, costs of {}. `<=`: more threads than the {} cores here, so an \
             upper bound, of which nothing was measured. Committer and production: one thread more than their workers",
            self.0.machine, self.0.cores
        )
    }

    fn heads(&self) -> Vec<String> {
        let mut heads = ["workload", "cost", "fixed order, endless workers", "executor"]
            .map(str::to_owned)
            .to_vec();
        heads.extend(self.0.plan.workers.iter().map(usize::to_string));
        heads.push("executions at most".to_owned());
        heads
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let workloads = self.0.workloads.iter();
        workloads
            .flat_map(|workload| Model::ALL.map(|model| self.row(workload, model)))
            .collect()
    }
}

impl SpeedUps<'_> {
    fn row(&self, workload: &WorkloadCells, model: Model) -> Vec<String> {
        let cells: Vec<_> = workload.cells.iter().filter(|cell| cell.model == model).collect();
        let mut row = vec![
            format!("{} ({})", workload.name, workload.transactions),
            format!("{:.1} us", workload.cost_ns / 1e3),
            format!("{:.1}x", workload.fixed_order_bound),
            model.name().to_owned(),
        ];
        row.extend(self.0.plan.workers.iter().map(|&workers| {
            let cell = cells.iter().find(|cell| cell.workers == workers);
            cell.map(|cell| {
                let bound = if model.threads(workers) > self.0.cores {
                    "<= "
                } else {
                    ""
                };
                format!("{bound}{:.2}", cell.simulated)
            })
            .unwrap_or_default()
        }));
        let executions = cells.iter().map(|cell| cell.executions).fold(0.0, f64::max);
        row.push(format!("{executions:.2}"));
        row
    }
}

/// Errors where something was measured: the second table.
#[derive(Serialize)]
pub(crate) struct Errors<'a>(pub(crate) &'a Report);

impl Tabular for Errors<'_> {
    fn title(&self) -> String {
        let Overheads {
            production_ns,
            dispatch_ns,
            park_ns,
            validation_ns,
            validation_serial_ns,
            list_ns,
            commit_ns,
            block_stm_ns,
        } = self.0.overheads;
        format!(
            "Simulated beside measured on {} cores. Overheads per transaction, measured on {} at one and two workers unless given: \
             production {production_ns:.0} ns and handing out {dispatch_ns:.0} ns, validation {validation_ns:.0} ns and serial {validation_serial_ns:.0} ns, executing through the list {list_ns:.0} ns, ordered commit \
             {commit_ns:.0} ns; given: park {park_ns:.0} ns, Block-STM {block_stm_ns:.0} ns",
            self.0.cores,
            super::overheads::CALIBRATION.name()
        )
    }

    fn heads(&self) -> Vec<String> {
        [
            "workload",
            "executor",
            "workers",
            "simulated",
            "measured",
            "error",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let workloads = self.0.workloads.iter();
        workloads
            .flat_map(|workload| {
                let cells = workload.cells.iter();
                cells.filter_map(|cell| error_row(&workload.name, cell))
            })
            .collect()
    }
}

fn error_row(workload: &str, cell: &Cell) -> Option<Vec<String>> {
    Some(vec![
        workload.to_owned(),
        cell.model.name().to_owned(),
        cell.workers.to_string(),
        format!("{:.2}x", cell.simulated),
        format!("{:.2}x", cell.measured?),
        format!("{:+.0} %", cell.error()? * 100.0),
    ])
}
