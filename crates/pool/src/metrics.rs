//! Metrics: reth's names for what its dashboards show, ours for the rest.
//!
//! | name | type | what |
//! |---|---|---|
//! | `rapid_reth_pool_lane_transactions{lane}` | gauge | transactions of the lane in the pool |
//! | `rapid_reth_pool_lane_depth_transactions{lane}` | gauge | of those, not taken by the hot loop yet |
//! | `rapid_reth_pool_lane_served_total{lane,turn}` | counter | transactions taken, by why the lane was asked: its `rank`, its `share`, or its `age` |
//! | `rapid_reth_pool_lane_passed_over_total{lane}` | counter | transactions taken from another lane while this one had something |
//! | `rapid_reth_pool_lane_wait_seconds{lane}` | histogram | from where a transaction could be taken to where it was: `_bucket{le}`, `_count`, `_sum` |
//! | `rapid_reth_pool_lane_longest_wait_seconds{lane}` | gauge | the longest of these since the start |
//! | `rapid_reth_pool_admitted_total{lane}` | counter | transactions admitted |
//! | `rapid_reth_pool_rejected_total{reason}` | counter | submissions refused |
//! | `rapid_reth_pool_dropped_total{reason}` | counter | transactions that left without being included |
//! | `rapid_reth_pool_discarded_total{reason}` | counter | transactions the hot loop could not execute |
//! | `rapid_reth_pool_recovery_queued` | gauge | transactions in recovery batches |
//! | `reth_transaction_pool_*` | | see `PoolMetrics` |

use std::sync::atomic::{AtomicUsize, Ordering};

use alloy_eips::eip2718::Typed2718;
use metrics::{Counter, Gauge, counter, gauge};

use crate::{
    DiscardReason, Lane, PoolError, PooledTransaction,
    lane::LANES,
    lane_meter::WAIT_BOUNDS,
    lane_status::LaneStatus,
    shared::{DropReason, Shared},
    tally::Place,
};

/// Transaction types counted, by type byte.
const TYPES: [&str; 5] = [
    "reth_transaction_pool_total_legacy_transactions",
    "reth_transaction_pool_total_eip2930_transactions",
    "reth_transaction_pool_total_eip1559_transactions",
    "reth_transaction_pool_total_eip4844_transactions",
    "reth_transaction_pool_total_eip7702_transactions",
];

/// Handles, made once: the recorder must be installed before the pool is.
pub(crate) struct PoolMetrics {
    by_type: [AtomicUsize; TYPES.len()],
    types: [Gauge; TYPES.len()],
    lanes: [LaneMetrics; LANES],
    admitted: [Counter; LANES],
    inserted: Counter,
    removed: Counter,
    invalid: Counter,
    queued_evicted: Counter,
    pending_transactions: Gauge,
    pending_bytes: Gauge,
    base_fee_transactions: Gauge,
    base_fee_bytes: Gauge,
    queued_transactions: Gauge,
    queued_bytes: Gauge,
    all: [Gauge; 3],
}

impl std::fmt::Debug for PoolMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolMetrics").finish_non_exhaustive()
    }
}

impl PoolMetrics {
    pub(crate) fn new() -> Self {
        Self {
            by_type: Default::default(),
            types: TYPES.map(|name| gauge!(name)),
            lanes: Lane::ALL.map(LaneMetrics::new),
            admitted: Lane::ALL.map(|lane| counter!("rapid_reth_pool_admitted_total", "lane" => lane.name())),
            inserted: counter!("reth_transaction_pool_inserted_transactions"),
            removed: counter!("reth_transaction_pool_removed_transactions"),
            invalid: counter!("reth_transaction_pool_invalid_transactions"),
            queued_evicted: counter!("reth_transaction_pool_queued_transactions_evicted"),
            pending_transactions: gauge!("reth_transaction_pool_pending_pool_transactions"),
            pending_bytes: gauge!("reth_transaction_pool_pending_pool_size_bytes"),
            base_fee_transactions: gauge!("reth_transaction_pool_basefee_pool_transactions"),
            base_fee_bytes: gauge!("reth_transaction_pool_basefee_pool_size_bytes"),
            queued_transactions: gauge!("reth_transaction_pool_queued_pool_transactions"),
            queued_bytes: gauge!("reth_transaction_pool_queued_pool_size_bytes"),
            all: [
                gauge!("reth_transaction_pool_all_transactions_by_hash"),
                gauge!("reth_transaction_pool_all_transactions_by_id"),
                gauge!("reth_transaction_pool_all_transactions_by_all_senders"),
            ],
        }
    }

