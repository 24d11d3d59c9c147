//! Incremental Merkle Patricia tries: the state root of each EVM block, storage roots, and proofs.
//!
//! - **In:** [`AccountChange`](rapid_primitives::AccountChange)s (absolute post-values, partial per account), or all
//!   accounts at once after a restart.
//! - **Out:** the state root, storage roots, account and storage proofs as `eth_getProof` serves them.
//! - **Owns:** memory only. No thread, no file, no lock: hashes are memoised behind `&self` in cells that are
//!   written once.
//! - **Always holds:** [`StateTrie::root`] is the root a full rebuild from the same accounts gives; a clone never
//!   changes, whatever happens to the trie it was taken from.
//!
//! ```text
//! StateTrie = Trie<AccountLeaf>            key: keccak256(address)
//!   leaf: nonce, balance, [code hash, Trie<U256>]  <- storage trie, key: keccak256(slot)
//! ```
//!
//! Nodes are shared between a trie and its clones, so a clone costs one reference count and is the snapshot that a
//! draft builds on and that old roots are proved from. A change copies the branches on its way down where somebody
//! else still sees them, and works in place where nobody does. Memory that only an old clone holds is freed when that
//! clone is dropped: who keeps clones bounds their number.
//!
//! All edits of a batch go down together, sorted by hashed key: each branch on the way is visited, and later hashed,
//! once per batch.
//!
//! Keys are 32 bytes, so no path has more than 64 branches: recursion, including the one that frees a trie, needs
//! at most two such paths (account and storage) of stack, well below what any thread has.

mod account;
mod build;
mod edit;
mod encode;
mod hash_cell;
mod node;
mod parallel;
mod path;
mod proof;
mod state_trie;
mod trie;

pub use proof::{AccountProof, SlotProof};
pub use state_trie::StateTrie;

#[cfg(test)]
mod model;
