//! The log on real files and on a disk that fails.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod chain;
mod checkpoint;
mod crash;
mod damage;
mod disk;
mod life;
