//! The one place where anything becomes canonical: mini-blocks are published here, blocks are sealed here, and a
//! restart finds here what it had announced.
//!
//! - **In:** sealed mini-blocks and assembled blocks from the one [`Driver`]; blocks to import.
//! - **Out:** the [`View`] every reader sees (one pointer load), lookups of blocks and transactions, receipt waiters,
//!   [`ChainEvent`]s.
//! - **Owns:** the published view, the log and the checkpoints, the recent blocks with their tries, and the thread
//!   `chain-history` that moves sealed blocks into history, writes checkpoints and trims the log.
//! - **Must hold:** commit, then publish, then answer: what a reader can see is in the log under its durability
//!   policy. Numbers never skip. A view is never torn: its blocks, its state and its receipts belong together.
//!
//! ```text
//!  driver: append -> wait announceable -> publish --> View (ArcSwap) --> rpc, subscriptions, waiters
//!             |                              |
//!            log <-- trim -- chain-history <-+-- seal (header, trie, version)
//!                              |-> history (MDBX), checkpoints
//! ```

mod advance;
mod amsterdam;
mod assembly;
mod background;
mod block_receipts;
mod chain;
mod checked;
mod checkpoint;
mod driver;
mod effort;
mod error;
mod execute;
mod genesis;
mod hinted;
mod import;
mod invalid;
mod lookup;
mod ommers;
mod past;
mod precedence;
mod recent;
mod record;
mod recovery;
mod reverts;
mod stored_size;
mod tree;
mod view;
mod waiters;

pub use assembly::{BlockAssembly, FinishedBlock};
pub use chain::{Chain, ChainConfig, ChainEvent, EVENT_QUEUE_LEN};
pub use checked::{CheckedBlock, RecoveredBlock, recover_senders};
pub use driver::Driver;
pub use effort::{Effort, ImportWork, Stopwatch, process_cpu_time, thread_cpu_time};
pub use error::{ChainError, ImportError, OpenError};
pub use hinted::ExecutionMode;
pub use import::{HeadChange, ImportSummary, Importer};
pub use lookup::TransactionAt;
pub use past::{PastReadError, PastState, StateAt};
pub use precedence::Precedence;
pub use rapid_executor::BlockHint;
pub use recovery::{Opened, Tip};
pub use stored_size::StoredSize;
pub use view::{OpenBlock, View};
pub use waiters::{Included, ReceiptWaiter};
