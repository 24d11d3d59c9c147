//! The durable mark: a small file that says how far the log was certainly durable.
//!
//! It is written after each sync but never synced itself, so it is a lower bound, found again after a crash of the
//! process and usually after a power loss. 16 bytes lie in one sector and are not torn.

use std::{io, path::Path, sync::Arc};

use rapid_primitives::MiniBlockNumber;

use crate::{
    frame::{u32_at, u64_at},
    storage::{Storage, StorageFile, read_up_to, write_all_at},
};

pub(crate) const MARK_FILE: &str = "durable";

const MARK_BYTES: usize = 16;
const MARK_MAGIC: u32 = u32::from_le_bytes(*b"RRDM");

#[derive(Debug)]
pub(crate) struct Mark {
    file: Arc<dyn StorageFile>,
}

impl Mark {
    /// The number in the file; 0 if there is no file or it is damaged, which claims nothing.
    pub(crate) fn read(storage: &dyn Storage, dir: &Path) -> io::Result<MiniBlockNumber> {
        let file = match storage.open(&dir.join(MARK_FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(MiniBlockNumber(0)),
            Err(error) => return Err(error),
        };
        let mut bytes = [0; MARK_BYTES];
        let read = read_up_to(&*file, &mut bytes, 0)?;
        let valid = read == MARK_BYTES
            && u32_at(&bytes, 8) == MARK_MAGIC
            && u32_at(&bytes, 12) == crc32fast::hash(&bytes[..12]);
        Ok(MiniBlockNumber(if valid { u64_at(&bytes, 0) } else { 0 }))
    }

    /// Opens the file for writing; creates it if need be.
    pub(crate) fn open(storage: &dyn Storage, dir: &Path) -> io::Result<Self> {
        let path = dir.join(MARK_FILE);
        let file = match storage.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = storage.create(&path)?;
                storage.sync_dir(dir)?;
                file
            }
            opened => opened?,
        };
        Ok(Self { file })
    }

    pub(crate) fn write(&self, number: MiniBlockNumber) -> io::Result<()> {
        let mut bytes = [0; MARK_BYTES];
        bytes[..8].copy_from_slice(&number.0.to_le_bytes());
        bytes[8..12].copy_from_slice(&MARK_MAGIC.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..12]);
        bytes[12..].copy_from_slice(&crc.to_le_bytes());
        write_all_at(&*self.file, &bytes, 0)
    }
}
