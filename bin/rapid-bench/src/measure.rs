//! Percentiles, medians and error counts.

use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// Distinct kinds of error kept apart; the rest is counted together.
const ERROR_KINDS_MAX: usize = 32;

/// Percentiles of a set of durations, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    /// How many durations.
    pub(crate) count: usize,
    /// Half of them are at most this.
    pub(crate) p50_ms: f64,
    /// 99 %.
    pub(crate) p99_ms: f64,
    /// 99.9 %.
    pub(crate) p999_ms: f64,
    /// The longest.
    pub(crate) max_ms: f64,
}

impl Percentiles {
    /// Exact percentiles by nearest rank; all zero if there are no samples.
    pub(crate) fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        let Some(max) = samples.last() else {
            return Self::default();
        };
        let rank = |share: f64| {
            let rank = (share * samples.len() as f64).ceil() as usize;
            milliseconds(samples[rank.clamp(1, samples.len()) - 1])
        };
        Self {
            count: samples.len(),
            p50_ms: rank(0.5),
            p99_ms: rank(0.99),
            p999_ms: rank(0.999),
            max_ms: milliseconds(*max),
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The median of several rounds with the lowest and highest of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// Middle value (mean of the two middle ones for an even count).
    pub(crate) median: f64,
    /// Lowest value.
    pub(crate) low: f64,
    /// Highest value.
    pub(crate) high: f64,
}

impl Spread {
    /// Summary of `values`; zero if there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (Some(low), Some(high)) = (values.first(), values.last()) else {
            return Self::default();
        };
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Self {
            median,
            low: *low,
            high: *high,
        }
    }
}

/// How often each kind of error was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct ErrorTally {
    kinds: BTreeMap<String, usize>,
}

impl ErrorTally {
    /// Counts one error of `kind`; digits are masked so that numbers and hashes in messages do not make kinds.
    pub(crate) fn add(&mut self, kind: &str) {
        let mut kind = mask_numbers(kind);
        if !self.kinds.contains_key(&kind) && self.kinds.len() >= ERROR_KINDS_MAX {
            kind = "other".to_owned();
        }
        *self.kinds.entry(kind).or_default() += 1;
    }

    /// Adds the counts of another tally.
    pub(crate) fn merge(&mut self, other: Self) {
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
    }

    /// All errors together.
    pub(crate) fn total(&self) -> usize {
        self.kinds.values().sum()
    }

    /// Kinds and counts, by name.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (&str, usize)> {
        self.kinds.iter().map(|(kind, count)| (kind.as_str(), *count))
    }
}

fn mask_numbers(text: &str) -> String {
    const LEN_MAX: usize = 100;
    let mut masked = String::with_capacity(text.len().min(LEN_MAX));
    for word in text.split_inclusive(' ') {
        if masked.len() >= LEN_MAX {
            break;
        }
        // Hashes and addresses become one sign; a code such as -32000 stays, since it is the kind.
        if word.starts_with("0x") || (word.len() > 1 && word.trim().chars().all(|c| c.is_ascii_digit())) {
            masked.push_str("# ");
        } else {
            masked.push_str(word);
        }
    }
    masked.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let samples = (1..=1000).rev().map(Duration::from_millis).collect();
        let percentiles = Percentiles::of(samples);
        assert_eq!(
            percentiles,
            Percentiles {
                count: 1000,
                p50_ms: 500.0,
                p99_ms: 990.0,
                p999_ms: 999.0,
                max_ms: 1000.0
            }
        );
        assert_eq!(Percentiles::of(Vec::new()).count, 0);
    }

    #[test]
    fn median_of_odd_and_even() {
        assert_eq!(
            Spread::of([3.0, 1.0, 2.0]),
            Spread {
                median: 2.0,
                low: 1.0,
                high: 3.0
            }
        );
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).median, 2.5);
    }

    #[test]
    fn errors_with_different_hashes_are_one_kind() {
        let mut tally = ErrorTally::default();
        tally.add("-32000 unknown transaction 0xabc nonce 17");
        tally.add("-32000 unknown transaction 0xdef nonce 18");
        assert_eq!(
            tally.kinds().collect::<Vec<_>>(),
            [("-32000 unknown transaction # nonce #", 2)]
        );
    }

    #[test]
    fn kinds_are_bounded() {
        let mut tally = ErrorTally::default();
        for letter in 'a'..='z' {
            tally.add(&format!("{letter}{letter}"));
            tally.add(&format!("{letter}_{letter}"));
        }
        assert_eq!(tally.total(), 52);
        assert_eq!(tally.kinds().count(), ERROR_KINDS_MAX + 1);
    }
}
