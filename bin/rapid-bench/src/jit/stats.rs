//! What repeated measurements of one side come to.

use crate::clock::Elapsed;
use crate::measure::Spread;
use serde::Serialize;
use std::time::Duration;

/// Nanoseconds of one run, over the rounds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RunTimes {
    /// Thread CPU time, lowest of all rounds.
    pub(crate) cpu_ns_min: f64,
    /// Its median.
    pub(crate) cpu_ns_median: f64,
    /// Its highest.
    pub(crate) cpu_ns_max: f64,
    /// Wall time, median.
    pub(crate) wall_ns_median: f64,
    /// Thread CPU time per round, in order.
    pub(crate) cpu_ns: Vec<f64>,
}

impl RunTimes {
    /// Of one sample per round, each of `runs` runs.
    pub(crate) fn of(samples: &[Elapsed], runs: u32) -> Self {
        let per_run = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(runs);
        let cpu_ns: Vec<_> = samples.iter().map(|sample| per_run(sample.cpu)).collect();
        let cpu = Spread::of(cpu_ns.iter().copied());
        Self {
            cpu_ns_min: cpu.low,
            cpu_ns_median: cpu.median,
            cpu_ns_max: cpu.high,
            wall_ns_median: Spread::of(samples.iter().map(|sample| per_run(sample.wall))).median,
            cpu_ns,
        }
    }
}

/// How many times faster one side is.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Ratio {
    /// Lowest time of one to lowest time of the other: the least disturbed.
    pub(crate) best: f64,
    /// Median of the rounds' ratios.
    pub(crate) median: f64,
    /// Lowest of them.
    pub(crate) low: f64,
    /// Highest of them.
    pub(crate) high: f64,
}

impl Ratio {
    /// `slow` to `fast`, round by round.
    pub(crate) fn of(slow: &RunTimes, fast: &RunTimes) -> Self {
        let rounds = slow
            .cpu_ns
            .iter()
            .zip(&fast.cpu_ns)
            .map(|(slow, fast)| slow / fast);
        let Spread { low, median, high } = Spread::of(rounds);
        Self {
            best: slow.cpu_ns_min / fast.cpu_ns_min,
            median,
            low,
            high,
        }
    }
}

/// Geometric mean; none of nothing.
pub(crate) fn geometric_mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let logarithms: Vec<_> = values.map(f64::ln).collect();
    let count = logarithms.len() as f64;
    (!logarithms.is_empty()).then(|| (logarithms.iter().sum::<f64>() / count).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(cpu_us: &[u64]) -> RunTimes {
        let samples: Vec<_> = cpu_us
            .iter()
            .map(|&us| Elapsed {
                cpu: Duration::from_micros(us),
                wall: Duration::from_micros(2 * us),
            })
            .collect();
        RunTimes::of(&samples, 10)
    }

    #[test]
    fn times_are_of_one_run() {
        let times = times(&[30, 10, 20]);
        assert_eq!(
            (times.cpu_ns_min, times.cpu_ns_median, times.cpu_ns_max),
            (1e3, 2e3, 3e3)
        );
        assert_eq!(times.wall_ns_median, 4e3);
    }

    #[test]
    fn ratios_compare_the_same_round() {
        let ratio = Ratio::of(&times(&[40, 40, 80]), &times(&[10, 20, 20]));
        assert_eq!(
            (ratio.best, ratio.low, ratio.median, ratio.high),
            (4.0, 2.0, 4.0, 4.0)
        );
    }

    #[test]
    fn geometric_mean_of_none_is_none() {
        assert_eq!(geometric_mean([].into_iter()), None);
        let mean = geometric_mean([1.0, 4.0].into_iter()).unwrap();
        assert!((mean - 2.0).abs() < 1e-12);
    }
}
