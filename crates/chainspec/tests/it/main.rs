//! Built-in chains, public networks, genesis hashes, parent-determined fees and refused genesis files, checked against
//! values from elsewhere.

mod built_in;
mod conformance;
mod fees;
mod networks;
mod refusals;
