//! Checkpoints: the whole state at a mini-block, so that the log before it can be trimmed.
//!
//! A file per checkpoint, named by its mini-block, written under a temporary name, synced and renamed. It is a
//! sequence of chunks, each with a checksum over its kind, place and content; the first holds the [`CheckpointMeta`],
//! the last the [`CheckpointTotals`].
//!
//! **Publish rule:** call [`CheckpointWriter::finish`] only when the log is durable past the newest value contained
//! in the checkpoint. A scan that runs while commits go on may hold values newer than its mini-block; the replay after
//! it sets absolute values and so repairs them, if those records are there.

mod format;
mod reader;
mod size;
mod writer;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_primitives::{B256, Bytes};
use rapid_primitives::MiniBlockNumber;

pub use reader::{CheckpointEntries, CheckpointEntry, CheckpointReader};
pub use size::{CheckpointSize, newest_checkpoint_size};
pub use writer::CheckpointWriter;

use crate::storage::Storage;

const SUFFIX: &str = ".checkpoint";
const TEMPORARY_SUFFIX: &str = ".checkpoint.tmp";

/// Checkpoints kept. The second is used if the newest is damaged and the log still reaches back to it.
const KEPT: usize = 2;

/// What a checkpoint is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointMeta {
    /// Replay starts with the mini-block after this one.
    pub mini_block: MiniBlockNumber,
    /// Its hash.
    pub mini_block_hash: B256,
    /// Last sealed EVM block at that point.
    pub block_number: u64,
    /// Its hash.
    pub block_hash: B256,
    /// Whatever else the owner of the state needs to start from here; at most 16 MiB.
    pub extra: Bytes,
}

/// How much a checkpoint holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointTotals {
    /// Accounts.
    pub accounts: u64,
    /// Storage slots of all accounts.
    pub slots: u64,
    /// Codes.
    pub codes: u64,
}

/// Why a checkpoint cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file is damaged. Use the one before it if the log reaches back that far.
    #[error("checkpoint {} is damaged at byte {offset}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What.
        reason: &'static str,
    },
    /// Written by another version. The operator must use that version.
    #[error("checkpoint {} has format {found}, this version reads {expected}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format of this version.
        expected: u32,
    },
    /// A code or the extra data is larger than any reader accepts. The caller must not write it.
    #[error("{bytes} bytes in one piece are above the limit of a checkpoint")]
    TooLarge {
        /// The size.
        bytes: usize,
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

impl CheckpointError {
    fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}

/// The directory of checkpoints.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    dir: PathBuf,
    storage: Arc<dyn Storage>,
}

impl Checkpoints {
    /// Opens the directory, creates it if need be, and removes unfinished files.
    ///
    /// # Errors
    /// [`CheckpointError::Io`].
    pub fn open(dir: &Path, storage: Arc<dyn Storage>) -> Result<Self, CheckpointError> {
        storage
            .create_dir(dir)
            .map_err(CheckpointError::io("create", dir))?;
        for name in storage.list(dir).map_err(CheckpointError::io("list", dir))? {
            if name.ends_with(TEMPORARY_SUFFIX) {
                let path = dir.join(name);
                storage
                    .remove(&path)
                    .map_err(CheckpointError::io("remove", &path))?;
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            storage,
        })
    }

    /// Mini-blocks there are checkpoints of, newest first.
    ///
    /// # Errors
    /// [`CheckpointError::Io`].
    pub fn list(&self) -> Result<Vec<MiniBlockNumber>, CheckpointError> {
        let names = self
            .storage
            .list(&self.dir)
            .map_err(CheckpointError::io("list", &self.dir))?;
        let mut numbers: Vec<_> = names.iter().filter_map(|name| checkpoint_number(name)).collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        Ok(numbers)
    }

    /// Opens the newest checkpoint; `None` if there is none.
    ///
    /// Head and end of the file are checked here, the rest while it is read or by [`CheckpointReader::verify`]. After
    /// [`CheckpointError::Damaged`] from any of them, try the next of [`Self::list`] with [`Self::read`]; replay from
    /// there refuses if the log was trimmed past it.
    ///
    /// # Errors
    /// [`CheckpointError`] about the newest file.
    pub fn latest(&self) -> Result<Option<CheckpointReader>, CheckpointError> {
        self.list()?.first().map(|number| self.read(*number)).transpose()
    }

    /// Opens the checkpoint of a mini-block.
    ///
    /// # Errors
    /// [`CheckpointError`] about that file; [`CheckpointError::Io`] if there is none.
    pub fn read(&self, number: MiniBlockNumber) -> Result<CheckpointReader, CheckpointError> {
        let path = self.dir.join(checkpoint_name(number));
        let file = self
            .storage
            .open(&path)
            .map_err(CheckpointError::io("open", &path))?;
        CheckpointReader::open(path, file, number)
    }

    /// Starts writing a checkpoint. Nothing is visible before [`CheckpointWriter::finish`].
    ///
    /// # Errors
    /// [`CheckpointError::Io`], [`CheckpointError::TooLarge`] for the extra data.
    pub fn create(&self, meta: &CheckpointMeta) -> Result<CheckpointWriter, CheckpointError> {
        CheckpointWriter::create(self.clone(), meta)
    }

    /// Removes all but the newest two.
    fn prune(&self) -> Result<(), CheckpointError> {
        for number in self.list()?.into_iter().skip(KEPT) {
            let path = self.dir.join(checkpoint_name(number));
            self.storage
                .remove(&path)
                .map_err(CheckpointError::io("remove", &path))?;
        }
        Ok(())
    }
}

fn checkpoint_name(number: MiniBlockNumber) -> String {
    format!("{:016x}{SUFFIX}", number.0)
}

fn checkpoint_number(name: &str) -> Option<MiniBlockNumber> {
    let number = MiniBlockNumber(u64::from_str_radix(name.strip_suffix(SUFFIX)?, 16).ok()?);
    (checkpoint_name(number) == name).then_some(number)
}
