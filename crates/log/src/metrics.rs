//! What the log reports.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// Handles, looked up once: the appender must not pay for a look-up per record.
#[derive(Clone)]
pub(crate) struct LogMetrics {
    pub(crate) append_seconds: Histogram,
    pub(crate) sync_seconds: Histogram,
    pub(crate) unsynced_bytes: Gauge,
    pub(crate) stalls: Counter,
    pub(crate) segment_waits: Counter,
    pub(crate) segments: Gauge,
    pub(crate) free_bytes: Gauge,
    pub(crate) durable_mini_block: Gauge,
}

impl LogMetrics {
    pub(crate) fn new() -> Self {
        Self {
            append_seconds: histogram!("rapid_reth_log_append_seconds"),
            sync_seconds: histogram!("rapid_reth_log_sync_seconds"),
            unsynced_bytes: gauge!("rapid_reth_log_unsynced_bytes"),
            stalls: counter!("rapid_reth_log_stalls_total"),
            segment_waits: counter!("rapid_reth_log_segment_waits_total"),
            segments: gauge!("rapid_reth_log_segments"),
            free_bytes: gauge!("rapid_reth_log_free_bytes"),
            durable_mini_block: gauge!("rapid_reth_log_durable_mini_block"),
        }
    }
}

impl std::fmt::Debug for LogMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogMetrics").finish_non_exhaustive()
    }
}
