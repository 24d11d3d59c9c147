//! Deadlines on a fixed grid: `start + k * interval`.

use std::time::{Duration, Instant};

/// The next due time of something that happens every interval. A missed deadline is skipped and counted, never caught
/// up in a burst.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    due: Instant,
}

impl Pace {
    pub(crate) fn new(first: Instant, interval: Duration) -> Self {
        Self { interval, due: first }
    }

    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    pub(crate) const fn interval(&self) -> Duration {
        self.interval
    }

    /// What is due is due as before; from then on it is so long until the next.
    pub(crate) const fn change_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// Moves the due time past `now`; returns how many deadlines were missed beyond the one that was due.
    pub(crate) fn advance(&mut self, now: Instant) -> u64 {
        if now < self.due {
            return 0;
        }
        let late = now.duration_since(self.due);
        let missed = u32::try_from(late.as_nanos() / self.interval.as_nanos()).unwrap_or(u32::MAX - 1);
        self.due += self.interval * (missed + 1);
        missed.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_stay_on_the_grid() {
        let start = Instant::now();
        let interval = Duration::from_millis(10);
        let mut pace = Pace::new(start, interval);

        assert_eq!(pace.advance(start + Duration::from_millis(1)), 0);
        assert_eq!(pace.due(), start + interval);
        assert_eq!(pace.advance(start + Duration::from_millis(35)), 2);
        assert_eq!(pace.due(), start + 4 * interval);
        assert_eq!(pace.advance(start + Duration::from_millis(36)), 0);
        assert_eq!(pace.due(), start + 4 * interval);
    }

    #[test]
    fn another_interval_starts_at_the_next_deadline() {
        let start = Instant::now();
        let mut pace = Pace::new(start, Duration::from_millis(10));
        pace.change_interval(Duration::from_millis(5));
        assert_eq!(pace.due(), start);
        assert_eq!(pace.advance(start), 0);
        assert_eq!(pace.due(), start + Duration::from_millis(5));
    }

    /// A thousand deadlines a second, each noticed late: the grid does not move.
    #[test]
    fn lateness_does_not_add_up() {
        let start = Instant::now();
        let interval = Duration::from_millis(1);
        let mut pace = Pace::new(start, interval);
        for deadline in 0..100_000u32 {
            assert_eq!(pace.due(), start + interval * deadline);
            let late = Duration::from_micros(u64::from(deadline * 7 % 900));
            assert_eq!(pace.advance(pace.due() + late), 0);
        }
    }
}
