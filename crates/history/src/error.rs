//! What can go wrong, by who must act.

use std::{io, path::PathBuf};

use alloy_primitives::B256;
use signet_libmdbx::{MdbxError, ReadError};

use crate::{ChainIdentity, Table};

/// Why a history cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database is of another chain. The operator chose the wrong directory or chain.
    #[error(
        "{} belongs to chain {} with genesis {}, not to chain {} with genesis {}",
        path.display(), found.chain_id, found.genesis_hash, expected.chain_id, expected.genesis_hash
    )]
    OtherChain {
        /// The database.
        path: PathBuf,
        /// The chain of the node.
        expected: ChainIdentity,
        /// The chain of the database.
        found: ChainIdentity,
    },
    /// The database was made by another version. The operator must use that version.
    #[error("{} has schema {found}, this version reads {expected}", path.display())]
    Schema {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The schema of this version.
        expected: u32,
    },
    /// The file is not a database of ours, or is damaged.
    #[error("{} is not a history database", path.display())]
    NotHistory {
        /// The directory.
        path: PathBuf,
    },
    /// The directory cannot be made.
    #[error("cannot create {}", path.display())]
    CreateDir {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The database refuses: in use, no permission, damaged, disk full.
    #[error("cannot open the history database {}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// Why.
        source: MdbxError,
    },
}

/// Why history cannot answer. The operator must look at the disk: nothing a caller asks for leads here.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A stored value is missing or does not decode.
    #[error("history is damaged: {reason} in table {table} at key {key}")]
    Corrupt {
        /// The table.
        table: Table,
        /// The key, in hex.
        key: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The database refuses.
    #[error("history database failed")]
    Database(#[from] MdbxError),
}

impl From<ReadError> for HistoryError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Mdbx(error) => Self::Database(error),
            // Only a fixed-size read decodes, and this is the one way it fails.
            ReadError::Decoding(_) => Self::Database(MdbxError::DecodeErrorLenDiff),
        }
    }
}

/// Why the state after a block is not told.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// What was changed since is no longer stored, or never was. The caller can ask for a newer block.
    #[error("the state after block {number} is not kept, the oldest is that after block {first}")]
    NotKept {
        /// The block asked for.
        number: u64,
        /// The first block after which the state is known.
        first: u64,
    },
    /// The block is not stored. The caller can ask for an older one.
    #[error("block {number} is not stored, the newest is {head:?}")]
    NotStored {
        /// The block asked for.
        number: u64,
        /// The newest one.
        head: Option<u64>,
    },
    /// The operator must act; see [`HistoryError`].
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// Why blocks are not appended. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The caller left out blocks.
    #[error("block {found} appended where {expected} was due")]
    Gap {
        /// The number due.
        expected: u64,
        /// The number given.
        found: u64,
    },
    /// Another block is stored at this height. The caller must unwind first.
    #[error("block {number} is {stored}, cannot store {given}")]
    Conflict {
        /// The height.
        number: u64,
        /// Hash of the stored block.
        stored: B256,
        /// Hash of the given block.
        given: B256,
    },
    /// The block's parent is not the block before it.
    #[error("block {number} has parent {found}, the block before it is {expected}")]
    Parent {
        /// The height.
        number: u64,
        /// Hash of the block before.
        expected: B256,
        /// Parent hash of the given block.
        found: B256,
    },
    /// Block 0 is not the genesis block of the chain.
    #[error("genesis block is {found}, expected {expected}")]
    Genesis {
        /// From the chain identity.
        expected: B256,
        /// Given.
        found: B256,
    },
    /// Senders, receipts and transactions of the block do not match one to one.
    #[error("block {number} has {transactions} transactions, {senders} senders and {receipts} receipts")]
    Counts {
        /// The height.
        number: u64,
        /// Number of transactions.
        transactions: usize,
        /// Number of senders.
        senders: usize,
        /// Number of receipts.
        receipts: usize,
    },
    /// A value is larger than the database takes.
    #[error("{bytes} bytes for table {table} in block {number} are above the limit")]
    TooLarge {
        /// The height.
        number: u64,
        /// The table.
        table: Table,
        /// Size of the value.
        bytes: usize,
    },
    /// The operator must act; see [`HistoryError`].
    #[error(transparent)]
    History(#[from] HistoryError),
}

impl From<MdbxError> for AppendError {
    fn from(error: MdbxError) -> Self {
        Self::History(error.into())
    }
}
