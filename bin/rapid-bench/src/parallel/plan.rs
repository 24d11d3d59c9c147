//! What is measured and how large.

use super::{
    block::Fork,
    sides::{SideId, SideKind},
};
use crate::{pipeline::JitSwitch, scenario::ScenarioKind};
use clap::ValueEnum;
use eyre::{ensure, eyre};
use serde::Serialize;
use std::str::FromStr;

/// A workload of the list of promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WorkloadKind {
    /// One block.
    Block(ScenarioKind),
    /// Small blocks.
    Batches,
    /// Blocks whose hints lie.
    Dishonest,
    /// The whole sequencer under more load than it can execute.
    Latency,
}

/// Names of the workloads that are not one block.
const BATCHES: &str = "batches";
const DISHONEST: &str = "dishonest";
const LATENCY: &str = "latency";

impl WorkloadKind {
    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        let blocks = ScenarioKind::value_variants().iter().copied().map(Self::Block);
        let others = [Self::Batches, Self::Dishonest, Self::Latency];
        blocks.chain(others).collect()
    }

    /// Its name on the command line and in tables.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Block(kind) => kind.name(),
            Self::Batches => BATCHES.to_owned(),
            Self::Dishonest => DISHONEST.to_owned(),
            Self::Latency => LATENCY.to_owned(),
        }
    }
}

impl FromStr for WorkloadKind {
    type Err = eyre::Report;

    fn from_str(text: &str) -> eyre::Result<Self> {
        Self::all()
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| {
                let names: Vec<_> = Self::all().into_iter().map(Self::name).collect();
                eyre!("no workload {text}; there are {}", names.join(", "))
            })
    }
}

impl Serialize for WorkloadKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

/// What is measured and how large.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ParallelPlan {
    /// Which workloads.
    pub(crate) workloads: Vec<WorkloadKind>,
    /// Which executors.
    pub(crate) sides: Vec<SideKind>,
    /// How many threads execute, for those that have a choice.
    pub(crate) workers: Vec<usize>,
    /// Alternating rounds.
    pub(crate) rounds: usize,
    /// Transactions of a block of short ones; swaps a quarter, mixed blocks half.
    pub(crate) count: usize,
    /// Decides accounts and draws.
    pub(crate) seed: u64,
    /// Whether our own executors compile contracts; revm's interpret.
    pub(crate) jit: JitSwitch,
    /// By which rules.
    pub(crate) fork: Fork,
}

impl ParallelPlan {
    /// The executors that take turns.
    pub(crate) fn side_ids(&self) -> Vec<SideId> {
        self.sides
            .iter()
            .flat_map(|&kind| {
                let workers = if kind.has_workers() {
                    self.workers.as_slice()
                } else {
                    &[1]
                };
                workers.iter().map(move |&workers| SideId { kind, workers })
            })
            .collect()
    }

    /// # Errors
    /// If a number leaves nothing to measure.
    pub(crate) fn check(&self) -> eyre::Result<()> {
        ensure!(self.rounds > 0, "at least one round");
        ensure!(self.count > 0, "at least one transaction");
        ensure!(!self.sides.is_empty(), "at least one executor");
        ensure!(
            !self.workers.is_empty() && !self.workers.contains(&0),
            "at least one worker"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for kind in WorkloadKind::all() {
            assert_eq!(kind.name().parse::<WorkloadKind>().unwrap(), kind);
        }
        assert!("nothing".parse::<WorkloadKind>().is_err());
    }

    #[test]
    fn workers_multiply_only_who_has_them() {
        let plan = ParallelPlan {
            workloads: Vec::new(),
            sides: vec![SideKind::Flat, SideKind::Committer],
            workers: vec![1, 4],
            rounds: 1,
            count: 1,
            seed: 1,
            jit: JitSwitch::Off,
            fork: Fork::Osaka,
        };
        let names: Vec<_> = plan.side_ids().into_iter().map(SideId::name).collect();
        assert_eq!(
            names,
            [
                "flat",
                "list + ordered committer, 1 + 1",
                "list + ordered committer, 4 + 1"
            ]
        );
    }
}
