//! Waiting a moment, and the threads' numbers.

#[cfg(not(any(loom, shuttle)))]
mod plain {
    use std::{
        cell::Cell,
        hint::spin_loop,
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
        thread,
    };

    static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

    thread_local! {
        static THREAD: Cell<usize> = Cell::new(NEXT_THREAD.fetch_add(1, Relaxed));
    }

    /// The calling thread's own number, from 0 on.
    #[inline]
    pub fn thread_number() -> usize {
        THREAD.get()
    }

    /// Waits a moment for somebody who holds a lock for less than a microsecond, unless it was put off its core.
    #[inline]
    pub fn pause(spins: &mut u32) {
        *spins = spins.saturating_add(1);
        if *spins < 64 && !cfg!(miri) {
            spin_loop();
        } else {
            thread::yield_now();
        }
    }
}

#[cfg(any(loom, shuttle))]
mod checked {
    /// The calling thread's own number, from 0 on.
    #[cfg(shuttle)]
    pub fn thread_number() -> usize {
        shuttle::current::me().into()
    }

    /// The calling thread's own number, from 0 on.
    #[cfg(loom)]
    pub fn thread_number() -> usize {
        // It shows its number in no other way.
        let shown = format!("{:?}", loom::thread::current().id());
        let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
        digits.parse().expect("an id of a thread has a number")
    }

    /// Lets another thread go on: one that only waits never lets them.
    pub fn pause(spins: &mut u32) {
        *spins = spins.saturating_add(1);
        crate::thread::yield_now();
    }
}

#[cfg(any(loom, shuttle))]
pub use self::checked::*;
#[cfg(not(any(loom, shuttle)))]
pub use self::plain::*;
