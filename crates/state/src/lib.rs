//! The flat, in-memory state of the chain: accounts, storage and code, with versions and drafts. It is the only
//! owner of current state.
//!
//! - **In:** [`AccountChange`](rapid_primitives::AccountChange)s, committed by any number of writers with
//!   [`State::commit`], by a [`Draft`] that becomes canonical, or by [`State::rewind_to`].
//! - **Out:** views that implement [`ReadState`](rapid_primitives::ReadState): [`Newest`] and [`Recording`] for
//!   executors, [`Snapshot`] for everybody else, [`Draft`] for what is not canonical yet.
//! - **Owns:** memory only. No thread, no file, no clock. Trimming runs on the thread that publishes.
//! - **Must hold:**
//!   1. A commit is atomic and serialisable: it takes its [`CommitSequence`](rapid_primitives::CommitSequence) while
//!      it holds the locks of everything it read and writes. A failed commit leaves no trace.
//!   2. Versions never go back: a rewind writes old values forward under a new sequence.
//!   3. A snapshot answers with the values of its version or with [`VersionGone`], never with others.
//!   4. Reads never make entries.
//!
//! ```text
//!  writers: Recording --ReadSet--> commit -----+            +--> Newest (executors)
//!  drafts:  Draft::adopt ----------------------+--> cells --+
//!  reorgs:  rewind_to -------------------------+     |      +--> Snapshot (published version, or get_at)
//!                                                    +-- old values --> retained window --trim--> gone
//! ```
//!
//! Layout: 256 shards of accounts and 256 of slots, each behind its own lock. A slot is found by the address (which
//! picks the shard) and the account's *storage id*; wiping storage means giving the account another id, and the old
//! slots are reclaimed once no retained version refers to them. Each cell carries the sequence of its value and, for
//! the retained window, the values it had before.
//!
//! Locks are taken in one order: the sequencing stripe of the thread, account shards by index, slot shards by index,
//! code shards. Nobody who holds one waits for an earlier one.
//!
//! Metrics: `rapid_reth_state_accounts_entries`, `rapid_reth_state_slots_entries`, `rapid_reth_state_retained_bytes`,
//! `rapid_reth_state_leases_entries` (gauges, set when trimming), `rapid_reth_state_conflicts_total`,
//! `rapid_reth_state_versions_gone_total`, `rapid_reth_state_leases_overrun_total` (counters).

mod cell;
mod code;
mod commit;
mod config;
mod draft;
mod error;
mod lease;
mod locks;
mod net_change;
mod read_set;
mod rewind;
mod scan;
mod shards;
mod snapshot;
mod state;
mod stripe;
mod trim;

pub use config::{DEFAULT_LEASED_BYTES, DEFAULT_RETAINED_BYTES, StateConfig};
pub use draft::Draft;
pub use error::{AdoptError, Conflict, StateKey, VersionGone};
pub use read_set::{ReadSet, Recording};
pub use scan::{AccountScan, ScannedAccount, StorageScan};
pub use snapshot::Snapshot;
pub use state::{Newest, State, StateUsage};
