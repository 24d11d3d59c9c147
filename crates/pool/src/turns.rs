//! Whose turn it is among the lanes: by rank, unless one below was passed over for too many pops or for too long.

use std::{cmp::Reverse, time::Instant};

use crate::{Lane, LaneConfig, lane::LANES};

/// Why a lane is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Turn {
    /// It has something and was not served for its ageing bound.
    Age,
    /// It was passed over as often as its share allows.
    Share,
    /// It is the highest that has something.
    Rank,
}

/// What each lane has been waiting since it was last served or had nothing.
///
/// A count bounds the share of a lane in what is executed, a time bounds its wait: transactions that take long make few pops.
/// Both are kept by the consumer alone, and time comes in as an argument.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    passed_over: [u32; LANES],
    /// When the lane was last served or first seen with something; `None` while it has nothing.
    waits_since: [Option<Instant>; LANES],
}

impl Turns {
    /// The lane that is asked before all others, if one is overdue. One that is by time goes before one that is by count: the
    /// time is a promise. Of several the most overdue one goes first.
    pub(crate) fn overdue(&self, config: &LaneConfig, now: Instant) -> Option<(Lane, Turn)> {
        let below_highest = Lane::ALL[1..].iter().copied();
        let by_age = below_highest.clone().filter_map(|lane| {
            let due = self.waits_since[lane.index()]? + config.ageing(lane);
            Some((Reverse(now.checked_duration_since(due)?), lane))
        });
        if let Some((_, lane)) = by_age.min() {
            return Some((lane, Turn::Age));
        }
        let by_share = below_highest.filter_map(|lane| {
            let bound = config.passed_over_max[lane.index()].max(1);
            Some((Reverse(self.passed_over[lane.index()].checked_sub(bound)?), lane))
        });
        by_share.min().map(|(_, lane)| (lane, Turn::Share))
    }

    /// When the next lane below the highest is overdue by time, if none is served before.
    pub(crate) fn next_due(&self, config: &LaneConfig) -> Option<Instant> {
        let below_highest = Lane::ALL[1..].iter();
        below_highest
            .filter_map(|lane| Some(self.waits_since[lane.index()]? + config.ageing(*lane)))
            .min()
    }

