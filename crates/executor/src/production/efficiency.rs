//! Whether working in parallel pays: what was committed per time, measured, not predicted.

use std::time::{Duration, Instant};

/// Transactions after which the question is asked again.
const WINDOW: u64 = 512;

/// Work per time from which parallel execution pays: what the workers cost besides is at most this.
const PAYS_FROM: f64 = 1.1;

/// Transactions that are executed one after the other before parallel execution is tried again, at first and at most: the
/// tries cost at most a sixteenth of the time where they never succeed.
const PAUSE_MIN: u64 = 1_024;
const PAUSE_MAX: u64 = 16_384;

/// How transactions are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By the workers.
    Parallel,
    /// One after the other, by the thread that hands out.
    Plain,
}

/// Decides the way, from what the last window gave.
///
/// The work of a window is the CPU time of the workers, less the part in which they executed in vain. So losing races, waiting
/// for one key or one sender, and cores that others use all count against it.
#[derive(Debug)]
pub struct Efficiency {
    workers: usize,
    way: Way,
    began: Option<Instant>,
    transactions: u64,
    /// CPU time of the workers.
    work: Duration,
    /// How long executions took that were committed, and those that were in vain.
    useful: Duration,
    vain: Duration,
    pause: u64,
    /// Work per time in the last full window.
    gain: f64,
}

impl Efficiency {
    /// For so many workers. One is never faster than the thread that hands out is by itself.
    #[must_use]
    pub const fn of(workers: usize) -> Self {
        Self {
            workers,
            way: if workers < 2 { Way::Plain } else { Way::Parallel },
            began: None,
            transactions: 0,
            work: Duration::ZERO,
            useful: Duration::ZERO,
            vain: Duration::ZERO,
            pause: PAUSE_MIN,
            gain: 1.0,
        }
    }

    /// How the next transactions are to be executed, if there are enough of them.
    #[must_use]
    pub const fn way(&self) -> Way {
        self.way
    }

    /// Work per time in the last window that workers executed.
    #[must_use]
    pub const fn gain(&self) -> f64 {
        self.gain
    }

    /// Workers have something to do from now on, if they had nothing before.
    pub fn busy(&mut self, now: Instant) {
        self.began.get_or_insert(now);
    }

    /// Workers have nothing to do any more, so the time does not count: an unfinished window is dropped.
    pub const fn idle(&mut self) {
        self.began = None;
        self.transactions = 0;
        self.work = Duration::ZERO;
        self.useful = Duration::ZERO;
        self.vain = Duration::ZERO;
    }

    /// A worker has used so much CPU time since it said so last.
    pub fn worked(&mut self, time: Duration) {
        self.work += time;
    }

    /// A worker has executed one in vain, which took so long.
    pub fn lost(&mut self, took: Duration) {
        self.vain += took;
    }

    /// A worker has executed one, which took so long.
    pub fn executed(&mut self, took: Duration, now: Instant) {
        self.transactions += 1;
        self.useful += took;
        let Some(began) = self.began.filter(|_| self.transactions >= WINDOW) else {
            return;
        };
        let all = (self.useful + self.vain).as_secs_f64().max(1e-9);
        let work = self.work.as_secs_f64() * self.useful.as_secs_f64() / all;
        self.gain = work / now.duration_since(began).as_secs_f64().max(1e-9);
        if self.gain < PAYS_FROM {
            self.way = Way::Plain;
        } else {
            self.pause = PAUSE_MIN;
        }
        self.idle();
        self.began = Some(now);
    }

    /// One was executed the plain way, because it did not pay the other way.
    pub fn executed_plainly(&mut self) {
        if self.way == Way::Parallel || self.workers < 2 {
            return;
        }
        self.transactions += 1;
        if self.transactions >= self.pause {
            self.way = Way::Parallel;
            self.pause = (self.pause * 2).min(PAUSE_MAX);
            self.idle();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(efficiency: &mut Efficiency, workers: u32, now: &mut Instant) {
        efficiency.busy(*now);
        for _ in 0..WINDOW {
            *now += Duration::from_micros(10);
            efficiency.worked(Duration::from_micros(10) * workers);
            efficiency.executed(Duration::from_micros(10) * workers, *now);
        }
    }

    #[test]
    fn what_does_not_pay_is_left_for_longer_and_longer() {
        let (mut efficiency, mut now) = (Efficiency::of(2), Instant::now());
        window(&mut efficiency, 2, &mut now);
        assert_eq!(efficiency.way(), Way::Parallel);
        for pause in [PAUSE_MIN, 2 * PAUSE_MIN, 4 * PAUSE_MIN] {
            window(&mut efficiency, 1, &mut now);
            assert_eq!(efficiency.way(), Way::Plain);
            for _ in 0..pause - 1 {
                efficiency.executed_plainly();
            }
            assert_eq!(efficiency.way(), Way::Plain);
            efficiency.executed_plainly();
            assert_eq!(efficiency.way(), Way::Parallel);
        }
        window(&mut efficiency, 2, &mut now);
        window(&mut efficiency, 1, &mut now);
        (0..PAUSE_MIN).for_each(|_| efficiency.executed_plainly());
        assert_eq!(efficiency.way(), Way::Parallel, "once it paid it begins anew");
    }

    #[test]
    fn one_worker_is_never_given_anything() {
        let mut efficiency = Efficiency::of(1);
        assert_eq!(efficiency.way(), Way::Plain);
        (0..2 * PAUSE_MAX).for_each(|_| efficiency.executed_plainly());
        assert_eq!(efficiency.way(), Way::Plain);
    }

    #[test]
    fn what_was_in_vain_does_not_count() {
        let (mut efficiency, mut now) = (Efficiency::of(2), Instant::now());
        efficiency.busy(now);
        for _ in 0..WINDOW {
            now += Duration::from_micros(10);
            efficiency.worked(Duration::from_micros(20));
            efficiency.lost(Duration::from_micros(10));
            efficiency.executed(Duration::from_micros(10), now);
        }
        assert_eq!(efficiency.way(), Way::Plain, "two workers did the work of one");
    }

    #[test]
    fn waiting_for_transactions_does_not_count() {
        let (mut efficiency, mut now) = (Efficiency::of(2), Instant::now());
        for _ in 0..100 {
            efficiency.busy(now);
            for _ in 0..WINDOW / 2 {
                now += Duration::from_micros(10);
                efficiency.worked(Duration::from_micros(20));
                efficiency.executed(Duration::from_micros(5), now);
            }
            efficiency.idle();
            now += Duration::from_secs(1);
        }
        assert_eq!(efficiency.way(), Way::Parallel);
    }
}
