//! The mini-block interval that follows the load: as short as sealing and committing allow.

use std::{
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

use crate::{MIN_MINI_BLOCK_INTERVAL, committer::COMMITTER_BEHIND_FROM, config::AUTO_INTERVAL_MAX};

/// Mini-blocks that are looked at for a percentile, all of one interval: the second worst of a hundred and twenty-eight, so
/// that one write that the disk was slow with changes nothing.
const WINDOW: usize = 128;

/// Mini-blocks that may be waiting for the committer while the interval becomes shorter: the one that was just cut.
const COMMIT_QUEUE_SHORT: usize = 1;

/// Mini-blocks waiting for the committer from which the interval becomes longer at once: half of what makes the
/// loop take only what is urgent.
const COMMIT_QUEUE_LONG: usize = COMMITTER_BEHIND_FROM / 2;

/// Transactions that may be waiting in the lanes while the interval becomes shorter: about what a core executes in the longest
/// one. Where more wait, it is they who make the latency, and more mini-blocks would only make it longer.
const LANES_SHORT: usize = 1_024;

/// How long the newest mini-blocks took to seal and to commit. The committer writes, the loop reads, nobody waits.
#[derive(Debug)]
pub(crate) struct CommitTimes {
    /// In microseconds; the newest is before `written`.
    seal: [AtomicU64; WINDOW],
    commit: [AtomicU64; WINDOW],
    written: AtomicU64,
}

impl Default for CommitTimes {
    fn default() -> Self {
        Self {
            seal: [const { AtomicU64::new(0) }; WINDOW],
            commit: [const { AtomicU64::new(0) }; WINDOW],
            written: AtomicU64::new(0),
        }
    }
}

impl CommitTimes {
    /// Committer: a mini-block was published.
    pub(crate) fn note(&self, seal: Duration, commit: Duration) {
        let written = self.written.load(Relaxed);
        let place = (written % WINDOW as u64) as usize;
        self.seal[place].store(micros(seal), Relaxed);
        self.commit[place].store(micros(commit), Relaxed);
        self.written.store(written + 1, Release);
    }

    fn written(&self) -> u64 {
        self.written.load(Acquire)
    }

    /// The 99th percentiles of the newest [`WINDOW`]. One that is written meanwhile may be among them or not.
    fn p99(&self) -> Percentiles {
        let of = |times: &[AtomicU64; WINDOW]| {
            let mut sorted: [u64; WINDOW] = std::array::from_fn(|place| times[place].load(Relaxed));
            sorted.sort_unstable();
            Duration::from_micros(sorted[(WINDOW * 99).div_ceil(100) - 1])
        };
        Percentiles {
            seal: of(&self.seal),
            commit: of(&self.commit),
        }
    }
}

struct Percentiles {
    seal: Duration,
    commit: Duration,
}

/// What waits at the moment of a decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queues {
    /// Mini-blocks that the committer has not taken.
    pub(crate) mini_blocks: usize,
    /// Transactions in the lanes.
    pub(crate) transactions: usize,
}

/// Decides about the interval, from 1 to 10 ms: half of it when sealing and committing take less than a quarter of it and
/// nothing piles up, twice when committing takes more than half, or when mini-blocks pile up.
///
/// The bounds are apart, so that a load at one of them does not make it swing: at half the interval what took less than a
/// quarter takes less than half.
#[derive(Debug)]
pub(crate) struct AutoInterval {
    interval: Duration,
    /// Mini-blocks committed when the interval was last decided about.
    decided_at: u64,
}

impl AutoInterval {
    pub(crate) fn starting_with(interval: Duration) -> Self {
        Self {
            interval: interval.clamp(MIN_MINI_BLOCK_INTERVAL, AUTO_INTERVAL_MAX),
            decided_at: 0,
        }
    }

    pub(crate) const fn interval(&self) -> Duration {
        self.interval
    }

    /// The new interval, if it changes now. Looks at nothing until a window of mini-blocks was committed at the present one.
    pub(crate) fn decide(&mut self, times: &CommitTimes, queues: Queues) -> Option<Duration> {
        let committed = times.written();
        let seen = committed - self.decided_at;
        let piles_up = queues.mini_blocks >= COMMIT_QUEUE_LONG && seen > COMMITTER_BEHIND_FROM as u64;
        if !piles_up && seen < WINDOW as u64 {
            return None;
        }
        self.decided_at = committed;
        let decided = if piles_up {
            self.interval * 2
        } else {
            self.by_times(&times.p99(), queues)
        };
        let decided = decided.clamp(MIN_MINI_BLOCK_INTERVAL, AUTO_INTERVAL_MAX);
        let changes = decided != self.interval;
        self.interval = decided;
        changes.then_some(decided)
    }

