//! The executors that take turns.
//!
//! A side executes the whole block from the same state, makes receipts, and leaves the values after it where they can
//! be read. What it must set up for that is not timed; what is compared with what the block must come to is not either.

mod committer;
mod flat;
mod production;
mod revm_state;
mod validation;

use super::block::{Block, Expected};
use crate::clock::Elapsed;
use alloy_eip7928::{BlockAccessList, compute_block_access_list_hash};
use alloy_primitives::B256;
use clap::ValueEnum;
use rapid_evm::Compiler;
use rapid_executor::BlockHint;
use serde::Serialize;

pub(crate) use committer::{Parts, parts};
pub(super) use revm_state::list_of;

/// Which executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SideKind {
    /// revm, one transaction after the other, over revm's `State` with its bundle
    Revm,
    /// The sequential executor, on the state in place
    Flat,
    /// The sequential executor, on a draft
    Draft,
    /// revm's workers over the block access list, and one thread that commits in order
    Committer,
    /// Parallel production, which chooses the order
    Production,
    /// Parallel validation with the block's state diff as its hint
    Validation,
}

/// One executor with so many workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct SideId {
    /// Which executor.
    pub(crate) kind: SideKind,
    /// Threads that execute; 1 where there is no choice.
    pub(crate) workers: usize,
}

impl SideKind {
    /// Whether it executes on as many threads as it is told.
    pub(crate) const fn has_workers(self) -> bool {
        matches!(self, Self::Committer | Self::Production | Self::Validation)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Revm => "revm State",
            Self::Flat => "flat",
            Self::Draft => "draft",
            Self::Committer => "list + ordered committer",
            Self::Production => "production",
            Self::Validation => "validation",
        }
    }
}

impl SideId {
    /// An executor without a choice of workers.
    pub(crate) const fn sequential(kind: SideKind) -> Self {
        Self { kind, workers: 1 }
    }

    /// Its name in tables.
    pub(crate) fn name(self) -> String {
        let name = self.kind.name();
        match (self.kind, self.workers) {
            (kind, _) if !kind.has_workers() => name.to_owned(),
            (SideKind::Committer, workers) => format!("{name}, {workers} + 1"),
            (_, workers) => format!("{name} {workers}"),
        }
    }
}

/// One execution of the block.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Run {
    /// Wall time in nanoseconds.
    pub(crate) wall_ns: f64,
    /// CPU time of all threads in nanoseconds.
    pub(crate) cpu_ns: f64,
    /// Executions per transaction, where some are executed more than once.
    pub(crate) executions: Option<f64>,
    /// Of the CPU time that of the thread that hands out, where one does nothing else.
    pub(crate) dispatcher_ns: Option<f64>,
}

impl Run {
    /// A run in which each transaction was executed once.
    fn of(elapsed: Elapsed) -> Self {
        Self {
            wall_ns: elapsed.wall.as_secs_f64() * 1e9,
            cpu_ns: elapsed.cpu.as_secs_f64() * 1e9,
            executions: None,
            dispatcher_ns: None,
        }
    }
}

/// What a block is said to do.
#[derive(Clone, Debug)]
pub(crate) struct Hint {
    /// What is said.
    pub(crate) told: BlockHint,
    /// Whether it is true.
    pub(crate) is_true: bool,
}

/// What a header or a peer says of a block, if it is the truth.
pub(crate) fn told_of(expected: &Expected) -> BlockHint {
    match &expected.access_list {
        Some(list) => BlockHint::Declared(list.clone()),
        None => BlockHint::Advisory(expected.diff.clone()),
    }
}

/// What every side gets.
#[derive(Debug)]
pub(crate) struct Subject {
    /// The block.
    pub(crate) block: Block,
    /// What it comes to in its own order.
    pub(crate) expected: Expected,
    /// What its transactions access, as revm lists it (EIP-7928).
    pub(crate) list: BlockAccessList,
    /// The hash that a header would have of the list.
    pub(crate) list_hash: B256,
    /// What validation is told.
    pub(crate) hint: Hint,
    /// Where our own executors take code from.
    pub(crate) compiler: Compiler,
}

impl Subject {
    /// A block with everything that is known of it from executing it once.
    ///
    /// # Errors
    /// If it cannot be executed.
    pub(crate) fn of(block: Block, compiler: Compiler) -> eyre::Result<Self> {
        let list = list_of(&block)?;
        let expected = block.expected()?;
        Ok(Self {
            hint: Hint {
                told: told_of(&expected),
                is_true: true,
            },
            expected,
            list_hash: compute_block_access_list_hash(&list),
            list,
            block,
            compiler,
        })
    }
}

/// An executor.
pub(crate) trait Side {
    /// Executes the block once, and compares what came of it.
    ///
    /// # Errors
    /// If it cannot, or what came of it is wrong.
    fn run(&mut self, subject: &Subject) -> eyre::Result<Run>;
}

/// An executor with its threads.
///
/// # Errors
/// If a thread does not start.
pub(crate) fn start(id: SideId) -> eyre::Result<Box<dyn Side>> {
    Ok(match id.kind {
        SideKind::Revm => Box::new(revm_state::RevmState),
        SideKind::Flat => Box::new(flat::Flat),
        SideKind::Draft => Box::new(flat::OnDraft),
        SideKind::Committer => Box::new(committer::OrderedCommitter::start(id.workers)?),
        SideKind::Production => Box::new(production::InProduction::new(id.workers)),
        SideKind::Validation => Box::new(validation::Validation::start(id.workers)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parallel::block::Fork, scenario::ScenarioKind};

    /// Every side compares its own outcome with what the block must come to.
    #[test]
    fn all_sides_come_to_the_same() {
        let scenarios = ScenarioKind::value_variants().iter().copied();
        let forks = Fork::value_variants();
        for (scenario, &fork) in scenarios.flat_map(|kind| forks.iter().map(move |fork| (kind, fork))) {
            let block = Block::draw(scenario, scenario.count(120), 5, fork).unwrap();
            let subject = Subject::of(block, Compiler::none()).unwrap();
            for &kind in SideKind::value_variants() {
                let workers = if kind.has_workers() {
                    [1, 2].as_slice()
                } else {
                    &[1]
                };
                for &workers in workers {
                    let id = SideId { kind, workers };
                    let mut side = start(id).unwrap();
                    for _ in 0..2 {
                        side.run(&subject)
                            .unwrap_or_else(|error| panic!("{scenario:?}, {fork:?}, {}: {error}", id.name()));
                    }
                }
            }
        }
    }

    #[test]
    fn a_wrong_outcome_is_an_error() {
        let block = Block::draw(ScenarioKind::Erc20, 20, 5, Fork::Osaka).unwrap();
        let mut subject = Subject::of(block, Compiler::none()).unwrap();
        subject.expected.receipts[7].success = false;
        for kind in [
            SideKind::Revm,
            SideKind::Flat,
            SideKind::Draft,
            SideKind::Committer,
        ] {
            let mut side = start(SideId { kind, workers: 2 }).unwrap();
            assert!(side.run(&subject).is_err(), "{kind:?}");
        }
    }
}
