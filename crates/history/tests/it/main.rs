//! History on real databases.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod blocks;
mod crash;
mod opening;
mod past;
mod recording;
mod round_trip;
mod state_chain;
mod throughput;
mod writing;
