//! Locks without poison, as `parking_lot` has them: a test that panics is over.

#[cfg(not(any(loom, shuttle)))]
pub use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

#[cfg(any(loom, shuttle))]
pub use self::checked::*;

#[cfg(any(loom, shuttle))]
mod checked {
    use std::sync::TryLockError;

    #[cfg(loom)]
    use loom::sync as checker;
    #[cfg(shuttle)]
    use shuttle::sync as checker;

    pub use checker::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    /// A mutex without poison.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(checker::Mutex<T>);

    #[allow(missing_docs, reason = "as parking_lot's")]
    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(checker::Mutex::new(value))
        }

        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("a test that panics is over")
        }

        pub fn into_inner(self) -> T {
            self.0.into_inner().expect("a test that panics is over")
        }

        pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            match self.0.try_lock() {
                Ok(guard) => Some(guard),
                Err(TryLockError::WouldBlock) => None,
                Err(TryLockError::Poisoned(_)) => unreachable!("a test that panics is over"),
            }
        }
    }

    /// As [`Mutex`].
    #[derive(Debug, Default)]
    pub struct RwLock<T>(checker::RwLock<T>);

    #[allow(missing_docs, reason = "as parking_lot's")]
    impl<T> RwLock<T> {
        pub fn new(value: T) -> Self {
            Self(checker::RwLock::new(value))
        }

        pub fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().expect("a test that panics is over")
        }

        pub fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().expect("a test that panics is over")
        }

        pub fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().expect("a test that panics is over")
        }
    }
}
