//! What the models are told of the machinery: measured on one workload, or given.

use super::plan::SimulatePlan;
use crate::{
    measure::Spread,
    parallel::{
        alternate,
        block::{Block, Fork},
        plan::ParallelPlan,
        sides::{Parts, Run, SideId, SideKind, Subject, parts},
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
    /// Production: handing out and collecting, by one thread.
    pub(crate) dispatch_ns: f64,
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
        let side = |kind, workers| sides.iter().find(|side| side.id == SideId { kind, workers });
        let least = |kind, workers, time: fn(&Run) -> f64| {
            let runs = side(kind, workers).map_or_else(Vec::new, |side| side.runs.clone());
            Spread::of(runs.iter().map(time)).low / transactions
        };
        // One worker's by CPU time, which other load on the machine does not lengthen as it does wall time.
        let flat = least(SideKind::Flat, 1, |run| run.cpu_ns);
        let dispatch = least(SideKind::Production, 1, |run| {
            run.dispatcher_ns.unwrap_or_default()
        });
        let production = least(SideKind::Production, 1, |run| run.cpu_ns) - dispatch - flat;
        let validation = Split::of(
            flat,
            least(SideKind::Validation, 1, |run| run.cpu_ns),
            least(SideKind::Validation, 2, |run| run.wall_ns),
        );
        let least_part = |part: fn(&Parts) -> f64| Spread::of(lists.iter().map(part)).low / transactions;
        let given = plan.given;
        Ok(Self {
            production_ns: given.production_ns.unwrap_or(production.max(0.0)),
            dispatch_ns: given.dispatch_ns.unwrap_or(dispatch),
            park_ns: given.park_ns,
            validation_ns: given.validation_ns.unwrap_or(validation.parallel_ns),
            validation_serial_ns: given.validation_serial_ns.unwrap_or(validation.serial_ns),
            list_ns: (least_part(|parts| parts.execute_ns) - flat).max(0.0),
            commit_ns: least_part(|parts| parts.commit_ns),
            block_stm_ns: given.block_stm_ns,
        })
    }
}

/// What an executor adds to each transaction: by the worker that has it, and by one thread for all.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Split {
    parallel_ns: f64,
    serial_ns: f64,
}

impl Split {
    /// From the time per transaction of sequential execution, and of one and two workers: with cost c, what is added p, and what is
    /// serial s, one worker takes c + p + s and two take (c + p) / 2 + s. The cost itself is never serial, whatever two workers
    /// took on a machine that was busy.
    fn of(sequential_ns: f64, one_ns: f64, two_ns: f64) -> Self {
        let added = (one_ns - sequential_ns).max(0.0);
        let serial_ns = (2.0 * two_ns - one_ns).clamp(0.0, added);
        Self {
            parallel_ns: added - serial_ns,
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
    fn two_workers_on_one_core_are_not_taken_for_serial_work() {
        let split = Split::of(5_000.0, 5_600.0, 5_600.0);
        assert_eq!((split.parallel_ns, split.serial_ns), (0.0, 600.0));
    }

    #[test]
    fn faster_than_sequential_adds_nothing() {
        let split = Split::of(1_000.0, 900.0, 440.0);
        assert_eq!((split.parallel_ns, split.serial_ns), (0.0, 0.0));
    }
}
