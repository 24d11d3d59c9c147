//! The EVM compiler beside the interpreter it replaces.
//!
//! In: workloads, built in ([`catalog`]) or from files ([`fixture`]). Out: for each the interpreter's time, how many times
//! faster each tier runs, what compiling costs and when it has paid.
//!
//! What always holds:
//!
//! * Every run begins on the same state: the database does not change, and the journal is dropped after each run.
//! * Interpreter and tiers run alternately, in one thread, through the same revm and the same handler, and nothing is
//!   timed whose results and state have not been compared.
//! * Time is the thread's CPU time; wall time stands beside it.

pub(crate) mod assembler;
pub(crate) mod catalog;
mod compilation;
pub(crate) mod fixture;
pub(crate) mod instructions;
mod machine;
pub(crate) mod measure;
pub(crate) mod prepared;
pub(crate) mod solo;
mod stats;
pub(crate) mod tables;
mod verdict;
pub(crate) mod workload;
