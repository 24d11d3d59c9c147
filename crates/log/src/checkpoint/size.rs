//! How large a checkpoint is, told from its head and end before anything is opened for writing.

use std::{fs, io, path::Path};

use rapid_primitives::MiniBlockNumber;

use super::{
    CheckpointError, CheckpointReader, CheckpointTotals, checkpoint_number,
    format::{ACCOUNT_BYTES, CODE_HEAD_BYTES, SLOT_BYTES},
};
use crate::FileStorage;

/// How much a checkpoint holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointSize {
    /// Size of the file.
    pub file_bytes: u64,
    /// What is counted at its end; `None` if that cannot be read, which opening the store will tell.
    pub totals: Option<CheckpointTotals>,
}

impl CheckpointSize {
    /// Bytes of all codes: what the file has beyond accounts and slots. Includes the few bytes of its chunks' heads, and
    /// 21 for each account that slots are put to.
    #[must_use]
    pub const fn code_bytes(&self) -> u64 {
        let Some(totals) = self.totals else { return 0 };
        self.file_bytes
            .saturating_sub(totals.accounts * ACCOUNT_BYTES)
            .saturating_sub(totals.slots * SLOT_BYTES)
            .saturating_sub(totals.codes * CODE_HEAD_BYTES)
    }
}

/// The size of the newest checkpoint in a directory whose end can be read, else of the newest; `None` if there is none.
/// Changes nothing and takes no lock.
///
/// # Errors
/// [`CheckpointError::Io`] if the directory or the newest file cannot be read.
pub fn newest_checkpoint_size(dir: &Path) -> Result<Option<CheckpointSize>, CheckpointError> {
    let mut numbers = checkpoint_numbers(dir).map_err(CheckpointError::io("list", dir))?;
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let mut unreadable = None;
    for number in numbers {
        let size = size_of(dir, number)?;
        if size.totals.is_some() {
            return Ok(Some(size));
        }
        unreadable.get_or_insert(size);
    }
    Ok(unreadable)
}

fn checkpoint_numbers(dir: &Path) -> io::Result<Vec<MiniBlockNumber>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        numbers.extend(entry?.file_name().to_str().and_then(checkpoint_number));
    }
    Ok(numbers)
}

fn size_of(dir: &Path, number: MiniBlockNumber) -> Result<CheckpointSize, CheckpointError> {
    let path = dir.join(super::checkpoint_name(number));
    let file = FileStorage::open_to_read(&path).map_err(CheckpointError::io("open", &path))?;
    let file_bytes = file.size().map_err(CheckpointError::io("read", &path))?;
    let totals = match CheckpointReader::open(path, file, number) {
        Ok(reader) => Some(reader.totals()),
        Err(error @ CheckpointError::Io { .. }) => return Err(error),
        Err(_) => None,
    };
    Ok(CheckpointSize { file_bytes, totals })
}
