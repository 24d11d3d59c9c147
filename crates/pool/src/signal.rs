//! How producers tell the consumer that there is work, at no cost while it is awake.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering, fence},
    },
    thread::Thread,
    time::Instant,
};

use parking_lot::Mutex;

/// Counts what is being decoded, and wakes the consumer if it sleeps.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// Submissions between the arrival of their bytes and their admission.
    ingress: AtomicUsize,
    sleeping: AtomicBool,
    notified: AtomicBool,
    consumer: Mutex<Option<Thread>>,
}

impl Signal {
    pub(crate) fn ingress(&self) -> usize {
        self.ingress.load(Ordering::SeqCst)
    }

    /// Something was put where the consumer finds it.
    pub(crate) fn wake(&self) {
        // Orders the push before the look at the flag, as the consumer orders the flag before its last look.
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed)
            && self.sleeping.swap(false, Ordering::SeqCst)
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

    /// Consumer: sleeps until woken or the deadline, unless `has_work` says that there is no reason to.
    pub(crate) fn sleep_until(&self, deadline: Instant, has_work: impl FnOnce() -> bool) {
        self.sleeping.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if !has_work() && !self.notified.load(Ordering::SeqCst) {
            std::thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        self.sleeping.store(false, Ordering::SeqCst);
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
            self.0.wake();
        }
    }
}