    pub(crate) fn inserted(&self, transaction: &PooledTransaction) {
        self.inserted.increment(1);
        self.admitted[transaction.lane().index()].increment(1);
        if let Some(count) = self.by_type.get(usize::from(transaction.transaction().ty())) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn removed(&self, transaction: &PooledTransaction, reason: DropReason) {
        self.removed.increment(1);
        if let Some(count) = self.by_type.get(usize::from(transaction.transaction().ty())) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        if reason == DropReason::Expired {
            self.queued_evicted.increment(1);
        }
        if reason != DropReason::Included {
            counter!("rapid_reth_pool_dropped_total", "reason" => reason.name()).increment(1);
        }
    }

    pub(crate) fn rejected(&self, error: &PoolError) {
        if error.is_malformed() {
            self.invalid.increment(1);
        }
        counter!("rapid_reth_pool_rejected_total", "reason" => error.reason()).increment(1);
    }

    pub(crate) fn discarded(&self, reason: DiscardReason) {
        counter!("rapid_reth_pool_discarded_total", "reason" => reason.name()).increment(1);
    }

    /// Sets the gauges; called once per mini-block rather than at each transaction.
    pub(crate) fn report(&self, shared: &Shared) {
        for lane in Lane::ALL {
            self.lanes[lane.index()].report(&shared.lane_status(lane));
        }
        let tally = &shared.tally;
        for (gauge, count) in self.types.iter().zip(&self.by_type) {
            gauge.set(count.load(Ordering::Relaxed) as f64);
        }
        let (base_fee, queued) = (tally.at(Place::BaseFee), tally.at(Place::Queued));
        self.pending_transactions.set(tally.pending_count() as f64);
        self.pending_bytes.set(tally.pending_bytes() as f64);
        self.base_fee_transactions.set(base_fee.count() as f64);
        self.base_fee_bytes.set(base_fee.bytes() as f64);
        self.queued_transactions.set(queued.count() as f64);
        self.queued_bytes.set(queued.bytes() as f64);
        let all = tally.pending_count() + base_fee.count() + queued.count();
        for gauge in &self.all {
            gauge.set(all as f64);
        }
    }
}

/// Handles of one lane.
struct LaneMetrics {
    pending: Gauge,
    depth: Gauge,
    by_rank: Counter,
    by_share: Counter,
    by_age: Counter,
    passed_over: Counter,
    /// A histogram's series, cumulative as Prometheus has them. Set from counts that the hot loop makes: what it does for
    /// each transaction allocates nothing.
    wait_buckets: [Counter; WAIT_BOUNDS.len() + 1],
    wait_count: Counter,
    wait_sum: Gauge,
    longest_wait: Gauge,
}

impl LaneMetrics {
    fn new(lane: Lane) -> Self {
        let name = lane.name();
        let served = |turn: &'static str| counter!("rapid_reth_pool_lane_served_total", "lane" => name, "turn" => turn);
        let bucket = |range: usize| {
            let end = WAIT_BOUNDS
                .get(range)
                .map_or_else(|| "+Inf".to_owned(), |bound| bound.as_secs_f64().to_string());
            counter!("rapid_reth_pool_lane_wait_seconds_bucket", "lane" => name, "le" => end)
        };
        Self {
            pending: gauge!("rapid_reth_pool_lane_transactions", "lane" => name),
            depth: gauge!("rapid_reth_pool_lane_depth_transactions", "lane" => name),
            by_rank: served("rank"),
            by_share: served("share"),
            by_age: served("age"),
            passed_over: counter!("rapid_reth_pool_lane_passed_over_total", "lane" => name),
            wait_buckets: std::array::from_fn(bucket),
            wait_count: counter!("rapid_reth_pool_lane_wait_seconds_count", "lane" => name),
            wait_sum: gauge!("rapid_reth_pool_lane_wait_seconds_sum", "lane" => name),
            longest_wait: gauge!("rapid_reth_pool_lane_longest_wait_seconds", "lane" => name),
        }
    }

    fn report(&self, status: &LaneStatus) {
        self.pending.set(status.pending as f64);
        self.depth.set(status.depth as f64);
        let out_of_rank = status.served_by_share + status.served_by_age;
        self.by_rank.absolute(status.served.saturating_sub(out_of_rank));
        self.by_share.absolute(status.served_by_share);
        self.by_age.absolute(status.served_by_age);
        self.passed_over.absolute(status.passed_over);
        let mut cumulative = 0;
        for (counter, count) in self.wait_buckets.iter().zip(&status.waits.counts) {
            cumulative += count;
            counter.absolute(cumulative);
        }
        self.wait_count.absolute(cumulative);
        self.wait_sum.set(status.waits.total.as_secs_f64());
        self.longest_wait.set(status.waits.longest.as_secs_f64());
    }
}
