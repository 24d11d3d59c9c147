//! What threads share, and how they wait: the one place that chooses between the real thing and a model checker.
//!
//! - **In:** nothing. **Out:** atomics, locks, a queue, parking, threads, the time. **Owns:** nothing.
//! - **Must hold:** in an ordinary build every item is the standard library's, `parking_lot`'s or `crossbeam`'s own, so using it
//!   costs nothing; in a build for a checker every step at which one thread may notice another goes through the checker.
//!
//! ```text
//!                          ordinary build          --cfg shuttle              --cfg loom
//!  atomics                 std                     sequentially consistent    weak orders
//!  Mutex, RwLock           parking_lot             the checker's              the checker's
//!  ArrayQueue, Parker      crossbeam               of the checker's lock      of the checker's lock
//!  what it explores        -                       random and PCT schedules   every schedule, up to some preemptions
//! ```
//!
//! [shuttle](https://docs.rs/shuttle) runs what is large, a whole state or a whole scheduler, thousands of times; it knows
//! sequential consistency only. [loom](https://docs.rs/loom) runs what is small in every order there is, and lets a read see
//! every value that the orderings of the accesses allow. What neither sees is inside of `crossbeam`'s queue and parker, and of
//! locks: they stand for what these promise.
//!
//! Under a checker everything that has a size is tiny ([`CHECKED`]), so that a few steps fill it.

#[cfg(any(loom, shuttle))]
mod explore;
mod lock;
mod park;
mod queue;
mod time;
mod wait;

pub mod atomic;
pub mod thread;

#[cfg(any(loom, shuttle))]
pub use explore::explore;
pub use lock::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use park::{Parker, Unparker};
pub use queue::ArrayQueue;
pub use time::now;
pub use wait::{pause, thread_number};

/// Whether this build is for a model checker.
pub const CHECKED: bool = cfg!(any(loom, shuttle));
