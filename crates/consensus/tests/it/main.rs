//! The rules against headers that obey them, headers that break one of them, and a chain made by others.

mod body;
mod chains;
mod conformance;
mod difficulty;
mod header;
mod mirror;
mod ommers;
