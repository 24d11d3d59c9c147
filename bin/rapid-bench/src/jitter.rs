//! How late mini-blocks are sealed, from the sealing times that the node itself publishes.
//!
//! Deadlines are absolute: the k-th one is due at `start + k * interval`, and a seal never comes before its deadline.
//! So the sealing times, taken modulo the interval, form an arc that begins at the phase of the deadlines; what a time
//! lies behind that beginning is its lateness. The phase is found again for each second, because the published times
//! are wall-clock times and the deadlines follow the monotonic clock.

use crate::{
    measure::Percentiles,
    transport::{Endpoint, WsConnection},
};
use alloy_primitives::U64;
use eyre::{bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{sync::oneshot, task::JoinHandle};

/// Length of the windows in which the phase is taken as constant.
const WINDOW: Duration = Duration::from_secs(1);

/// Fewest seals in a window that make a phase.
const WINDOW_SEALS_MIN: usize = 10;

/// Lateness of the seals of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct JitterReport {
    /// The interval that the node was told to keep.
    pub(crate) interval_ms: f64,
    /// Mini-blocks seen.
    pub(crate) mini_blocks: usize,
    /// Deadlines without a mini-block.
    pub(crate) missed_deadlines: usize,
    /// Actual minus due.
    pub(crate) lateness: Percentiles,
    /// Distance between consecutive mini-blocks.
    pub(crate) spacing: Percentiles,
}

/// Judges sealing `times` (microseconds, ascending) against `interval`.
pub(crate) fn judge(times: &[u64], interval: Duration) -> JitterReport {
    let period = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX).max(1);
    let spacings: Vec<u64> = times
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .collect();
    let missed = spacings
        .iter()
        .map(|gap| ((gap + period / 2) / period).saturating_sub(1))
        .sum::<u64>();
    let mut lateness = Vec::with_capacity(times.len());
    let window_len = WINDOW.as_micros() as u64;
    for window in times.chunk_by(|a, b| a / window_len == b / window_len) {
        if window.len() >= WINDOW_SEALS_MIN {
            lateness.extend(window_lateness(window, period));
        }
    }
    JitterReport {
        interval_ms: interval.as_secs_f64() * 1e3,
        mini_blocks: times.len(),
        missed_deadlines: usize::try_from(missed).unwrap_or(usize::MAX),
        lateness: Percentiles::of(lateness),
        spacing: Percentiles::of(spacings.into_iter().map(Duration::from_micros).collect()),
    }
}

/// Lateness of each time of a window: its distance behind the beginning of the arc of residues, which is the residue
/// after the widest gap on the circle.
fn window_lateness(times: &[u64], period: u64) -> Vec<Duration> {
    let mut residues: Vec<u64> = times.iter().map(|time| time % period).collect();
    residues.sort_unstable();
    let around = residues[0] + period - residues[residues.len() - 1];
    let (phase, _) = residues.windows(2).map(|pair| (pair[1], pair[1] - pair[0])).fold(
        (residues[0], around),
        |widest, gap| if gap.1 > widest.1 { gap } else { widest },
    );
    times
        .iter()
        .map(|time| Duration::from_micros((time % period + period - phase) % period))
        .collect()
}

/// A subscription that collects sealing times until it is told to stop.
#[derive(Debug)]
pub(crate) struct SealTimes {
    stop: oneshot::Sender<()>,
    task: JoinHandle<eyre::Result<Vec<u64>>>,
}

#[derive(Deserialize)]
struct Notification {
    params: Option<NotificationParams>,
}

#[derive(Deserialize)]
struct NotificationParams {
    result: MiniBlock,
}

#[derive(Deserialize)]
struct MiniBlock {
    mini_block_number: U64,
    mini_block_timestamp: U64,
}

impl SealTimes {
    /// Subscribes to `miniBlocks`.
    ///
    /// # Errors
    /// If the endpoint is no WebSocket endpoint or refuses the subscription.
    pub(crate) async fn subscribe(endpoint: &Endpoint) -> eyre::Result<Self> {
        let Endpoint::Ws { url, .. } = endpoint else {
            bail!("subscriptions need a ws:// endpoint")
        };
        let mut connection = WsConnection::open(url).await?;
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["miniBlocks"]})
            .to_string();
        let answer: Value = serde_json::from_slice(&connection.exchange(request.into()).await?)?;
        ensure!(
            answer["result"].is_string(),
            "subscription refused: {}",
            answer["error"]
        );
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut times = Vec::new();
            let mut last: Option<u64> = None;
            loop {
                let message = tokio::select! {
                    biased;
                    _ = &mut stopped => return Ok(times),
                    message = connection.next() => message?,
                };
                let Notification { params: Some(params) } = serde_json::from_slice(&message)? else {
                    continue;
                };
                let number = params.result.mini_block_number.to::<u64>();
                if let Some(last) = last {
                    ensure!(number == last + 1, "mini-block {number} came after {last}");
                }
                last = Some(number);
                times.push(params.result.mini_block_timestamp.to());
            }
        });
        Ok(Self { stop, task })
    }

    /// Ends the subscription and returns the sealing times, in microseconds.
    ///
    /// # Errors
    /// If the subscription broke or skipped a mini-block.
    pub(crate) async fn finish(self) -> eyre::Result<Vec<u64>> {
        // A task that has failed already does not listen any more; its error comes from the join.
        let _ = self.stop.send(());
        self.task.await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_the_distance_to_the_grid() {
        // Phase 700 us past the full interval, every hundredth seal 2 ms late, the others within 40 us.
        let times: Vec<u64> = (0..1000u64)
            .map(|k| 5_000_000 + 700 + k * 10_000 + if k % 100 == 99 { 2_000 } else { k % 40 })
            .collect();
        let report = judge(&times, Duration::from_millis(10));
        assert_eq!(report.missed_deadlines, 0);
        assert_eq!(report.lateness.count, 1000);
        assert!(report.lateness.p50_ms < 0.04, "{report:?}");
        assert_eq!(report.lateness.p999_ms, 2.0);
    }

    #[test]
    fn a_skipped_deadline_is_missed_not_late() {
        let times: Vec<u64> = (0..100u64)
            .filter(|k| *k != 50)
            .map(|k| 1_000_000 + k * 1_000)
            .collect();
        let report = judge(&times, Duration::from_millis(1));
        assert_eq!(report.missed_deadlines, 1);
        assert_eq!(report.lateness.max_ms, 0.0);
        assert_eq!(report.spacing.max_ms, 2.0);
    }

    #[test]
    fn residues_may_straddle_the_interval() {
        let times = [
            9_990, 20_000, 29_995, 40_005, 49_990, 60_010, 70_000, 80_000, 90_000, 100_000,
        ];
        let lateness = window_lateness(&times, 10_000);
        assert_eq!(lateness[0], Duration::ZERO);
        assert_eq!(lateness[5], Duration::from_micros(20));
    }

    #[test]
    fn no_times_no_lateness() {
        assert_eq!(judge(&[], Duration::from_millis(1)).lateness.count, 0);
    }
}
