//! Built-in chains, public networks, genesis hashes and parent-determined fees, checked against values from
//! elsewhere.

mod built_in;
mod conformance;
mod fees;
mod networks;
