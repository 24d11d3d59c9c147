//! Entries, commits and cuts, in every order of steps there is and with every value that the orders of memory accesses allow.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p rapid-state --lib weak_orders
//! ```
//!
//! Each test explores all schedules with at most so many preemptions, or as many as `LOOM_MAX_PREEMPTIONS` says. It sees
//! what the tests in `interleavings` cannot: that an order is too weak. It is slow, so what a test does is little.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod commits;
mod cuts;
mod entries;

use rapid_sync::explore;

use crate::{State, StateConfig};

/// The states of the other tests' model.
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../tests/it/model.rs"]
mod model;

fn state() -> State {
    State::new(StateConfig {
        retained_bytes: 0,
        leased_bytes: usize::MAX / 2,
    })
    .unwrap()
}
