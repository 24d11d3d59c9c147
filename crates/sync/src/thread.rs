//! Threads.

#[cfg(not(any(loom, shuttle)))]
pub use std::thread::{Builder, JoinHandle, spawn, yield_now};

#[cfg(shuttle)]
pub use shuttle::thread::{Builder, JoinHandle, spawn, yield_now};

#[cfg(loom)]
pub use self::roomy::*;

/// loom's threads, with a stack that more than a toy fits on.
#[cfg(loom)]
mod roomy {
    use std::io;

    pub use loom::thread::{JoinHandle, yield_now};

    /// 256 KiB.
    const STACK_WORDS: usize = 1 << 15;

    /// As the standard library's.
    #[derive(Debug)]
    pub struct Builder(loom::thread::Builder);

    #[allow(missing_docs, reason = "as the standard library's")]
    impl Builder {
        #[allow(clippy::new_without_default, reason = "the standard library's has none")]
        pub fn new() -> Self {
            Self(loom::thread::Builder::new().stack_size(STACK_WORDS))
        }

        pub fn name(self, name: String) -> Self {
            Self(self.0.name(name))
        }

        pub fn spawn<T: Send + 'static>(
            self,
            work: impl FnOnce() -> T + Send + 'static,
        ) -> io::Result<JoinHandle<T>> {
            self.0.spawn(work)
        }
    }

    /// As the standard library's.
    pub fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        Builder::new().spawn(work).expect("loom starts threads")
    }
}
