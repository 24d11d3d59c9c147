//! The built-in workloads.

mod artifact;
mod assembly;
mod computation;
pub(crate) mod mixed_blocks;
mod pools;
mod system;
mod tokens;
mod worst_gas;

pub(crate) use computation::numbers_creation;

use super::workload::Workload;

/// All of them.
///
/// # Errors
/// If a committed program is damaged.
pub(crate) fn all() -> eyre::Result<Vec<Workload>> {
    let groups = [
        assembly::workloads()?,
        computation::workloads()?,
        tokens::workloads()?,
        pools::workloads()?,
        system::workloads()?,
        worst_gas::workloads()?,
    ];
    Ok(groups.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jit::prepared::Prepared;
    use std::collections::HashSet;

    #[test]
    fn every_transaction_succeeds() {
        for workload in all().unwrap() {
            let outcome = Prepared::of(&workload).unwrap().outcome().unwrap();
            assert!(!outcome.result.is_empty(), "{}", workload.name);
            for result in &outcome.result {
                assert!(result.is_success(), "{}: {result:?}", workload.name);
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let workloads = all().unwrap();
        let names: HashSet<_> = workloads.iter().map(|workload| &workload.name).collect();
        assert_eq!(names.len(), workloads.len());
    }
}
