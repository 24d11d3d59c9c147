//! How much state a directory holds, before any of it is opened.

use std::{fs, io, path::Path};

use rapid_chainspec::ChainSpec;
use rapid_log::newest_checkpoint_size;

use crate::{ChainConfig, OpenError, genesis::genesis_allocation};

/// What a start will load, as far as it can be told without loading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredSize {
    /// Accounts of the newest checkpoint, or of genesis.
    pub accounts: u64,
    /// Their slots.
    pub slots: u64,
    /// Their codes.
    pub code_bytes: u64,
    /// Size of a checkpoint whose counts cannot be read; the others are 0 then.
    pub uncounted_bytes: u64,
    /// Segments of the log: what came after the checkpoint is in them, among other things.
    pub log_bytes: u64,
}

impl ChainConfig {
    /// Looks how much state the directory holds. Changes nothing and takes no lock.
    ///
    /// # Errors
    /// [`OpenError::Checkpoint`] if a checkpoint cannot be read.
    pub fn stored_size(&self, spec: &ChainSpec) -> Result<StoredSize, OpenError> {
        let log_bytes = file_bytes(&self.dir.join("log"));
        let Some(checkpoint) = newest_checkpoint_size(&self.dir.join("checkpoints"))? else {
            return Ok(StoredSize {
                log_bytes,
                ..genesis_size(spec)
            });
        };
        Ok(match checkpoint.totals {
            Some(totals) => StoredSize {
                accounts: totals.accounts,
                slots: totals.slots,
                code_bytes: checkpoint.code_bytes(),
                uncounted_bytes: 0,
                log_bytes,
            },
            None => StoredSize {
                uncounted_bytes: checkpoint.file_bytes,
                log_bytes,
                ..StoredSize::default()
            },
        })
    }
}

fn genesis_size(spec: &ChainSpec) -> StoredSize {
    let mut size = StoredSize::default();
    for change in genesis_allocation(spec) {
        size.accounts += 1;
        size.slots += change.storage.len() as u64;
        size.code_bytes += change.code.map_or(0, |code| code.code.len() as u64);
    }
    size
}

/// Bytes of the files in a directory; 0 where it cannot be read, which opening the store will tell.
fn file_bytes(dir: &Path) -> u64 {
    let sizes = || -> io::Result<u64> {
        let mut bytes = 0;
        for entry in fs::read_dir(dir)? {
            bytes += entry?.metadata()?.len();
        }
        Ok(bytes)
    };
    sizes().unwrap_or(0)
}
