//! What a block does besides its transactions, over a state that is a map.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access_list;
mod alike;
mod bed;
mod compiled;
mod keccak;
mod post_block;
mod programs;
mod shadow;
mod system_calls;
mod withheld_fee;
