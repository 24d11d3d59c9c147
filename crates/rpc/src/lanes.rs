//! `realtime_lanes`: the lanes of the pool. The `txpool` methods have reth's shape, which has no place for them.

use std::{sync::Arc, time::Duration};

use jsonrpsee::{core::RpcResult as Answer, proc_macros::rpc};
use rapid_pool::LaneStatus;
use serde::Serialize;

use crate::eth::context::EthContext;

/// One lane of the answer. Counts and times are since the node's start; times are in microseconds, percentiles rounded up to
/// the next of a fixed set of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LaneAnswer {
    /// `system`, `critical`, `paid`, `normal` or `bulk`.
    lane: &'static str,
    /// Transactions that wait to be executed.
    depth: usize,
    /// Transactions counted against the lane's limit: those that wait, and those executed and not published yet.
    pending: usize,
    /// Transactions taken to be executed.
    served: u64,
    /// Of those, taken before a higher lane because the lane's share asked for it.
    served_by_share: u64,
    /// Of those, taken before a higher lane because the lane had not been served for its ageing bound.
    served_by_age: u64,
    /// Transactions taken from another lane while this one had something.
    passed_over: u64,
    /// From where a transaction could be executed to where it was taken: median.
    wait_p50_us: u128,
    /// 99th percentile.
    wait_p99_us: u128,
    /// The longest.
    wait_max_us: u128,
    /// How many transactions may be taken from higher lanes in a row (`--lane.share`); 0 for the highest.
    passed_over_max: u32,
    /// How long the lane may be passed over (`--lane.ageing`); 0 for the highest.
    ageing_us: u128,
}

/// The pool's lanes.
#[rpc(server, namespace = "realtime")]
pub trait RealtimeLanes {
    /// Every lane, highest first.
    #[method(name = "lanes")]
    fn lanes(&self) -> Answer<Vec<LaneAnswer>>;
}

/// Answers [`RealtimeLanesServer`].
#[derive(Clone, Debug)]
pub(crate) struct LaneMethods(pub(crate) Arc<EthContext>);

impl RealtimeLanesServer for LaneMethods {
    fn lanes(&self) -> Answer<Vec<LaneAnswer>> {
        Ok(self.0.pool.lanes().iter().map(LaneAnswer::of).collect())
    }
}

impl LaneAnswer {
    fn of(status: &LaneStatus) -> Self {
        let highest = status.lane.index() == 0;
        Self {
            lane: status.lane.name(),
            depth: status.depth,
            pending: status.pending,
            served: status.served,
            served_by_share: status.served_by_share,
            served_by_age: status.served_by_age,
            passed_over: status.passed_over,
            wait_p50_us: status.waits.percentile(50).as_micros(),
            wait_p99_us: status.waits.percentile(99).as_micros(),
            wait_max_us: status.waits.longest().as_micros(),
            passed_over_max: if highest { 0 } else { status.passed_over_max },
            ageing_us: if highest { Duration::ZERO } else { status.ageing }.as_micros(),
        }
    }
}
