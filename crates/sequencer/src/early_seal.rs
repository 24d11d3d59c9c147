//! The limit of seals before their deadline: a token bucket.

use std::time::{Duration, Instant};

/// Lets so many early seals through per second, and a burst of them at once.
///
/// A lone transaction is sealed at once instead of waiting for the deadline. Without a limit, a stream of lone
/// transactions would make a mini-block, a log record and a notification of each.
#[derive(Debug)]
pub(crate) struct EarlySealBucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl EarlySealBucket {
    pub(crate) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        Self {
            per_second: per_second.into(),
            burst: burst.into(),
            tokens: burst.into(),
            at: now,
        }
    }

    /// Takes a token if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }

    fn refill(&mut self, now: Instant) {
        let since: Duration = now.saturating_duration_since(self.at);
        self.tokens = (self.tokens + since.as_secs_f64() * self.per_second).min(self.burst);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_burst_goes_through_at_once_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = EarlySealBucket::new(1_000, 32, start);

        let at_once = (0..100).filter(|_| bucket.take(start)).count();
        assert_eq!(at_once, 32);

        let later = start + Duration::from_millis(10);
        let refilled = (0..100).filter(|_| bucket.take(later)).count();
        assert_eq!(refilled, 10);
    }

    #[test]
    fn tokens_do_not_pile_up() {
        let start = Instant::now();
        let mut bucket = EarlySealBucket::new(1_000, 32, start);
        let much_later = start + Duration::from_secs(60);
        assert_eq!((0..100).filter(|_| bucket.take(much_later)).count(), 32);
    }
}
