//! Built-in chains, genesis hashes and parent-determined fees, checked against values from elsewhere.

mod built_in;
mod conformance;
mod fees;
