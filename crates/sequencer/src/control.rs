//! What the sequencer's threads share: the wish to stop, and the first failure.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use rapid_pool::Pool;
use tokio::sync::watch;

use crate::SequencerError;

/// Shared by the threads and the handle.
#[derive(Debug)]
pub(crate) struct Control {
    stopping: AtomicBool,
    /// Whether the loop takes only what is urgent, since somebody is behind.
    pressed: AtomicBool,
    failure: watch::Sender<Option<SequencerError>>,
    pool: Pool,
}

impl Control {
    pub(crate) fn new(pool: Pool) -> Arc<Self> {
        Arc::new(Self {
            stopping: AtomicBool::new(false),
            pressed: AtomicBool::new(false),
            failure: watch::channel(None).0,
            pool,
        })
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(SeqCst)
    }

    /// Ends the loop after what it is executing.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, SeqCst);
        self.wake_loop();
    }

    /// Wakes the loop if it sleeps.
    pub(crate) fn wake_loop(&self) {
        self.pool.notify_consumer();
    }

    /// Tells the committer whether the loop wants to hear that it caught up. The loop looks where it is once more afterwards,
    /// before it sleeps.
    pub(crate) fn set_pressed(&self, pressed: bool) {
        self.pressed.store(pressed, SeqCst);
    }

    /// Wakes the loop if it waits for the committer, which caught up.
    pub(crate) fn wake_if_pressed(&self) {
        if self.pressed.load(SeqCst) {
            self.wake_loop();
        }
    }

    /// Notes the first failure and stops.
    pub(crate) fn fail(&self, error: SequencerError) {
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            if first {
                *failure = Some(error);
            }
            first
        });
        self.stop();
    }

    pub(crate) fn failure(&self) -> Option<SequencerError> {
        self.failure.borrow().clone()
    }

    pub(crate) fn watch_failure(&self) -> watch::Receiver<Option<SequencerError>> {
        self.failure.subscribe()
    }
}

/// Runs a thread's body; its error or panic stops the sequencer.
pub(crate) fn run_guarded(
    name: &'static str,
    control: &Arc<Control>,
    body: impl FnOnce() -> Result<(), SequencerError>,
) {
    let guard = PanicGuard {
        name,
        control: Arc::clone(control),
    };
    if let Err(error) = body() {
        guard.control.fail(error);
    }
}

struct PanicGuard {
    name: &'static str,
    control: Arc<Control>,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.control.fail(SequencerError::Panicked(self.name));
        }
    }
}
