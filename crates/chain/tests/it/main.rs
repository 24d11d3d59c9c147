//! Imports of blocks made by hand.

mod amsterdam;
mod branches;
mod by_hand;
mod crash;
mod proof_of_work;
mod reorganisation;
