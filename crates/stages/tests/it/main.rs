//! The pipeline over chains made by hand, and what it does with files that are not what they should be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bed;
mod check;
mod damage;
mod pipeline;
mod restart;
