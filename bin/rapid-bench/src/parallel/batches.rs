//! Blocks so small that what an executor does once per block shows.

use super::{
    alternate,
    block::Block,
    plan::ParallelPlan,
    report::{Report, WorkloadReport},
    sides::Subject,
    stop, targets,
};
use crate::scenario::ScenarioKind;

/// Transactions of a batch: what a mini-block of 1 to 10 ms has.
const SIZES: [usize; 3] = [100, 300, 1_000];

/// What batches are made of: the shortest transactions, and short ones with contracts.
const KINDS: [ScenarioKind; 2] = [ScenarioKind::Transfers, ScenarioKind::Erc20];

/// Measures batches of each size.
///
/// # Errors
/// As for a block.
pub(super) fn measure(plan: &ParallelPlan, report: &mut Report) -> eyre::Result<()> {
    for kind in KINDS {
        let largest = Block::draw(kind, SIZES[SIZES.len() - 1], plan.seed, plan.fork)?;
        for size in SIZES {
            let subject = Subject::of(largest.shortened(size), plan.jit.compiler()?)?;
            let mut workload = WorkloadReport {
                name: format!("batches of {size}, {}", kind.name()),
                transactions: size,
                gas: subject.expected.gas(),
                sides: alternate(plan, &subject)?,
                promises: Vec::new(),
            };
            workload.judge(targets::of_batch(&plan.workers));
            report.add(workload);
            stop(&subject.compiler);
        }
    }
    Ok(())
}
