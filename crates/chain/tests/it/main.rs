//! Imports of blocks made by hand.

mod amsterdam;
mod by_hand;
mod proof_of_work;
