//! The state trie against a plain model of accounts and alloy's full rebuild.

mod model;
mod snapshots;
mod state_trie;
