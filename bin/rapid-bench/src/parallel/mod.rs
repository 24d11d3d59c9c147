//! Parallel executors beside sequential ones, and beside what else could do their work.
//!
//! In: workloads, executors, numbers of workers. Out: for each workload wall and CPU time of each executor, ratios, and
//! the targets that were met and missed.
//!
//! What always holds:
//!
//! * All executors of a workload take turns in one process, on the same block, from the same state, which is made anew for
//!   each run and not timed. Who begins changes with each round.
//! * Each run's receipts and all values after it are compared with those of the sequential executor. An executor that
//!   chooses the order is compared with the sequential one in that order. A difference is an error and not a row.
//! * revm's executors read the same store in memory; they are not slowed down by another one.
//! * Threads are started before the first round. Before it every side runs once untimed.

mod batches;
pub(crate) mod block;
mod dishonest;
pub(crate) mod latency;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod sides;
mod targets;

use crate::scenario::ScenarioKind;
use block::Block;
use plan::{ParallelPlan, WorkloadKind};
use rapid_evm::Compiler;
use report::{Report, SideReport, WorkloadReport};
use sides::{Side, SideId, Subject};

/// Measures the workloads of the plan.
///
/// # Errors
/// If an executor comes to something else than the sequential one, or a thread does not start.
pub(crate) fn run(plan: &ParallelPlan) -> eyre::Result<Report> {
    let mut report = Report::new(plan);
    for &workload in &plan.workloads {
        eprintln!("{}", workload.name());
        match workload {
            WorkloadKind::Block(kind) => report.add(measure_block(plan, kind)?),
            WorkloadKind::Batches => batches::measure(plan, &mut report)?,
            WorkloadKind::Dishonest => dishonest::measure(plan, &mut report)?,
            WorkloadKind::Latency => report.latencies = Some(latency::measure(plan)?),
        }
    }
    Ok(report)
}

fn measure_block(plan: &ParallelPlan, kind: ScenarioKind) -> eyre::Result<WorkloadReport> {
    let compiler = plan.jit.compiler()?;
    let block = Block::draw(kind, kind.count(plan.count), plan.seed, plan.fork)?;
    let subject = Subject::of(block, compiler)?;
    let sides = alternate(plan, &subject)?;
    let mut report = WorkloadReport {
        name: kind.name(),
        transactions: subject.block.len(),
        gas: subject.expected.gas(),
        sides,
        promises: Vec::new(),
    };
    report.judge(targets::of_block(kind));
    stop(&subject.compiler);
    Ok(report)
}

/// A side that takes part.
struct Participant {
    id: SideId,
    side: Box<dyn Side>,
    report: SideReport,
}

/// Lets the sides of the plan take turns.
pub(crate) fn alternate(plan: &ParallelPlan, subject: &Subject) -> eyre::Result<Vec<SideReport>> {
    let mut participants = plan
        .side_ids()
        .into_iter()
        .map(|id| {
            Ok(Participant {
                id,
                side: sides::start(id)?,
                report: SideReport { id, runs: Vec::new() },
            })
        })
        .collect::<eyre::Result<Vec<_>>>()?;
    let count = participants.len();
    for participant in &mut participants {
        participant.run(subject)?;
    }
    for round in 0..plan.rounds {
        for turn in 0..count {
            let participant = &mut participants[(round + turn) % count];
            let run = participant.run(subject)?;
            participant.report.runs.push(run);
        }
    }
    Ok(participants
        .into_iter()
        .map(|participant| participant.report)
        .collect())
}

impl Participant {
    fn run(&mut self, subject: &Subject) -> eyre::Result<sides::Run> {
        use eyre::WrapErr;
        self.side.run(subject).wrap_err_with(|| self.id.name())
    }
}

/// Ends the compiler's threads.
pub(crate) fn stop(compiler: &Compiler) {
    if let Some(runtime) = compiler.runtime() {
        runtime.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pipeline::JitSwitch, table::Tabular};
    use clap::ValueEnum;
    use sides::SideKind;

    #[test]
    fn every_workload_is_measured() {
        let plan = ParallelPlan {
            workloads: WorkloadKind::all(),
            sides: SideKind::value_variants().to_vec(),
            workers: vec![2],
            rounds: 2,
            count: 100,
            seed: 3,
            jit: JitSwitch::Off,
            fork: block::Fork::Osaka,
        };
        let report = run(&plan).unwrap();
        let (times, promises) = (report::Times(&report), report::Promises(&report));
        let rows = times.rows();
        assert!(rows.iter().all(|row| row.len() == times.heads().len()));
        for workload in &plan.workloads {
            let is_shown = rows.iter().any(|row| row[0].starts_with(&workload.name()));
            assert_eq!(is_shown, *workload != WorkloadKind::Latency);
        }
        assert_eq!(report.latencies.as_ref().unwrap().rows().len(), 6);
        assert!(
            promises
                .rows()
                .iter()
                .all(|row| row.len() == promises.heads().len())
        );
    }
}
