//! History: sealed EVM blocks, their receipts, and the look-ups RPC needs, in MDBX.
//!
//! - **In:** sealed blocks in order ([`History::append`]), and the order to take some back ([`History::unwind_to`]).
//! - **Out:** headers, blocks, receipts and transactions by number or hash, each read in its own short transaction.
//! - **Owns:** one directory with an MDBX database; no threads of its own (the binding keeps an idle one).
//! - **Must hold:** blocks form one chain from genesis without a gap; all tables agree at every commit; storing the
//!   same block twice changes nothing; a database of another chain or schema is refused and left as it is.
//!
//! ```text
//!  sealed block --append--> CanonicalHeaders Headers HeaderNumbers BlockBodyIndices BlockMiniBlocks ...
//!                           Transactions TransactionSenders Receipts   (by a number counted over all blocks)
//!                           TransactionHashNumbers TransactionBlocks   (hash -> transaction -> block)
//! ```
//!
//! **Durability.** Commits do not wait for the disk (MDBX's safe no-sync mode): `kill -9` loses nothing, a power loss
//! goes back to the last [`History::sync`], never to a damaged database. What is lost is made again from the log, so the
//! log may be trimmed only up to the last mini-block of [`History::durable_head`]; appending is idempotent for that.

mod append;
mod codec;
mod config;
mod error;
mod history;
mod metrics;
mod open;
mod record;
mod tables;
mod unwind;
mod view;

pub use config::{ChainIdentity, HistoryConfig};
pub use error::{AppendError, HistoryError, OpenError};
pub use history::History;
pub use record::{BlockId, BlockRecord, StoredBlock, StoredReceipt, StoredTransaction};
pub use tables::Table;
