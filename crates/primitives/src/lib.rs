//! The types every other crate speaks: numbers, transactions, state changes and the sealed mini-block record.
//!
//! - **In:** nothing; this crate does no I/O, has no threads, no clock and no async.
//! - **Out:** plain values with one canonical encoding (RLP) and one hash.
//! - **Owns:** the record format. A [`SealedMiniBlock`] is encoded once; the same bytes are the log entry, the stream
//!   frame, the subscription source and the tail of a checkpoint.
//! - **Must hold:** `decode(encode(x)) == x`; decoding arbitrary bytes never panics and never allocates more than a
//!   small multiple of the input; the hash of a mini-block covers its content and its predecessor.
//!
//! ```text
//!  execution --AccountChange per transaction--> DiffBuilder --StateDiff--> MiniBlock --seal--> SealedMiniBlock (bytes, hash)
//!      +-------what it touched, from Amsterdam on--> AccessDelta --^
//! ```

mod access;
mod block;
mod change;
mod diff;
mod diff_builder;
mod environment;
mod memory;
mod mini_block;
mod number;
mod record;
mod state_access;

pub use access::{AccessDelta, AccessDeltaError, AccessListMerger, AmsterdamDelta};
pub use block::{Block, BlockBody, Header, Receipt, Recovered, SealedBlock, TransactionSigned};
pub use change::{Account, AccountChange, CodeChange, Fate};
pub use diff::{FateAt, StateDiff, collapse_between, collapse_slots};
pub use diff_builder::DiffBuilder;
pub use environment::BlockEnvironment;
pub use memory::{MemoryPressure, MemoryPressureCell};
pub use mini_block::{
    AmsterdamClose, BlockClose, BlockPosition, MiniBlock, MiniBlockBody, MiniBlockHeader, ProofOfWorkSeal,
    Rewind, SealedMiniBlock,
};
pub use number::{CommitSequence, MiniBlockNumber, TransactionIndex};
pub use record::{MAX_RECORD_BYTES, RecordError};
pub use state_access::{ReadState, WriteState};
