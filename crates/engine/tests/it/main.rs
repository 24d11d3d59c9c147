//! An engine over chains of blocks made by hand.

#![allow(clippy::unwrap_used, missing_docs)]

mod bed;
mod forkchoice;
mod maker;
mod payload;
mod pool;
