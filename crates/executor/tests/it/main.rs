//! Blocks executed by many workers against the same blocks executed one transaction after the other.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bed;
mod dice;
mod hostile;
mod panics;
mod pieces;
mod production;
mod programs;
mod random;
mod transfers;
