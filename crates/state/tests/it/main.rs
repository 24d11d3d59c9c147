//! State as its users see it.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod commit;
mod draft;
mod lease;
mod model;
mod property;
mod rewind;
mod serial;
mod soak;
mod stress;
mod writer;
