//! A queue with many at both ends.

#[cfg(not(any(loom, shuttle)))]
pub use crossbeam_queue::ArrayQueue;

#[cfg(any(loom, shuttle))]
pub use self::checked::ArrayQueue;

#[cfg(any(loom, shuttle))]
mod checked {
    use std::collections::VecDeque;

    use crate::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    };

    /// What crossbeam's queue promises: what is pushed is popped once and in order, and both ends, and who asks whether it is
    /// empty, are in the one order of sequentially consistent accesses. A push that is under way counts as one.
    #[derive(Debug)]
    pub struct ArrayQueue<T> {
        items: Mutex<VecDeque<T>>,
        len: AtomicUsize,
        capacity: usize,
    }

    #[allow(missing_docs, reason = "as crossbeam's")]
    impl<T> ArrayQueue<T> {
        pub fn new(capacity: usize) -> Self {
            Self {
                items: Mutex::default(),
                len: AtomicUsize::new(0),
                capacity,
            }
        }

        pub fn push(&self, item: T) -> Result<(), T> {
            let mut items = self.items.lock();
            if items.len() == self.capacity {
                return Err(item);
            }
            items.push_back(item);
            self.len.store(items.len(), SeqCst);
            Ok(())
        }

        pub fn pop(&self) -> Option<T> {
            if self.is_empty() {
                return None;
            }
            let mut items = self.items.lock();
            let item = items.pop_front();
            if item.is_some() {
                self.len.store(items.len(), SeqCst);
            }
            item
        }

        pub fn is_empty(&self) -> bool {
            self.len.load(SeqCst) == 0
        }
    }
}
