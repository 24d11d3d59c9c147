//! The program as an operator meets it: exit codes, messages, files, signals.

#![allow(clippy::unwrap_used)]

mod ledgers;
mod memory;
mod process;
mod refusals;
mod start;
