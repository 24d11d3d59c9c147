//! When requests are sent: as soon as the last one is answered, or by a schedule.

use super::Request;
use crate::transport::Connection;
use serde::{Serialize, Serializer};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// The rule by which a lane starts its next request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Closed loop: when the previous request of the lane is done, after a pause.
    Closed {
        /// Pause between the end of a request and the next one.
        pause: Duration,
    },
    /// Open loop: at fixed times whatever the endpoint does; latency counts from the scheduled time.
    Open {
        /// Transactions per second over all lanes.
        rate: f64,
    },
}

impl Serialize for Pace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Closed { pause } if pause.is_zero() => serializer.serialize_str("closed"),
            Self::Closed { pause } => serializer.serialize_str(&format!(
                "closed, {} between requests",
                humantime::format_duration(*pause)
            )),
            Self::Open { rate } => serializer.serialize_str(&format!("open, {rate} transactions/s")),
        }
    }
}

/// What a lane waits for before each request.
#[derive(Debug)]
pub(super) enum Tickets {
    /// A pause.
    Closed(Duration),
    /// The pacing thread's permits, one per request, and the time each request is due.
    Open {
        /// Released by the pacing thread when the request is due.
        permits: Arc<Semaphore>,
        /// When the lane's first request is due.
        first: Instant,
        /// Distance between the lane's requests.
        interval: Duration,
    },
}

impl Tickets {
    /// Waits until request `index` of the lane may start; returns the instant its latency counts from.
    pub(super) async fn wait(&self, index: usize) -> Instant {
        match self {
            Self::Closed(pause) => {
                if !pause.is_zero() && index > 0 {
                    tokio::time::sleep(*pause).await;
                }
                Instant::now()
            }
            Self::Open {
                permits,
                first,
                interval,
            } => {
                permits
                    .acquire()
                    .await
                    .expect("the semaphore is never closed")
                    .forget();
                *first + interval.mul_f64(index as f64)
            }
        }
    }
}

/// The pacing thread of an open loop; stopped and joined when dropped.
///
/// A thread of its own, since tokio's timer has steps of a millisecond.
#[derive(Debug)]
pub(super) struct Pacer {
    tickets: Vec<Tickets>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pace {
    /// Starts pacing `lanes`, the first request at `start`.
    pub(super) fn start(self, lanes: &[(Connection, Vec<Request>)], start: Instant) -> Pacer {
        let stop = Arc::new(AtomicBool::new(false));
        match self {
            Self::Closed { pause } => Pacer {
                tickets: lanes.iter().map(|_| Tickets::Closed(pause)).collect(),
                stop,
                thread: None,
            },
            Self::Open { rate } => {
                let requests: Vec<usize> = lanes.iter().map(|(_, requests)| requests.len()).collect();
                let batch = lanes
                    .iter()
                    .flat_map(|(_, requests)| requests)
                    .map(|request| request.len)
                    .max();
                let interval = Duration::from_secs_f64(batch.unwrap_or(1) as f64 / rate);
                let semaphores: Vec<_> = lanes.iter().map(|_| Arc::new(Semaphore::new(0))).collect();
                let tickets = semaphores
                    .iter()
                    .enumerate()
                    .map(|(lane, permits)| Tickets::Open {
                        permits: Arc::clone(permits),
                        first: start + interval.mul_f64(lane as f64),
                        interval: interval.mul_f64(lanes.len() as f64),
                    })
                    .collect();
                let schedule = Schedule {
                    start,
                    interval,
                    requests,
                    semaphores,
                    stop: Arc::clone(&stop),
                };
                Pacer {
                    tickets,
                    stop,
                    thread: Some(thread::spawn(move || schedule.run())),
                }
            }
        }
    }
}

impl Pacer {
    /// One ticket source per lane; to be called once.
    pub(super) fn tickets(&self) -> Vec<Tickets> {
        self.tickets
            .iter()
            .map(|tickets| match tickets {
                Tickets::Closed(pause) => Tickets::Closed(*pause),
                Tickets::Open {
                    permits,
                    first,
                    interval,
                } => Tickets::Open {
                    permits: Arc::clone(permits),
                    first: *first,
                    interval: *interval,
                },
            })
            .collect()
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread only sleeps and counts; a panic in it would have stopped the lanes already.
            let _ = thread.join();
        }
    }
}

struct Schedule {
    start: Instant,
    interval: Duration,
    requests: Vec<usize>,
    semaphores: Vec<Arc<Semaphore>>,
    stop: Arc<AtomicBool>,
}

impl Schedule {
    fn run(self) {
        let rounds = self.requests.iter().copied().max().unwrap_or(0);
        for round in 0..rounds {
            for (lane, permits) in self.semaphores.iter().enumerate() {
                if round >= self.requests[lane] {
                    continue;
                }
                let due = self.start
                    + self
                        .interval
                        .mul_f64((round * self.semaphores.len() + lane) as f64);
                if let Some(wait) = due.checked_duration_since(Instant::now()) {
                    thread::sleep(wait);
                }
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                permits.add_permits(1);
            }
        }
    }
}
