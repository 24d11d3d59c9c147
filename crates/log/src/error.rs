//! What can go wrong, by who must act.

use std::{io, path::PathBuf, sync::Arc};

use alloy_primitives::B256;
use rapid_primitives::{MiniBlockNumber, RecordError};

/// Why a log cannot be opened. Nothing was modified.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A record known to be durable is damaged or missing: announced mini-blocks would be lost. The operator must
    /// restore the directory (or a replica) or find out what the disk did.
    #[error(
        "log damaged before its durable end: mini-block {missing} is unreadable although everything up to \
         {durable} was durable ({reason}, {} at byte {offset})", segment.display()
    )]
    Corrupt {
        /// First mini-block that cannot be read (its number, if it were there).
        missing: MiniBlockNumber,
        /// Newest mini-block known to have been durable.
        durable: MiniBlockNumber,
        /// File with the damage.
        segment: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        reason: Damage,
    },
    /// The segment was written by another version. The operator must use that version.
    #[error("{} has log format {found}, this version reads {expected}", segment.display())]
    Format {
        /// The file.
        segment: PathBuf,
        /// Its format.
        found: u32,
        /// The format of this version.
        expected: u32,
    },
    /// The system refused. The operator must look at the disk or the permissions.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }
}

/// What is wrong with the bytes at a place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The head of the segment does not check.
    #[error("segment header does not check")]
    SegmentHeader,
    /// The head of a frame does not check.
    #[error("frame header does not check")]
    FrameHeader,
    /// The record's checksum differs.
    #[error("record does not check")]
    Record,
    /// The record does not decode, or is not the one its frame says.
    #[error("record is not the one its frame names")]
    Content,
    /// The number does not follow the one before.
    #[error("number does not follow")]
    Number,
    /// The record names another parent than the record before it.
    #[error("hash chain is broken")]
    Chain,
    /// Bytes follow where there should be none.
    #[error("stray bytes after the last record")]
    Stray,
    /// The log ends early.
    #[error("log ends early")]
    Missing,
}

/// Why the log does not take or sync a record.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A write or sync failed, now or before. The log takes nothing more and the node must stop: what reached the
    /// disk is unknown, and is found out by the next start.
    #[error("log failed to {operation}; the node must stop")]
    Fatal {
        /// What failed.
        operation: &'static str,
        /// Why.
        source: Arc<io::Error>,
    },
    /// There is no room for the next segment. Nothing was written; the call may be repeated once there is room. Ask
    /// [`crate::Log::disk_state`] before producing, and this does not occur.
    #[error("no room on the disk for a log segment of {bytes} bytes")]
    DiskFull {
        /// Size of the segment wanted.
        bytes: u64,
    },
    /// The caller skipped or repeated a number. Nothing was written.
    #[error("mini-block {found} appended where {expected} was due")]
    OutOfOrder {
        /// The number due.
        expected: MiniBlockNumber,
        /// The number given.
        found: MiniBlockNumber,
    },
    /// The caller appended a mini-block of another chain. Nothing was written.
    #[error("mini-block {number} names parent {found}, the newest is {expected}")]
    WrongParent {
        /// The mini-block.
        number: MiniBlockNumber,
        /// Hash of the newest mini-block.
        expected: B256,
        /// Parent hash given.
        found: B256,
    },
    /// The record is larger than any reader accepts. Nothing was written.
    #[error("record of {bytes} bytes is above the limit")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Old segments could not be removed; the log itself goes on.
    #[error("cannot remove old log segments")]
    Trim(#[source] io::Error),
}

/// Why records cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The log was trimmed past the wanted start. An older checkpoint does not help; a newer one does.
    #[error("log begins at mini-block {oldest}, replay needs {wanted}")]
    Trimmed {
        /// First mini-block the replay needs.
        wanted: MiniBlockNumber,
        /// First one there is.
        oldest: MiniBlockNumber,
    },
    /// The log ends before the checkpoint: it was replaced or lost its end.
    #[error("log ends at mini-block {newest}, before the checkpoint at {checkpoint}")]
    Behind {
        /// Last mini-block there is.
        newest: MiniBlockNumber,
        /// The mini-block of the checkpoint.
        checkpoint: MiniBlockNumber,
    },
    /// Log and checkpoint are of different chains.
    #[error(
        "mini-block {number} in the log belongs to another chain: expected hash {expected}, found {found}"
    )]
    OtherChain {
        /// The mini-block.
        number: MiniBlockNumber,
        /// Its hash according to the checkpoint.
        expected: B256,
        /// Its hash according to the log.
        found: B256,
    },
    /// A record checked when the log was opened and does not now.
    #[error("mini-block {number} is damaged")]
    Damaged {
        /// The mini-block.
        number: MiniBlockNumber,
        /// What is wrong.
        #[source]
        source: RecordError,
    },
    /// Bytes that checked when the log was opened do not now: the disk or memory is failing.
    #[error("log changed while it was read: {reason} at byte {offset} of {}", segment.display())]
    Changed {
        /// The file.
        segment: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        reason: Damage,
    },
    /// The system refused to read.
    #[error("cannot read the log")]
    Io(#[from] io::Error),
}