    /// Notes which lane was served, if one was; `has_something` tells of every lane whether it has something now. Returns
    /// by lane whether it was passed over.
    pub(crate) fn served(
        &mut self,
        served: Option<Lane>,
        now: Instant,
        has_something: impl Fn(Lane) -> bool,
    ) -> [bool; LANES] {
        let mut passed_over = [false; LANES];
        for lane in Lane::ALL {
            let index = lane.index();
            if !has_something(lane) {
                self.passed_over[index] = 0;
                self.waits_since[index] = None;
            } else if served == Some(lane) {
                self.passed_over[index] = 0;
                self.waits_since[index] = Some(now);
            } else {
                passed_over[index] = served.is_some();
                self.passed_over[index] = self.passed_over[index].saturating_add(passed_over[index].into());
                self.waits_since[index].get_or_insert(now);
            }
        }
        passed_over
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A consumer of lanes that always have something, or not, on a clock of its own.
    struct Simulated {
        config: LaneConfig,
        turns: Turns,
        now: Instant,
        full: [bool; LANES],
        last: [Instant; LANES],
        longest: [Duration; LANES],
        served: [u32; LANES],
    }

    impl Simulated {
        fn new(config: LaneConfig) -> Self {
            let now = Instant::now();
            Self {
                config,
                turns: Turns::default(),
                now,
                full: [true; LANES],
                last: [now; LANES],
                longest: [Duration::ZERO; LANES],
                served: [0; LANES],
            }
        }

        /// One pop, and the time that its transaction takes.
        fn step(&mut self, takes: Duration) -> (Lane, Turn) {
            let (lane, turn) = self
                .turns
                .overdue(&self.config, self.now)
                .filter(|(lane, _)| self.full[lane.index()])
                .or_else(|| {
                    let by_rank = |lane: &Lane| self.full[lane.index()];
                    Lane::ALL.into_iter().find(by_rank).map(|lane| (lane, Turn::Rank))
                })
                .expect("some lane has something");
            let full = self.full;
            let _ = self.turns.served(Some(lane), self.now, |lane| full[lane.index()]);
            let index = lane.index();
            self.longest[index] = self.longest[index].max(self.now - self.last[index]);
            self.last[index] = self.now;
            self.served[index] += 1;
            self.now += takes;
            (lane, turn)
        }
    }

    fn shares_that_never_come() -> LaneConfig {
        LaneConfig {
            passed_over_max: [u32::MAX; LANES],
            ..LaneConfig::default()
        }
    }

    const ALL_BELOW: [Lane; LANES - 1] = [Lane::Critical, Lane::Paid, Lane::Normal, Lane::Bulk];

    /// The promise: whatever runs above it, a lane is served within two seconds, if one transaction takes no longer than
    /// the largest there is (2^24 gas, EIP-7825) on a slow machine.
    #[test]
    fn a_lane_is_served_in_time_whatever_the_counts_say() {
        for takes in [1, 10, 100, 190].map(Duration::from_millis) {
            let mut lanes = Simulated::new(shares_that_never_come());
            let start = lanes.now;
            while lanes.now < start + Duration::from_secs(60) {
                lanes.step(takes);
            }
            for lane in ALL_BELOW {
                let longest = lanes.longest[lane.index()];
                assert!(lanes.served[lane.index()] > 0, "{lane:?} at {takes:?}");
                assert!(
                    longest >= Duration::from_secs(1),
                    "{lane:?} was not due: {longest:?}"
                );
                assert!(
                    longest <= Duration::from_secs(2),
                    "{lane:?} waited {longest:?} at {takes:?}"
                );
            }
        }
    }

    #[test]
    fn no_configuration_makes_it_longer() {
        let mut lanes = Simulated::new(LaneConfig {
            ageing: [Duration::from_secs(3_600); LANES],
            ..shares_that_never_come()
        });
        for _ in 0..200 {
            lanes.step(Duration::from_millis(190));
        }
        assert!(lanes.longest[Lane::Bulk.index()] <= Duration::from_secs(2));
    }

    #[test]
    fn shares_are_those_of_the_counts_while_nothing_is_late() {
        let mut lanes = Simulated::new(LaneConfig::default());
        let turns: Vec<_> = (0..3_200)
            .map(|_| lanes.step(Duration::from_micros(10)))
            .collect();
        assert!(turns.iter().all(|(_, turn)| *turn != Turn::Age));
        for (lane, one_in) in [
            (Lane::Critical, 4),
            (Lane::Paid, 8),
            (Lane::Normal, 16),
            (Lane::Bulk, 32),
        ] {
            let served = lanes.served[lane.index()];
            let share = 3_200 / one_in;
            assert!(
                served.abs_diff(share) <= share / 8,
                "{lane:?}: {served} of {share}"
            );
        }
    }

    #[test]
    fn each_lane_has_its_own_bound() {
        let mut config = shares_that_never_come();
        config.ageing[Lane::Bulk.index()] = Duration::from_millis(100);
        let mut lanes = Simulated::new(config);
        let start = lanes.now;
        while lanes.now < start + Duration::from_secs(2) {
            lanes.step(Duration::from_millis(1));
        }
        assert!(lanes.longest[Lane::Bulk.index()] <= Duration::from_millis(105));
        assert!(lanes.longest[Lane::Normal.index()] >= Duration::from_secs(1));
    }

    #[test]
    fn the_time_counts_from_when_there_was_something() {
        let mut lanes = Simulated::new(shares_that_never_come());
        lanes.full = [true, false, false, false, false];
        for _ in 0..30 {
            assert_eq!(lanes.step(Duration::from_millis(100)), (Lane::System, Turn::Rank));
        }
        lanes.full[Lane::Bulk.index()] = true;
        // Seen at the next pop, due a second later.
        for _ in 0..10 {
            assert_eq!(lanes.step(Duration::from_millis(100)), (Lane::System, Turn::Rank));
        }
        assert_eq!(lanes.step(Duration::from_millis(100)), (Lane::Bulk, Turn::Age));
        assert_eq!(lanes.step(Duration::from_millis(100)), (Lane::System, Turn::Rank));
    }

    #[test]
    fn time_goes_before_count_and_the_most_overdue_first() {
        let mut config = LaneConfig {
            passed_over_max: [1; LANES],
            ..LaneConfig::default()
        };
        let mut turns = Turns::default();
        let start = Instant::now();
        let all = |_| true;
        let _ = turns.served(Some(Lane::System), start, all);
        let _ = turns.served(Some(Lane::System), start, all);
        let later = start + Duration::from_millis(10);
        assert_eq!(turns.overdue(&config, later), Some((Lane::Critical, Turn::Share)));
        config.ageing[Lane::Normal.index()] = Duration::from_millis(5);
        config.ageing[Lane::Bulk.index()] = Duration::from_millis(2);
        assert_eq!(turns.overdue(&config, later), Some((Lane::Bulk, Turn::Age)));
    }

    #[test]
    fn an_empty_lane_is_never_overdue() {
        let config = LaneConfig::default();
        let mut turns = Turns::default();
        let start = Instant::now();
        let _ = turns.served(Some(Lane::System), start, |_| true);
        let _ = turns.served(Some(Lane::System), start, |lane| lane == Lane::System);
        assert_eq!(turns.overdue(&config, start + Duration::from_secs(10)), None);
    }

    #[test]
    fn nobody_is_passed_over_where_nobody_was_served() {
        let mut turns = Turns::default();
        let start = Instant::now();
        assert_eq!(
            turns.served(None, start, |lane| lane == Lane::Bulk),
            [false; LANES]
        );
        let due = start + Duration::from_secs(1);
        assert_eq!(
            turns.overdue(&LaneConfig::default(), due),
            Some((Lane::Bulk, Turn::Age))
        );
        let _ = turns.served(None, due, |_| false);
        assert_eq!(turns.overdue(&LaneConfig::default(), due), None);
    }
}
