//! Imports of blocks made by hand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod amsterdam;
mod branches;
mod by_hand;
mod crash;
mod hinted;
mod lives;
mod old_checkpoint;
mod proof_of_work;
mod reorganisation;
