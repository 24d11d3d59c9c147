//! Incremental Merkle Patricia tries: the state root of each EVM block, storage roots, and proofs.
//!
//! - **In:** [`AccountChange`](rapid_primitives::AccountChange)s together with the state after them, which the trie reads
//!   through [`TrieState`], as the node's [`StateView`](rapid_state::StateView); or all of a state at once after a restart.
//! - **Out:** the state root, storage roots, account and storage proofs as `eth_getProof` serves them.
//! - **Owns:** memory only: one arena in reserved address space for all versions, the [`Forest`]. No thread, no file.
//!   Locks are held for the bookkeeping of memory and versions, never while a trie is read.
//! - **Always holds:** [`StateTrie::root`] is the root a full rebuild from the same state gives; a clone never changes,
//!   whatever happens to the trie it was taken from; an operation that fails has changed nothing.
//!
//! ```text
//! changes --> ops, sorted by hashed key           changes    keys hashed in batches
//!                |
//!                v  account trie, then all storage tries at once
//!             plan: down, level by level          plan       nothing is changed, everything is prefetched
//!             combine: up, children first         combine    structure only; copies what other versions see
//!                |
//!                v  root asked for
//!             dirty nodes, level by level         hash       leaves, storage, contracts, accounts; in batches
//! ```
//!
//! A node is a branch: masks, an extension of any length, a 32-bit reference and a hash per child. Leaves have no
//! memory: a reference to a leaf is its place in the state, where key and value are. Accounts with storage have a small
//! node that holds the root of it. So two leaves are the same if their places are, and the hashed key of a leaf is
//! computed only when the leaf changes or has to move.
//!
//! `chain` tells what the forest holds: `rapid_reth_trie_used_bytes`, `rapid_reth_trie_committed_bytes`,
//! `rapid_reth_trie_versions_entries` (gauges). Its limit is 64 GiB; beyond it a change is refused with the numbers.
//!
//! Keys are 32 bytes, so no path has more than 64 branches, and recursion is bounded by that.

mod apply;
mod arena;
mod batch;
mod build;
mod changes;
mod combine;
mod error;
mod forest;
mod hash;
mod heap;
mod leaves;
#[cfg(test)]
mod model;
mod node;
mod parts;
mod path;
mod plan;
mod proof;
mod rlp;
#[cfg(test)]
mod soak;
mod sort;
mod state;
mod state_trie;
mod view;
mod writer;

pub use error::TrieError;
pub use forest::{Forest, ForestUsage};
pub use proof::{AccountProof, SlotProof};
pub use state::TrieState;
pub use state_trie::StateTrie;
