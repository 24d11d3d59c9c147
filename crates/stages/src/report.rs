//! What a run did and where its time went.

use std::time::Duration;

use rapid_chain::{Effort, ImportWork};

use crate::Counts;

/// A step of a run with the time it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepTime {
    /// Its name.
    pub name: &'static str,
    /// Wall time while it was at work, and CPU time of the threads that did it. The steps overlap: the sum of their wall
    /// times is not that of the run.
    pub effort: Effort,
}

/// What a run did and where its time went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How much.
    pub counts: Counts,
    /// How long.
    pub elapsed: Duration,
    /// Time of each step, in the order in which a block passes them.
    pub steps: Vec<StepTime>,
}

/// The parts a report is made of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Efforts {
    pub(crate) bodies: Effort,
    pub(crate) senders: Effort,
    pub(crate) import: ImportWork,
    /// The pipeline waiting for history at the end of a batch.
    pub(crate) waiting: Effort,
}

impl Report {
    pub(crate) fn new(counts: Counts, elapsed: Duration, efforts: &Efforts) -> Self {
        let steps = [
            ("reading and decoding", efforts.bodies),
            ("sender recovery", efforts.senders),
            ("execution", efforts.import.execution),
            ("state root", efforts.import.root),
            ("log and state commit", efforts.import.commit),
            ("history", efforts.import.history),
            ("waiting for history", efforts.waiting),
        ];
        Self {
            counts,
            elapsed,
            steps: steps
                .into_iter()
                .map(|(name, effort)| StepTime { name, effort })
                .collect(),
        }
    }

    /// Millions of gas per second.
    #[must_use]
    pub fn mgas_per_second(&self) -> f64 {
        self.counts.mgas_per_second(self.elapsed)
    }
}
