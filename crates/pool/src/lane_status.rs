//! What the lanes hold and how they were served, for whoever asks.

use std::time::Duration;

use crate::{Lane, LaneWaits, Pool, shared::Shared};

/// One lane, now and since the pool was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneStatus {
    /// Which.
    pub lane: Lane,
    /// Transactions that wait to be taken.
    pub depth: usize,
    /// Transactions counted against the lane's limit: those that wait, and those taken and not published yet.
    pub pending: usize,
    /// Transactions taken.
    pub served: u64,
    /// Of those, taken before a higher lane because the lane's share asked for it.
    pub served_by_share: u64,
    /// Of those, taken before a higher lane because the lane had not been served for its ageing bound.
    pub served_by_age: u64,
    /// Transactions taken from another lane while this one had something.
    pub passed_over: u64,
    /// How long what was taken had waited for it.
    pub waits: LaneWaits,
    /// How often in a row it may be passed over.
    pub passed_over_max: u32,
    /// How long it may be passed over.
    pub ageing: Duration,
}

impl Pool {
    /// Every lane, highest first. The counts of a lane are of about one moment.
    #[must_use]
    pub fn lanes(&self) -> Vec<LaneStatus> {
        Lane::ALL
            .into_iter()
            .map(|lane| self.shared.lane_status(lane))
            .collect()
    }
}

impl Shared {
    pub(crate) fn lane_status(&self, lane: Lane) -> LaneStatus {
        let meter = &self.meters[lane.index()];
        LaneStatus {
            lane,
            depth: self.queues[lane.index()].len() + meter.in_front(),
            pending: self.tally.lane(lane).count(),
            served: meter.served(),
            served_by_share: meter.served_by_share(),
            served_by_age: meter.served_by_age(),
            passed_over: meter.passed_over(),
            waits: meter.waits(),
            passed_over_max: self.config.lanes.passed_over_max[lane.index()],
            ageing: self.config.lanes.ageing(lane),
        }
    }
}
