//! Atomics and fences.
//!
//! loom takes sequentially consistent accesses for acquiring and releasing ones. So there such an access also goes by one place
//! that all of them share: it is told there when it stored, and looks there before it loads. That is what their one order
//! promises, and an access that is weaker than it has to be is neither told nor looks.

#[cfg(not(any(loom, shuttle)))]
pub use std::sync::atomic::*;

#[cfg(shuttle)]
pub use shuttle::sync::atomic::*;

#[cfg(loom)]
pub use self::weak::*;

#[cfg(loom)]
mod weak {
    pub use std::sync::atomic::Ordering;

    pub use loom::sync::atomic::fence;

    use Ordering::{Acquire, Release, SeqCst};

    loom::lazy_static! {
        /// Where sequentially consistent accesses meet. Every step at it is a read-modify-write, and so sees all before it.
        static ref MEETING: loom::sync::atomic::AtomicUsize = loom::sync::atomic::AtomicUsize::new(0);
    }

    /// What an access does.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Does {
        Load,
        Store,
        Both,
    }

    fn step<R>(does: Does, order: Ordering, step: impl FnOnce() -> R) -> R {
        if order == SeqCst && does != Does::Store {
            MEETING.fetch_add(0, Acquire);
        }
        let result = step();
        if order == SeqCst && does != Does::Load {
            MEETING.fetch_add(0, Release);
        }
        result
    }

    macro_rules! atomic {
        ($name:ident, $of:ty) => {
            /// As the standard library's.
            #[derive(Debug, Default)]
            pub struct $name(loom::sync::atomic::$name);

            #[allow(missing_docs, reason = "as the standard library's")]
            impl $name {
                pub fn new(value: $of) -> Self {
                    Self(loom::sync::atomic::$name::new(value))
                }

                pub fn load(&self, order: Ordering) -> $of {
                    step(Does::Load, order, || self.0.load(order))
                }

                pub fn store(&self, value: $of, order: Ordering) {
                    step(Does::Store, order, || self.0.store(value, order));
                }

                pub fn swap(&self, value: $of, order: Ordering) -> $of {
                    step(Does::Both, order, || self.0.swap(value, order))
                }

                pub fn compare_exchange(
                    &self,
                    seen: $of,
                    value: $of,
                    order: Ordering,
                    failure: Ordering,
                ) -> Result<$of, $of> {
                    step(Does::Both, order, || {
                        self.0.compare_exchange(seen, value, order, failure)
                    })
                }

                pub fn compare_exchange_weak(
                    &self,
                    seen: $of,
                    value: $of,
                    order: Ordering,
                    failure: Ordering,
                ) -> Result<$of, $of> {
                    self.compare_exchange(seen, value, order, failure)
                }
            }
        };
    }

    macro_rules! number {
        ($name:ident, $of:ty) => {
            atomic!($name, $of);

            #[allow(missing_docs, reason = "as the standard library's")]
            impl $name {
                pub fn fetch_add(&self, value: $of, order: Ordering) -> $of {
                    step(Does::Both, order, || self.0.fetch_add(value, order))
                }

                pub fn fetch_sub(&self, value: $of, order: Ordering) -> $of {
                    step(Does::Both, order, || self.0.fetch_sub(value, order))
                }

                pub fn fetch_max(&self, value: $of, order: Ordering) -> $of {
                    step(Does::Both, order, || self.0.fetch_max(value, order))
                }

                pub fn fetch_or(&self, value: $of, order: Ordering) -> $of {
                    step(Does::Both, order, || self.0.fetch_or(value, order))
                }

                pub fn fetch_and(&self, value: $of, order: Ordering) -> $of {
                    step(Does::Both, order, || self.0.fetch_and(value, order))
                }
            }
        };
    }

    atomic!(AtomicBool, bool);
    number!(AtomicU32, u32);
    number!(AtomicU64, u64);
    number!(AtomicUsize, usize);
}
