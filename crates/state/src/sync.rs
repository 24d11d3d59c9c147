//! What threads share, and how they wait: of the standard library and `parking_lot`, or of the model checker
//! [shuttle](https://docs.rs/shuttle) in a build with `--cfg shuttle`, which runs the tests in `interleavings` only.
//!
//! The checker decides at every access to an atomic or a lock which thread goes on, so it finds orders of steps that a
//! machine takes once in a year. It knows sequential consistency only: that an order of memory accesses is too weak
//! it does not see. Each module argues for its own; the arguments have three forms.
//!
//! - **A lock of atomics** (entries, stripes): taken by an acquiring exchange and a release fence after it, given back by a
//!   releasing store. Words under it are relaxed. A reader takes its first look acquiring, so it sees at least what the
//!   last owner wrote; before its second look it has an acquire fence. If one of its words was a later owner's, that owner's
//!   release fence comes before the word and after the exchange, so the second look sees the exchange or more.
//! - **A number that rises** (sequence, floor): raised by a read-modify-write that is sequentially consistent before what
//!   depends on it is written. Two commits whose numbers are in one order have their locks in that order: the later one's
//!   exchange reads, through others perhaps, what the earlier one's wrote, and so sees all the earlier one had locked.
//! - **A place that is used again** (records, ids, wide balances): goes from one owner to the next through a mutex, and the
//!   next one's first write has a release fence before it, or releases itself. A reader that meets such a write has an acquire
//!   fence, or acquires, before it looks whether what it reads is still retained.

#[cfg(shuttle)]
pub(crate) use self::checked::*;
#[cfg(not(shuttle))]
pub(crate) use self::plain::*;

pub(crate) mod atomic {
    #[cfg(not(shuttle))]
    pub(crate) use std::sync::atomic::*;

    #[cfg(shuttle)]
    pub(crate) use shuttle::sync::atomic::*;
}

#[cfg(not(shuttle))]
mod plain {
    use std::{
        cell::Cell,
        hint::spin_loop,
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
        thread,
    };

    pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};

    static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

    thread_local! {
        static THREAD: Cell<usize> = Cell::new(NEXT_THREAD.fetch_add(1, Relaxed));
    }

    /// The calling thread's own number, from 0 on.
    pub(crate) fn thread_number() -> usize {
        THREAD.get()
    }

    /// Waits a moment for somebody who holds a lock for less than a microsecond, unless it was put off its core.
    #[inline]
    pub(crate) fn pause(spins: &mut u32) {
        *spins = spins.saturating_add(1);
        if *spins < 64 && !cfg!(miri) {
            spin_loop();
        } else {
            thread::yield_now();
        }
    }
}

#[cfg(shuttle)]
mod checked {
    use std::sync::TryLockError;

    pub(crate) use shuttle::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    /// A mutex without poison, as `parking_lot` has it: a test that panics is over.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("a test that panics is over")
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            match self.0.try_lock() {
                Ok(guard) => Some(guard),
                Err(TryLockError::WouldBlock) => None,
                Err(TryLockError::Poisoned(_)) => unreachable!("a test that panics is over"),
            }
        }
    }

    /// As [`Mutex`].
    #[derive(Debug, Default)]
    pub(crate) struct RwLock<T>(shuttle::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().expect("a test that panics is over")
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().expect("a test that panics is over")
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().expect("a test that panics is over")
        }
    }

    pub(crate) fn thread_number() -> usize {
        shuttle::current::me().into()
    }

    /// Lets another thread go on: one that only waits never lets them.
    pub(crate) fn pause(spins: &mut u32) {
        *spins = spins.saturating_add(1);
        shuttle::thread::yield_now();
    }
}
