//! How much CPU time compiling may take.

use std::time::{Duration, Instant};

/// A token bucket of CPU time, shared by the workers. It fills at a fixed share of a core up to the burst. Compilations
/// start while it is not empty and are charged afterwards, so it may go into debt by one compilation per worker; the debt
/// is what the next one waits for. Over any time `t`, compiling takes at most `burst + share * t` plus one compilation per
/// worker.
///
/// Amounts are in picoseconds: a nanosecond at a thousandth of a core.
#[derive(Debug)]
pub(super) struct CpuBudget {
    share_permille: u32,
    burst_ps: i64,
    tokens_ps: i64,
    filled_at: Instant,
}

/// What may be compiled now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowance {
    /// Nothing before this much time has passed.
    After(Duration),
    /// What transactions have heated. The lower half of the bucket is kept for it.
    Paid,
    /// Everything.
    All,
}

impl CpuBudget {
    /// A full bucket.
    pub(super) fn new(share_permille: u32, burst: Duration, now: Instant) -> Self {
        let burst_ps = picoseconds(burst).max(1);
        Self {
            share_permille: share_permille.max(1),
            burst_ps,
            tokens_ps: burst_ps,
            filled_at: now,
        }
    }

    pub(super) fn allowance(&mut self, now: Instant) -> Allowance {
        self.fill(now);
        if self.tokens_ps <= 0 {
            let missing_ps = self.tokens_ps.unsigned_abs() + 1;
            let wait_ns = missing_ps.div_ceil(u64::from(self.share_permille));
            return Allowance::After(Duration::from_nanos(wait_ns));
        }
        if self.tokens_ps <= self.burst_ps / 2 {
            return Allowance::Paid;
        }
        Allowance::All
    }

    pub(super) fn charge(&mut self, spent: Duration) {
        self.tokens_ps = self.tokens_ps.saturating_sub(picoseconds(spent));
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at);
        let elapsed_ns = i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX);
        let filled_ps = elapsed_ns.saturating_mul(i64::from(self.share_permille));
        self.tokens_ps = self.tokens_ps.saturating_add(filled_ps).min(self.burst_ps);
        self.filled_at = now;
    }
}

/// At most a hundred days.
fn picoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().saturating_mul(1000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_then_share() {
        let start = Instant::now();
        let mut budget = CpuBudget::new(50, Duration::from_secs(2), start);
        assert_eq!(budget.allowance(start), Allowance::All);
        budget.charge(Duration::from_secs(1));
        assert_eq!(budget.allowance(start), Allowance::Paid);
        budget.charge(Duration::from_secs(2));
        let Allowance::After(wait) = budget.allowance(start) else {
            panic!("one second in debt");
        };
        // One second at a twentieth of a core.
        assert_eq!(wait.as_secs(), 20);
        assert!(matches!(budget.allowance(start + wait / 2), Allowance::After(_)));
        assert_eq!(budget.allowance(start + wait), Allowance::Paid);
        // The bucket does not fill beyond the burst.
        let much_later = start + Duration::from_secs(1_000_000);
        assert_eq!(budget.allowance(much_later), Allowance::All);
        budget.charge(Duration::from_secs(2));
        assert!(matches!(budget.allowance(much_later), Allowance::After(_)));
    }

    #[test]
    fn long_run_share_is_the_ceiling() {
        let start = Instant::now();
        let (burst, compilation) = (Duration::from_secs(2), Duration::from_millis(30));
        let mut budget = CpuBudget::new(50, burst, start);
        let mut spent = Duration::ZERO;
        for millisecond in 0..1_000_000 {
            if !matches!(
                budget.allowance(start + Duration::from_millis(millisecond)),
                Allowance::After(_)
            ) {
                budget.charge(compilation);
                spent += compilation;
            }
        }
        let share = Duration::from_secs(1000) / 20;
        assert!(spent <= burst + share + compilation, "{spent:?}");
        assert!(spent >= share, "{spent:?}");
    }
}
