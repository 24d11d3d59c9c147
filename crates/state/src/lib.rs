//! The flat, in-memory state of the chain: accounts, storage and code, with versions and drafts. It is the only
//! owner of current state.
//!
//! - **In:** [`AccountChange`](rapid_primitives::AccountChange)s, committed by any number of writers with
//!   [`State::commit`] or a [`Writer`] of their own, by a [`Draft`] that becomes canonical, or by [`State::rewind_to`].
//! - **Out:** views that implement [`ReadState`](rapid_primitives::ReadState): [`Newest`] and [`Recording`] for
//!   executors, [`Snapshot`] for everybody else, [`Draft`] for what is not canonical yet.
//! - **Owns:** memory only. No thread, no file, no clock. Trimming runs on the thread that publishes.
//! - **Must hold:**
//!   1. A commit is atomic and serialisable: it takes its [`CommitSequence`](rapid_primitives::CommitSequence) while
//!      it holds the locks of everything it read and writes. A failed commit leaves no trace.
//!   2. Versions never go back: a rewind writes old values forward under a new sequence.
//!   3. A version has the fees that its commits withheld, and no others.
//!   4. A snapshot answers with the values of its version or with [`VersionGone`], never with others.
//!   5. Reads never make entries. A draft that is discarded, and a commit that fails, leave none.
//!
//! ```text
//!  writers: Recording --ReadSet--> Writer -----+            +--> Newest (executors)
//!  drafts:  Draft::adopt ----------------------+--> cells --+
//!  reorgs:  rewind_to -------------------------+     |      +--> Snapshot (published version, or get_at)
//!                                                    +-- old values --> retained window --trim--> gone
//! ```
//!
//! Accounts and slots are entries of fixed size in arenas, with stable ids, found through an index that readers search
//! without a lock. An entry has the value, the sequence of its commit, and a reference to the value before it, kept in its
//! writer's ring once per entry and cut. Commits lock the entries they write and nothing else.
//!
//! What all transactions of a block add to would make them wait for each other. So a commit may have [`Credit`]s, which are
//! added to what is there without having been read, and a fee that is withheld: it stays with the writer, and the
//! beneficiary gets all of them when the next version is made, in a commit of their own.
//!
//! A slot is found by the account's *storage* and the slot; wiping storage means giving the account another one, and the old
//! slots are swept away once no retained version refers to them. A draft that writes a key nobody has committed
//! reserves its entry, so a key has one id everywhere: that is what the trie refers to.
//!
//! Readers take no lock, and commits only those of entries: what that rests on is in `sync.rs`, and `.ci/run interleavings` runs it
//! under two model checkers.
//!
//! Metrics: `rapid_reth_state_accounts_entries`, `rapid_reth_state_slots_entries`, `rapid_reth_state_table_bytes`,
//! `rapid_reth_state_retained_bytes`, `rapid_reth_state_leases_entries` (gauges, set when trimming),
//! `rapid_reth_state_conflicts_total`, `rapid_reth_state_versions_gone_total`, `rapid_reth_state_leases_overrun_total`
//! (counters).

#[cfg(all(test, any(loom, shuttle)))]
extern crate self as rapid_state;

mod account;
mod batch;
mod code;
mod commit;
mod config;
mod cuts;
mod draft;
mod entry;
mod error;
mod guesses;
mod hash;
mod index;
#[cfg(all(test, shuttle))]
mod interleavings;
mod layout;
mod lease;
mod net_change;
mod prefetch;
mod read_set;
mod region;
mod reservation;
mod rewind;
mod scan;
mod snapshot;
mod state;
mod storages;
mod sweep;
mod sync;
mod table;
mod tables;
mod trim;
mod undo;
mod view;
#[cfg(all(test, loom))]
mod weak_orders;
mod wide_balance;
mod withheld;
mod writer;
mod writers;

pub use config::{DEFAULT_LEASED_BYTES, DEFAULT_RETAINED_BYTES, StateConfig};
pub use draft::{Draft, DraftFilling, DraftReader};
pub use error::{AdoptError, Conflict, StateKey, VersionGone};
pub use read_set::{ReadSet, Recording};
pub use region::{OutOfMemory, prefetch};
pub use scan::{AccountScan, ScannedAccount, ScannedSlot, SlotScan, StorageScan};
pub use snapshot::Snapshot;
pub use state::{Newest, State, StateUsage};
pub use storages::StorageId;
pub use view::{AccountId, SlotId, StateView};
pub use writer::{Commit, Committed, Credit, Writer};
