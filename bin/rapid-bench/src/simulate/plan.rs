//! What is simulated, and how.

use crate::{pipeline::JitSwitch, scenario::ScenarioKind};
use eyre::ensure;
use serde::Serialize;

/// What is simulated, and how.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SimulatePlan {
    /// Which blocks.
    pub(crate) workloads: Vec<ScenarioKind>,
    /// Numbers of workers to simulate.
    pub(crate) workers: Vec<usize>,
    /// Numbers of workers to measure as well.
    pub(crate) measure_workers: Vec<usize>,
    /// Alternating rounds of the measurement.
    pub(crate) rounds: usize,
    /// Transactions of a block of short ones.
    pub(crate) count: usize,
    /// Decides accounts and draws.
    pub(crate) seed: u64,
    /// Whether our own executors compile contracts.
    pub(crate) jit: JitSwitch,
    /// Given instead of measured.
    pub(crate) given: Given,
}

/// Overheads that are given instead of measured, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Given {
    /// Of production.
    pub(crate) production_ns: Option<f64>,
    /// Of handing out.
    pub(crate) dispatch_ns: Option<f64>,
    /// Of validation.
    pub(crate) validation_ns: Option<f64>,
    /// Of the serial part of validation.
    pub(crate) validation_serial_ns: Option<f64>,
    /// Of waiting at a lane.
    pub(crate) park_ns: f64,
    /// Of Block-STM.
    pub(crate) block_stm_ns: f64,
}

impl SimulatePlan {
    /// # Errors
    /// If a number leaves nothing to simulate.
    pub(crate) fn check(&self) -> eyre::Result<()> {
        ensure!(self.rounds > 0, "at least one round");
        ensure!(self.count > 0, "at least one transaction");
        let mut workers = self.workers.iter().chain(&self.measure_workers);
        ensure!(
            !self.workers.is_empty() && workers.all(|&workers| workers > 0),
            "at least one worker"
        );
        Ok(())
    }
}
