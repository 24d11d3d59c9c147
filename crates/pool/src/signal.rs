//! How producers tell the consumer that there is work, at no cost while it is awake.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, fence},
    },
    thread::Thread,
    time::Instant,
};

use parking_lot::Mutex;

/// What the consumer sleeps for, or a producer has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Urgency {
    /// The consumer is awake.
    Awake,
    /// Only what is urgent.
    Urgent,
    /// Anything.
    Any,
}

/// Counts what is being decoded, and wakes the consumer if it sleeps.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// Submissions between the arrival of their bytes and their admission.
    ingress: AtomicUsize,
    /// An [`Urgency`].
    sleeps_for: AtomicU8,
    notified: AtomicBool,
    consumer: Mutex<Option<Thread>>,
}

impl Signal {
    pub(crate) fn ingress(&self) -> usize {
        self.ingress.load(Ordering::SeqCst)
    }

    /// Something was put where the consumer finds it, and may be urgent.
    pub(crate) fn wake(&self) {
        self.wake_for(Urgency::Urgent);
    }

    /// Something of this urgency was put where the consumer finds it, or is not coming any more.
    pub(crate) fn wake_for(&self, urgency: Urgency) {
        // Orders the push before the look at the flag, as the consumer orders the flag before its last look.
        fence(Ordering::SeqCst);
        if self.sleeps_for.load(Ordering::Relaxed) >= urgency as u8
            && self.sleeps_for.swap(Urgency::Awake as u8, Ordering::SeqCst) != Urgency::Awake as u8
            && let Some(thread) = self.consumer.lock().as_ref()
        {
            thread.unpark();
        }
    }

    /// Ends the consumer's present or next sleep.
    pub(crate) fn notify(&self) {
        self.notified.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn take_notification(&self) -> bool {
        self.notified.swap(false, Ordering::SeqCst)
    }

    /// Consumer: names the thread to wake.
    pub(crate) fn register(&self) {
        let current = std::thread::current();
        let mut consumer = self.consumer.lock();
        if consumer.as_ref().is_none_or(|known| known.id() != current.id()) {
            *consumer = Some(current);
        }
    }

    /// Consumer: sleeps until woken for something of this urgency or the deadline, unless `has_work` says that there is no
    /// reason to.
    pub(crate) fn sleep_until(&self, deadline: Instant, urgency: Urgency, has_work: impl FnOnce() -> bool) {
        self.sleeps_for.store(urgency as u8, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if !has_work() && !self.notified.load(Ordering::SeqCst) {
            std::thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        self.sleeps_for.store(Urgency::Awake as u8, Ordering::SeqCst);
    }
}

/// Tells the sealer that a submission is on its way: held from the arrival of its bytes until it is admitted or
/// refused.
///
/// While any guard lives, the consumer is not idle, so a mini-block is not sealed right before the transaction it
/// could have held.
#[derive(Debug)]
#[must_use = "dropping the guard says that nothing is on its way"]
pub struct IngressGuard(Arc<Signal>);

impl IngressGuard {
    pub(crate) fn new(signal: Arc<Signal>) -> Self {
        signal.ingress.fetch_add(1, Ordering::SeqCst);
        Self(signal)
    }
}

impl Drop for IngressGuard {
    fn drop(&mut self) {
        if self.0.ingress.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.wake_for(Urgency::Any);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sleeps_for_what_is_urgent_is_woken_for_nothing_else() {
        let signal = Signal::default();
        let still_sleeps = |urgency, wake: fn(&Signal)| {
            signal.sleeps_for.store(urgency as u8, Ordering::SeqCst);
            wake(&signal);
            signal.sleeps_for.load(Ordering::SeqCst) != Urgency::Awake as u8
        };
        assert!(still_sleeps(Urgency::Urgent, |signal| signal.wake_for(Urgency::Any)));
        assert!(!still_sleeps(Urgency::Urgent, Signal::wake));
        assert!(!still_sleeps(Urgency::Urgent, Signal::notify));
        assert!(!still_sleeps(Urgency::Any, |signal| signal.wake_for(Urgency::Any)));
        assert!(!still_sleeps(Urgency::Any, Signal::wake));
    }
}
