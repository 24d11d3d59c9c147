//! What history reports.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// Handles, looked up once.
#[derive(Clone)]
pub(crate) struct HistoryMetrics {
    pub(crate) append_seconds: Histogram,
    pub(crate) sync_seconds: Histogram,
    /// Values from before changes that were stored.
    pub(crate) changes_total: Counter,
    pub(crate) head_block: Gauge,
    pub(crate) durable_block: Gauge,
}

impl HistoryMetrics {
    pub(crate) fn new() -> Self {
        Self {
            append_seconds: histogram!("rapid_reth_history_append_seconds"),
            sync_seconds: histogram!("rapid_reth_history_sync_seconds"),
            changes_total: counter!("rapid_reth_history_changes_total"),
            head_block: gauge!("rapid_reth_history_head_block"),
            durable_block: gauge!("rapid_reth_history_durable_block"),
        }
    }
}

impl std::fmt::Debug for HistoryMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HistoryMetrics").finish_non_exhaustive()
    }
}
