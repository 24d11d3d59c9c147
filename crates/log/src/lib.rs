//! The mini-block log and the checkpoints that shorten it: what a node recovers from.
//!
//! - **In:** sealed records in order ([`Log::append`]); accounts, slots and code for a checkpoint.
//! - **Out:** the same records after a restart ([`Recovery`]), how far they are durable ([`Log::durable`]), the newest
//!   usable checkpoint ([`Checkpoints::latest`]), and whether the disk has room ([`Log::disk_state`]).
//! - **Owns:** a directory of segment files with a mark file, a directory of checkpoint files, the thread
//!   `log-segments` that makes the next segment and reads the free space, and, for the grouped policies, the thread
//!   `log-sync`.
//! - **Must hold:** what was announceable under the [`Durability`] policy is recovered, or the log refuses to open
//!   and changes nothing; what is recovered is a prefix of what was appended (and not trimmed), without a gap, cut at
//!   the first record that a power loss took; after any failed write or sync the log takes nothing more; the appender
//!   never waits for a file to be allocated unless the disk is slower than the records come.
//!
//! ```text
//!  append --pwrite--> [seg 7 ....][seg 8 ..    ][seg 9, zeroed ahead by log-segments]
//!                                      ^ sync = fdatasync, then `durable` (mark file, unsynced: a lower bound)
//!  open: scan all --> damage at or before the durable mark? refuse : cut the tail, zero it, write again what may
//!        not be durable, sync --> (Log, Recovery)
//! ```
//!
//! The durable mark is the larger of the mark file and of what intact frames claim: each frame carries the number that
//! was durable when it was written.

mod checkpoint;
mod config;
mod durability;
mod error;
mod frame;
mod log;
mod mark;
mod metrics;
mod progress;
mod recovery;
mod repair;
mod scan;
mod segment;
mod spare;
mod storage;
mod window;

pub use checkpoint::{
    CheckpointEntries, CheckpointEntry, CheckpointError, CheckpointMeta, CheckpointReader, CheckpointSize,
    CheckpointTotals, CheckpointWriter, Checkpoints, newest_checkpoint_size,
};
pub use config::{DiskState, LogConfig};
pub use durability::{Durability, DurabilityParseError};
pub use error::{Damage, LogError, OpenError, RecoveryError};
pub use log::Log;
pub use recovery::{Records, Recovery};
pub use storage::{FileStorage, Storage, StorageFile};
