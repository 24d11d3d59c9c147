//! The state and its roots beside other ways of keeping them.
//!
//! In: sizes, rounds and rows. Out: one comparison per row of the list of promises (`rapid-bench state --help` names
//! them), each of ours against its reference in the same run, and facts that explain them: nanoseconds of a
//! permutation, bytes of a slot.
//!
//! What always holds:
//!
//! * Both sides of a comparison answer the same questions, drawn from one seed, and their answers are compared: values
//!   read, roots, proofs. A difference is an error and not a row.
//! * Sides run in alternating order, round by round; a ratio is the median of the rounds' ratios, with its spread.
//! * Time is the thread's CPU time; wall time stands beside it.
//! * What changes state is undone, or begins on state of its own, before the next round. The trie of the node keeps
//!   the version before until the root is known, as in the node, so copying and freeing are part of its time.
//! * Before a root other memory is read, so that no trie is in the processor's caches because it was just changed back.
//! * Memory is measured in processes of their own.
//!
//! Everything that calls the node's own crates is in [`ours`].

mod batch;
pub(crate) mod comparison;
mod full_build;
mod leaves;
mod mdbx;
mod memory;
mod node_trie;
mod ours;
mod past;
mod permutations;
pub(crate) mod plan;
mod pool;
mod proofs;
mod reads;
mod rebuild;
mod roots;
mod sharded_map;
pub(crate) mod sizes;
mod slots;
mod turns;
mod world;

use comparison::{Report, Section};
use plan::{Row, StatePlan};

/// Measures the rows of the plan.
///
/// # Errors
/// If the two sides of a row differ in an answer, or a reference cannot be set up.
pub(crate) fn run(plan: &StatePlan) -> eyre::Result<Report> {
    let mut report = Report::new(plan);
    let mut add = |name: &str, rows: &[Row], measure: fn(&StatePlan) -> eyre::Result<Section>| {
        if rows.iter().any(|row| plan.wants(*row)) {
            eprintln!("{name}");
            report.add(measure(plan)?);
        }
        eyre::Ok(())
    };
    // First, as long as this process holds no memory: the ones that it starts need it.
    add("sizes", &sizes::ROWS, sizes::measure)?;
    add("reads", &reads::ROWS, reads::measure)?;
    add("roots", &roots::ROWS, roots::measure)?;
    add("full builds", &full_build::ROWS, full_build::measure)?;
    add("proofs", &proofs::ROWS, proofs::measure)?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Tabular;

    /// All but the sizes, which need a process of their own.
    #[test]
    fn both_sides_of_all_rows_agree() {
        let mut plan = StatePlan::small();
        plan.rows.retain(|row| *row != Row(5));
        let report = run(&plan).unwrap();
        let rows = comparison::Comparisons(&report).rows();
        let mut numbers: Vec<_> = rows.iter().map(|row| row[0].parse().unwrap()).map(Row).collect();
        numbers.dedup();
        assert_eq!(numbers, plan.rows);
        assert!(!comparison::Facts(&report).rows().is_empty());
    }
}
