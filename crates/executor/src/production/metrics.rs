//! Metrics of production.

use metrics::{Counter, Gauge, counter, gauge};

/// Handles, made once.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) lost: Counter,
    pub(crate) alone: [Counter; 2],
    pub(crate) lanes: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let alone = |reason| counter!("rapid_reth_executor_alone_total", "reason" => reason);
        Self {
            lost: counter!("rapid_reth_executor_lost_races_total"),
            alone: [alone("beneficiary"), alone("lost_races")],
            lanes: gauge!("rapid_reth_executor_lanes"),
        }
    }
}
