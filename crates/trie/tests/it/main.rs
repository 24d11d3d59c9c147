//! The state trie against a plain model of accounts and alloy's full rebuild.

mod failures;
mod model;
mod snapshots;
mod soak;
mod state_trie;
