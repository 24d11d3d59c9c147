//! The time, for those who measure.

use std::time::Instant;

/// Now. What a thread does must not depend on how fast a checker is: there time goes on with every look at it, or not at all.
#[inline]
pub fn now() -> Instant {
    #[cfg(not(any(loom, shuttle)))]
    {
        Instant::now()
    }
    #[cfg(any(loom, shuttle))]
    {
        static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *BEGIN.get_or_init(Instant::now) + since_begin()
    }
}

#[cfg(shuttle)]
fn since_begin() -> std::time::Duration {
    use shuttle::sync::atomic::{AtomicU64, Ordering::Relaxed};

    /// What passes between two looks, in microseconds.
    const TICK: u64 = 10;

    shuttle::lazy_static! {
        static ref TIME: AtomicU64 = AtomicU64::new(0);
    }
    std::time::Duration::from_micros(TIME.fetch_add(TICK, Relaxed))
}

#[cfg(loom)]
fn since_begin() -> std::time::Duration {
    std::time::Duration::ZERO
}
