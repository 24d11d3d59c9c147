//! History on real databases.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod blocks;
mod crash;
mod opening;
mod round_trip;
mod writing;
