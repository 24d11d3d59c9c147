//! Parking: a thread that sleeps until another wakes it, with one wake-up kept.

#[cfg(not(any(loom, shuttle)))]
pub use crossbeam_utils::sync::{Parker, Unparker};

#[cfg(any(loom, shuttle))]
pub use self::checked::{Parker, Unparker};

#[cfg(any(loom, shuttle))]
mod checked {
    use std::{sync::Arc, time::Instant};

    #[cfg(loom)]
    use loom::sync::{Condvar, Mutex};
    #[cfg(shuttle)]
    use shuttle::sync::{Condvar, Mutex};

    /// As crossbeam's, but no deadline ever comes: what a wake-up is lost for sleeps for ever, which the checker tells.
    #[derive(Debug, Default)]
    pub struct Parker(Unparker);

    /// The other end of a [`Parker`].
    #[derive(Clone, Debug, Default)]
    pub struct Unparker(Arc<Token>);

    #[derive(Debug, Default)]
    struct Token {
        is_there: Mutex<bool>,
        came: Condvar,
    }

    #[allow(missing_docs, reason = "as crossbeam's")]
    impl Parker {
        pub fn new() -> Self {
            Self::default()
        }

        pub fn unparker(&self) -> &Unparker {
            &self.0
        }

        pub fn park(&self) {
            let token = &self.0.0;
            let mut is_there = token.is_there.lock().expect("a test that panics is over");
            while !*is_there {
                is_there = token.came.wait(is_there).expect("a test that panics is over");
            }
            *is_there = false;
        }

        pub fn park_deadline(&self, _: Instant) {
            self.park();
        }
    }

    #[allow(missing_docs, reason = "as crossbeam's")]
    impl Unparker {
        pub fn unpark(&self) {
            *self.0.is_there.lock().expect("a test that panics is over") = true;
            self.0.came.notify_one();
        }
    }
}