    fn by_times(&self, p99: &Percentiles, queues: Queues) -> Duration {
        let short = queues.mini_blocks <= COMMIT_QUEUE_SHORT && queues.transactions <= LANES_SHORT;
        if p99.commit > self.interval / 2 {
            self.interval * 2
        } else if short && p99.seal.max(p99.commit) < self.interval / 4 {
            self.interval / 2
        } else {
            self.interval
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING_WAITS: Queues = Queues {
        mini_blocks: 0,
        transactions: 0,
    };

    /// A loop and a committer on a clock of their own: each mini-block takes `commit` of its interval's length.
    struct Simulated {
        auto: AutoInterval,
        times: CommitTimes,
        clock: Duration,
    }

    impl Simulated {
        fn new(interval_ms: u64) -> Self {
            Self {
                auto: AutoInterval::starting_with(Duration::from_millis(interval_ms)),
                times: CommitTimes::default(),
                clock: Duration::ZERO,
            }
        }

        /// Mini-blocks for so long, of which each takes what `commit` says of its number.
        fn run(&mut self, duration: Duration, queues: Queues, commit: impl Fn(u64) -> Duration) -> Duration {
            let end = self.clock + duration;
            let mut number = 0;
            while self.clock < end {
                number += 1;
                self.clock += self.auto.interval();
                self.times.note(commit(number) / 4, commit(number));
                let _ = self.auto.decide(&self.times, queues);
            }
            self.auto.interval()
        }
    }

    const fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn where_commits_are_quick_it_becomes_a_millisecond_within_seconds() {
        let mut node = Simulated::new(10);
        assert_eq!(
            node.run(Duration::from_secs(3), NOTHING_WAITS, |_| us(200)),
            MIN_MINI_BLOCK_INTERVAL
        );
        // And stays there.
        assert_eq!(
            node.run(Duration::from_secs(10), NOTHING_WAITS, |_| us(200)),
            MIN_MINI_BLOCK_INTERVAL
        );
    }

    #[test]
    fn where_commits_are_slow_it_becomes_ten_milliseconds_and_no_more() {
        let mut node = Simulated::new(1);
        assert_eq!(
            node.run(Duration::from_secs(5), NOTHING_WAITS, |_| us(30_000)),
            AUTO_INTERVAL_MAX
        );
        assert_eq!(
            node.run(Duration::from_secs(5), NOTHING_WAITS, |_| us(30_000)),
            AUTO_INTERVAL_MAX
        );
    }

    /// For every time that a commit may take there is an end to the changes.
    #[test]
    fn it_does_not_swing() {
        for commit in (50..8_000).step_by(50) {
            let mut node = Simulated::new(10);
            node.run(Duration::from_secs(10), NOTHING_WAITS, |_| us(commit));
            let settled = node.auto.interval();
            assert!(
                us(commit) <= settled / 2 || settled == AUTO_INTERVAL_MAX,
                "{commit} us: {settled:?}"
            );
            for _ in 0..50 {
                let now = node.run(Duration::from_millis(500), NOTHING_WAITS, |_| us(commit));
                assert_eq!(now, settled, "{commit} us");
            }
        }
    }

    #[test]
    fn a_slow_write_in_a_hundred_and_twenty_eight_changes_nothing_and_two_do() {
        let mut node = Simulated::new(2);
        let seldom = |number: u64| {
            if number.is_multiple_of(128) {
                us(50_000)
            } else {
                us(800)
            }
        };
        assert_eq!(
            node.run(Duration::from_secs(5), NOTHING_WAITS, seldom),
            Duration::from_millis(2)
        );
        let often = |number: u64| {
            if number.is_multiple_of(50) {
                us(50_000)
            } else {
                us(800)
            }
        };
        assert_eq!(
            node.run(Duration::from_secs(10), NOTHING_WAITS, often),
            AUTO_INTERVAL_MAX
        );
    }

    #[test]
    fn what_waits_in_lanes_or_for_the_committer_keeps_it_from_becoming_shorter() {
        for queues in [
            Queues {
                mini_blocks: 2,
                transactions: 0,
            },
            Queues {
                mini_blocks: 0,
                transactions: LANES_SHORT + 1,
            },
        ] {
            let mut node = Simulated::new(10);
            assert_eq!(
                node.run(Duration::from_secs(5), queues, |_| us(100)),
                Duration::from_millis(10)
            );
        }
    }

    #[test]
    fn mini_blocks_that_pile_up_make_it_longer_before_a_window_is_full() {
        let mut node = Simulated::new(1);
        let piled = Queues {
            mini_blocks: COMMIT_QUEUE_LONG,
            transactions: 0,
        };
        // Twice as long after nine mini-blocks each time: after 9 ms, 18 ms more, and so on. A window takes 128 ms and more.
        assert_eq!(
            node.run(Duration::from_millis(30), piled, |_| us(100)),
            Duration::from_millis(4)
        );
        assert_eq!(
            node.run(Duration::from_millis(200), piled, |_| us(100)),
            AUTO_INTERVAL_MAX
        );
    }

    #[test]
    fn the_start_is_within_bounds() {
        for (start, interval) in [(1, 1), (4, 4), (100, 10)] {
            let auto = AutoInterval::starting_with(Duration::from_millis(start));
            assert_eq!(auto.interval(), Duration::from_millis(interval));
        }
    }
}
