//! History: sealed EVM blocks, their receipts, what they changed, and the look-ups RPC needs, in MDBX.
//!
//! - **In:** sealed blocks in order ([`History::append`]), each with the values it changed as they were before; the order
//!   to take some back ([`History::unwind_to`]) or to forget old changes ([`History::prune_changes_below`]).
//! - **Out:** headers, blocks, receipts and transactions by number or hash, each read in its own short transaction;
//!   accounts and slots as they were after a block ([`History::state_after`]).
//! - **Owns:** one directory with an MDBX database; no threads of its own (the binding keeps an idle one).
//! - **Must hold:** blocks form one chain from genesis without a gap; all tables agree at every commit; storing the
//!   same block twice changes nothing; a database of another chain or schema is refused and left as it is; a past state
//!   that is not known is refused, never guessed.
//!
//! ```text
//!  sealed block --append--> CanonicalHeaders Headers HeaderNumbers BlockBodyIndices BlockMiniBlocks ...
//!                           Transactions TransactionSenders Receipts   (by a number counted over all blocks)
//!                           TransactionHashNumbers TransactionBlocks   (hash -> transaction -> block)
//!                           AccountHistory StorageHistory BlockChanges (what was there before the block)
//!                           Bytecodes                                  (by hash, for good)
//! ```
//!
//! **Past state.** The state itself lives elsewhere; here is what each block found where it changed something. A value
//! after block N is the value that the next change after N found: one look-up at (key, N + 1). Without a later change it
//! is the value of today. Storing a change is one insert, with nothing to read or rewrite first. The inserts of a block
//! are spread over all pages of a table, those of several blocks share them: of 50,000 random accounts a block, ten
//! blocks in one [`History::append`] are stored four times as fast as one by one (test `throughput`).
//!
//! **Durability.** Commits do not wait for the disk (MDBX's safe no-sync mode): `kill -9` loses nothing, a power loss
//! goes back to the last [`History::sync`], never to a damaged database. What is lost is made again from the log, so the
//! log may be trimmed only up to the last mini-block of [`History::durable_head`]; appending is idempotent for that.

mod append;
mod changes;
mod codec;
mod config;
mod error;
mod history;
mod lookup;
mod metrics;
mod open;
mod past;
mod prune;
mod record;
mod reverts;
mod tables;
mod unwind;
mod view;

pub use config::{ChainIdentity, ChangeRecording, HistoryConfig};
pub use error::{AppendError, HistoryError, OpenError, PastError};
pub use history::History;
pub use past::PastState;
pub use record::{BlockId, BlockRecord, StoredBlock, StoredReceipt, StoredTransaction};
pub use reverts::{AccountRevert, BlockReverts, Past};
pub use tables::Table;
