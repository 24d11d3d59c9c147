//! An engine over chains of blocks made by hand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access_list;
mod bed;
mod forkchoice;
mod maker;
mod payload;
mod pool;
