//! The sequencer over a real chain in a temporary directory: what it publishes, seals, survives and exports.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod amsterdam;
mod bed;
mod blocks;
mod memory;
mod parallel;
mod restart;
mod shadow;
