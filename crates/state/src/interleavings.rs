//! Tests of what threads share, under a model checker that chooses the order of their steps: see [`sync`](crate::sync).
//!
//! ```text
//! RUSTFLAGS="--cfg shuttle" cargo test -p rapid-state --release --lib interleavings
//! ```
//!
//! Each test runs under random orders and under orders with few changes of thread at random places (PCT), as often as
//! `RAPID_ITERATIONS` says of each. A failure prints its schedule, which `shuttle::replay` takes. Arenas, stripes and
//! chunks are tiny in such a build, so that a few commits fill them.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod drafts;
mod entries;
mod versions;
mod writers;

use rapid_primitives::{AccountChange, CommitSequence};
use rapid_sync::explore;

use crate::{ReadSet, State, StateConfig};

/// The states of the other tests' model.
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../tests/it/model.rs"]
mod model;

fn state(retained_bytes: usize, leased_bytes: usize) -> State {
    State::new(StateConfig {
        retained_bytes,
        leased_bytes,
    })
    .unwrap()
}

fn commit(state: &State, changes: &[AccountChange]) -> CommitSequence {
    state.commit(&ReadSet::new(), changes).unwrap()
}

/// Publishes the newest state, and has the past forgotten as far as nobody holds it.
fn publish(state: &State) -> CommitSequence {
    let cut = state.cut();
    state.publish(cut);
    cut
}

/// When nobody looks at the past, there is what exists, and nothing else.
fn check_nothing_left(state: &State) {
    commit(state, &[]);
    publish(state);
    let newest = model::Model::scan(&state.published()).unwrap();
    let usage = state.usage();
    assert_eq!(usage.retained_bytes, 0);
    assert_eq!(usage.account_entries, newest.0.len());
    assert_eq!(usage.slot_entries, newest.slot_count());
}
