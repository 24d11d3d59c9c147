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
}
