//! Metrics of the loop and its pipeline. Handles are made once: the loop only records.
//!
//! | name | meaning |
//! |---|---|
//! | `rapid_reth_sequencer_mini_block_interval_seconds` | between the cuts of successive mini-blocks |
//! | `rapid_reth_sequencer_jitter_seconds` | cut minus due time, for cuts by deadline |
//! | `rapid_reth_sequencer_seal_seconds` | encoding and hashing of a mini-block |
//! | `rapid_reth_sequencer_commit_seconds` | from the cut to publication: queue, encoding, log, durability |
//! | `rapid_reth_sequencer_block_seconds` | computing roots and header after the last mini-block of a block |
//! | `rapid_reth_sequencer_mini_block_latency_seconds` | arrival of a transaction to its publication, first of each mini-block |
//! | `rapid_reth_sequencer_cuts_total{reason}` | mini-blocks by what cut them |
//! | `rapid_reth_sequencer_deadlines_total` | deadlines of mini-blocks that have passed, with or without anything to cut |
//! | `rapid_reth_sequencer_mini_block_target_seconds` | between deadlines: fixed, or what `auto` has chosen |
//! | `rapid_reth_sequencer_deadlines_missed_total` | deadlines skipped because a transaction or the commit queue took too long |
//! | `rapid_reth_sequencer_commit_queue_mini_blocks` | cut and not yet committed |
//! | `rapid_reth_sequencer_finaliser_queue_mini_blocks` | published, and not yet in the trie |
//! | `rapid_reth_sequencer_pool_queue_mini_blocks` | published, and not yet told the pool |
//! | `rapid_reth_sequencer_pressure_seconds` | for how long only urgent lanes and late ones were served, since committer or finaliser were behind |
//! | `rapid_reth_sequencer_transactions_total` | executed |
//! | `rapid_reth_sequencer_discarded_total` | popped, but not executable |
//! | `rapid_reth_sequencer_timestamp_waits_total` | block openings that waited for the next second |
//! | `rapid_reth_sequencer_held_transactions` | waiting for the hash of the parent |
//! | `rapid_reth_sequencer_production_paused` | 1 while disk or memory is nearly full |
//! | `rapid_reth_sequencer_shadow_mini_blocks_total` | mini-blocks that were executed again and compared |
//! | `rapid_reth_sequencer_shadow_mismatches_total` | of those, that differ: an alarm |
//! | `rapid_reth_sequencer_shadow_skipped_total` | mini-blocks that were chosen for it and passed over |
//! | `rapid_reth_sequencer_rests_total` | mini-blocks after which production rested because memory is low |

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::cut::CutReason;

#[derive(Clone, Debug)]
pub(crate) struct LoopMetrics {
    pub(crate) interval: Histogram,
    pub(crate) jitter: Histogram,
    pub(crate) cuts: [Counter; CutReason::ALL.len()],
    pub(crate) deadlines: Counter,
    pub(crate) target_interval: Gauge,
    pub(crate) deadlines_missed: Counter,
    pub(crate) commit_queue: Gauge,
    pub(crate) pressure: Histogram,
    pub(crate) transactions: Counter,
    pub(crate) discarded: Counter,
    pub(crate) timestamp_waits: Counter,
    pub(crate) held: Gauge,
    pub(crate) paused: Gauge,
    pub(crate) rests: Counter,
}

impl LoopMetrics {
    pub(crate) fn new(target_interval: Duration) -> Self {
        let target = gauge!("rapid_reth_sequencer_mini_block_target_seconds");
        target.set(target_interval.as_secs_f64());
        Self {
            target_interval: target,
            deadlines: counter!("rapid_reth_sequencer_deadlines_total"),
            interval: histogram!("rapid_reth_sequencer_mini_block_interval_seconds"),
            jitter: histogram!("rapid_reth_sequencer_jitter_seconds"),
            cuts: CutReason::ALL
                .map(|reason| counter!("rapid_reth_sequencer_cuts_total", "reason" => reason.name())),
            deadlines_missed: counter!("rapid_reth_sequencer_deadlines_missed_total"),
            commit_queue: gauge!("rapid_reth_sequencer_commit_queue_mini_blocks"),
            pressure: histogram!("rapid_reth_sequencer_pressure_seconds"),
            transactions: counter!("rapid_reth_sequencer_transactions_total"),
            discarded: counter!("rapid_reth_sequencer_discarded_total"),
            timestamp_waits: counter!("rapid_reth_sequencer_timestamp_waits_total"),
            held: gauge!("rapid_reth_sequencer_held_transactions"),
            paused: gauge!("rapid_reth_sequencer_production_paused"),
            rests: counter!("rapid_reth_sequencer_rests_total"),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct CommitMetrics {
    pub(crate) seal: Histogram,
    pub(crate) commit: Histogram,
    pub(crate) latency: Histogram,
    pub(crate) finaliser_queue: Gauge,
    pub(crate) pool_queue: Gauge,
}

impl CommitMetrics {
    pub(crate) fn new() -> Self {
        Self {
            seal: histogram!("rapid_reth_sequencer_seal_seconds"),
            commit: histogram!("rapid_reth_sequencer_commit_seconds"),
            latency: histogram!("rapid_reth_sequencer_mini_block_latency_seconds"),
            finaliser_queue: gauge!("rapid_reth_sequencer_finaliser_queue_mini_blocks"),
            pool_queue: gauge!("rapid_reth_sequencer_pool_queue_mini_blocks"),
        }
    }
}
