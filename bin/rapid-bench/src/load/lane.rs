//! One connection's requests, one after the other.

use super::{Confirm, Request, Submit, answer, pace::Tickets};
use crate::{
    measure::ErrorTally,
    transport::{Connection, Endpoint},
};
use std::time::{Duration, Instant};

/// How long a receipt is asked for before the transaction counts as lost.
const RECEIPT_PATIENCE: Duration = Duration::from_secs(30);

/// What a lane does.
#[derive(Debug)]
pub(super) struct LanePlan {
    /// Index of the lane.
    pub(super) lane: usize,
    /// Where to connect again after a broken connection.
    pub(super) endpoint: Endpoint,
    /// What to send.
    pub(super) requests: Vec<Request>,
    /// The submitting method.
    pub(super) submit: Submit,
    /// What ends a latency.
    pub(super) confirm: Confirm,
    /// No request starts after this.
    pub(super) deadline: Option<Instant>,
}

/// Where a transaction is in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of the lane.
    pub(super) lane: usize,
    /// Index of the request in the lane.
    pub(super) request: usize,
    /// Index of the transaction in the request.
    pub(super) item: usize,
}

/// A transaction that the endpoint took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    /// Which one.
    pub(super) place: Place,
    /// The instant its latency counts from.
    pub(super) submitted: Instant,
}

/// What a lane found; lanes are merged into one.
#[derive(Debug, Default)]
pub(super) struct LaneOutcome {
    /// Transactions sent.
    pub(super) sent: usize,
    /// Transactions taken.
    pub(super) accepted: Vec<Accepted>,
    /// Latencies of those whose latency ends in the lane.
    pub(super) latencies: Vec<Duration>,
    /// Intended to actual submission, one per request.
    pub(super) send_delays: Vec<Duration>,
    /// Errors by kind.
    pub(super) errors: ErrorTally,
}

impl LaneOutcome {
    /// Adds what another lane found.
    pub(super) fn merge(&mut self, other: Self) {
        self.sent += other.sent;
        self.accepted.extend(other.accepted);
        self.latencies.extend(other.latencies);
        self.send_delays.extend(other.send_delays);
        self.errors.merge(other.errors);
    }
}

/// Sends the lane's requests; a broken connection is counted, opened again, and ends the lane if that fails.
pub(super) async fn run(plan: LanePlan, mut connection: Connection, tickets: Tickets) -> LaneOutcome {
    let mut outcome = LaneOutcome::default();
    for (index, request) in plan.requests.iter().enumerate() {
        let submitted = tickets.wait(index).await;
        let now = Instant::now();
        if plan.deadline.is_some_and(|deadline| now >= deadline) {
            break;
        }
        outcome.send_delays.push(now.saturating_duration_since(submitted));
        outcome.sent += request.len;
        match exchange(&plan, &mut connection, request, &mut outcome.errors).await {
            Ok(taken) => {
                let latency = submitted.elapsed();
                outcome.latencies.extend(taken.iter().map(|_| latency));
                outcome.accepted.extend(taken.into_iter().map(|item| Accepted {
                    place: Place {
                        lane: plan.lane,
                        request: index,
                        item,
                    },
                    submitted,
                }));
            }
            Err(error) => {
                outcome.errors.add(&format!("connection: {error}"));
                match Connection::open(&plan.endpoint).await {
                    Ok(again) => connection = again,
                    Err(_) => {
                        outcome.errors.add("endpoint does not take connections any more");
                        break;
                    }
                }
            }
        }
    }
    outcome
}

/// Sends one request and waits for what ends its latency; returns the transactions that were taken.
async fn exchange(
    plan: &LanePlan,
    connection: &mut Connection,
    request: &Request,
    errors: &mut ErrorTally,
) -> eyre::Result<Vec<usize>> {
    let answer = connection.exchange(request.body.clone()).await?;
    let taken = answer::judge(request, plan.submit, &answer, errors);
    if plan.confirm == Confirm::Receipt && !taken.is_empty() {
        let deadline = Instant::now() + RECEIPT_PATIENCE;
        loop {
            let answer = connection.exchange(request.receipt.clone()).await?;
            if answer::has_receipt(&answer) {
                break;
            }
            if Instant::now() > deadline {
                errors.add("no receipt in time");
                break;
            }
        }
    }
    Ok(taken)
}
