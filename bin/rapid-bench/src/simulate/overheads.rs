//! What the models are told of the machinery: measured on one workload, or given.

use super::plan::SimulatePlan;
use crate::{
    measure::Spread,
    parallel::{
        alternate,
        block::{Block, Fork},
        plan::ParallelPlan,
        report::SideReport,
        sides::{Parts, SideId, SideKind, Subject, parts},
        stop,
    },
    scenario::ScenarioKind,
};
use serde::Serialize;

/// The workload whose one-worker runs the overheads are measured on: short transactions with contracts.
pub(crate) const CALIBRATION: ScenarioKind = ScenarioKind::Erc20;

/// What each transaction costs more than executing it in place, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Overheads {
    /// Production: recording reads, committing.
    pub(crate) production_ns: f64,
    /// Waiting at a lane.
    pub(crate) park_ns: f64,
    /// Validation: comparing with the hint.
    pub(crate) validation_ns: f64,
    /// Validation: what one thread does before and after.
    pub(crate) validation_serial_ns: f64,
    /// Executing through the list in revm's `State`.
    pub(crate) list_ns: f64,
    /// Committing in order and rebuilding the list.
    pub(crate) commit_ns: f64,
    /// Block-STM: versions, validation.
    pub(crate) block_stm_ns: f64,
}

impl Overheads {
    /// Measures what is not given.
    ///
    /// # Errors
    /// If a run fails.
    pub(super) fn measure(plan: &SimulatePlan) -> eyre::Result<Self> {
        let block = Block::draw(CALIBRATION, CALIBRATION.count(plan.count), plan.seed, Fork::Osaka)?;
        let transactions = block.len() as f64;
        let subject = Subject::of(block, plan.jit.compiler()?)?;
        let one_and_two = ParallelPlan {
            sides: vec![SideKind::Flat, SideKind::Production, SideKind::Validation],
            workers: vec![1, 2],
            ..plan.measurement()
        };
        let sides = alternate(&one_and_two, &subject)?;
        let lists = (0..plan.rounds)
            .map(|_| parts(&subject))
            .collect::<eyre::Result<Vec<_>>>()?;
        stop(&subject.compiler);
        let per_transaction = |kind, workers| wall_ns(&sides, SideId { kind, workers }) / transactions;
        let flat = per_transaction(SideKind::Flat, 1);
        let validation = Split::of(
            flat,
            per_transaction(SideKind::Validation, 1),
            per_transaction(SideKind::Validation, 2),
        );
        let least = |part: fn(&Parts) -> f64| Spread::of(lists.iter().map(part)).low / transactions;
        let given = plan.given;
        let production = (per_transaction(SideKind::Production, 1) - flat).max(0.0);
        Ok(Self {
            production_ns: given.production_ns.unwrap_or(production),
            park_ns: given.park_ns,
            validation_ns: given.validation_ns.unwrap_or(validation.parallel_ns),
            validation_serial_ns: given.validation_serial_ns.unwrap_or(validation.serial_ns),
            list_ns: (least(|parts| parts.execute_ns) - flat).max(0.0),
            commit_ns: least(|parts| parts.commit_ns),
            block_stm_ns: given.block_stm_ns,
        })
    }
}

fn wall_ns(sides: &[SideReport], id: SideId) -> f64 {
    let side = sides.iter().find(|side| side.id == id);
    side.map_or(0.0, |side| {
        Spread::of(side.runs.iter().map(|run| run.wall_ns)).low
    })
}

/// What an executor adds to each transaction: by the worker that has it, and by one thread for all.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Split {
    parallel_ns: f64,
    serial_ns: f64,
}

impl Split {
    /// From the time per transaction of sequential execution, and of one and two workers: with cost c, what is added p, and what is
    /// serial s, one worker takes c + p + s and two take (c + p) / 2 + s.
    fn of(sequential_ns: f64, one_ns: f64, two_ns: f64) -> Self {
        let serial_ns = (2.0 * two_ns - one_ns).clamp(0.0, one_ns);
        Self {
            parallel_ns: (one_ns - serial_ns - sequential_ns).max(0.0),
            serial_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_split() {
        let (cost, parallel, serial) = (5_000.0, 300.0, 200.0);
        let two = (cost + parallel) / 2.0 + serial;
        let split = Split::of(cost, cost + parallel + serial, two);
        assert_eq!((split.parallel_ns, split.serial_ns), (parallel, serial));
    }

    #[test]
    fn faster_than_sequential_adds_nothing() {
        let split = Split::of(1_000.0, 900.0, 440.0);
        assert_eq!((split.parallel_ns, split.serial_ns), (0.0, 0.0));
    }
}
