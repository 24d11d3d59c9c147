//! Writing a checkpoint in one pass.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, U256};
use rapid_primitives::Account;

use super::{
    CheckpointError, CheckpointMeta, CheckpointTotals, Checkpoints, TEMPORARY_SUFFIX, checkpoint_name,
    format::{
        CHUNK_BYTES, CHUNK_HEADER_BYTES, ChunkHeader, ChunkKind, MAX_PIECE_BYTES, encode_account,
        encode_code, encode_meta, encode_owner, encode_slot, encode_totals,
    },
};
use crate::storage::{StorageFile, write_all_at};

/// Written bytes are synced at this distance, and no faster than [`BYTES_PER_SECOND`]: a long queue at the disk would
/// be felt by every `fdatasync` of the log.
const SYNC_BYTES: u64 = 8 << 20;
const BYTES_PER_SECOND: u64 = 256 << 20;

/// A checkpoint being written. Dropped without [`Self::finish`] it leaves nothing behind.
#[derive(Debug)]
pub struct CheckpointWriter {
    checkpoints: Checkpoints,
    temporary: PathBuf,
    target: PathBuf,
    file: Arc<dyn StorageFile>,
    started: Instant,
    offset: u64,
    synced: u64,
    sequence: u32,
    entries: Vec<u8>,
    /// The account named last.
    owner: Option<Address>,
    totals: CheckpointTotals,
    finished: bool,
}

impl CheckpointWriter {
    pub(super) fn create(checkpoints: Checkpoints, meta: &CheckpointMeta) -> Result<Self, CheckpointError> {
        if meta.extra.len() > MAX_PIECE_BYTES {
            return Err(CheckpointError::TooLarge {
                bytes: meta.extra.len(),
            });
        }
        let temporary = checkpoints
            .dir
            .join(format!("{:016x}{TEMPORARY_SUFFIX}", meta.mini_block.0));
        let target = checkpoints.dir.join(checkpoint_name(meta.mini_block));
        let file = checkpoints
            .storage
            .create(&temporary)
            .map_err(CheckpointError::io("create", &temporary))?;
        let mut writer = Self {
            checkpoints,
            temporary,
            target,
            file,
            started: Instant::now(),
            offset: 0,
            synced: 0,
            sequence: 0,
            entries: Vec::new(),
            owner: None,
            totals: CheckpointTotals::default(),
            finished: false,
        };
        writer.chunk(ChunkKind::Meta, &encode_meta(meta))?;
        Ok(writer)
    }

    /// Writes an account.
    ///
    /// # Errors
    /// [`CheckpointError::Io`]; the checkpoint must then be dropped.
    pub fn account(&mut self, address: Address, account: &Account) -> Result<(), CheckpointError> {
        encode_account(&mut self.entries, address, account);
        self.owner = Some(address);
        self.totals.accounts += 1;
        self.flush_full()
    }

    /// Writes a slot of an account, which was written before it. A slot with value zero is left out: it is absent.
    ///
    /// Slots of one account in a row take least.
    ///
    /// # Errors
    /// [`CheckpointError::Io`]; the checkpoint must then be dropped.
    pub fn slot(&mut self, address: Address, slot: U256, value: U256) -> Result<(), CheckpointError> {
        if value.is_zero() {
            return Ok(());
        }
        if self.owner != Some(address) {
            encode_owner(&mut self.entries, address);
            self.owner = Some(address);
        }
        encode_slot(&mut self.entries, slot, value);
        self.totals.slots += 1;
        self.flush_full()
    }

    /// Writes a code with its Keccak-256. Each code is needed once, before or after the accounts that have it.
    ///
    /// # Errors
    /// [`CheckpointError::TooLarge`] above 16 MiB; [`CheckpointError::Io`], and the checkpoint must then be dropped.
    pub fn code(&mut self, hash: B256, code: &[u8]) -> Result<(), CheckpointError> {
        if code.len() > MAX_PIECE_BYTES {
            return Err(CheckpointError::TooLarge { bytes: code.len() });
        }
        encode_code(&mut self.entries, hash, code);
        self.totals.codes += 1;
        self.flush_full()
    }

    /// Completes the file, makes it durable and visible, and removes all but the newest two checkpoints.
    ///
    /// Call it only when the log is durable past the newest value contained.
    ///
    /// # Errors
    /// [`CheckpointError::Io`]; the older checkpoints are then untouched, unless it failed to remove them.
    pub fn finish(mut self) -> Result<CheckpointTotals, CheckpointError> {
        self.flush()?;
        let totals = encode_totals(&self.totals);
        self.chunk(ChunkKind::Totals, &totals)?;
        self.file
            .sync()
            .map_err(CheckpointError::io("sync", &self.temporary))?;
        let Checkpoints { dir, storage } = &self.checkpoints;
        storage
            .rename(&self.temporary, &self.target)
            .map_err(CheckpointError::io("rename", &self.temporary))?;
        self.finished = true;
        storage.sync_dir(dir).map_err(CheckpointError::io("sync", dir))?;
        self.checkpoints.prune()?;
        Ok(self.totals)
    }

    /// Path of the unfinished file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    fn flush_full(&mut self) -> Result<(), CheckpointError> {
        if self.entries.len() < CHUNK_BYTES {
            Ok(())
        } else {
            self.flush()
        }
    }

    fn flush(&mut self) -> Result<(), CheckpointError> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let mut entries = std::mem::take(&mut self.entries);
        self.chunk(ChunkKind::Entries, &entries)?;
        entries.clear();
        self.entries = entries;
        self.pace()
    }

    fn chunk(&mut self, kind: ChunkKind, content: &[u8]) -> Result<(), CheckpointError> {
        let header = ChunkHeader::encode(content, self.sequence, kind);
        let write = CheckpointError::io("write", &self.temporary);
        write_all_at(&*self.file, &header, self.offset)
            .and_then(|()| write_all_at(&*self.file, content, self.offset + CHUNK_HEADER_BYTES as u64))
            .map_err(write)?;
        self.offset += (CHUNK_HEADER_BYTES + content.len()) as u64;
        self.sequence += 1;
        Ok(())
    }

    fn pace(&mut self) -> Result<(), CheckpointError> {
        if self.offset - self.synced < SYNC_BYTES {
            return Ok(());
        }
        self.file
            .sync()
            .map_err(CheckpointError::io("sync", &self.temporary))?;
        self.synced = self.offset;
        let budget = Duration::from_micros(self.offset.saturating_mul(1_000_000) / BYTES_PER_SECOND);
        thread::sleep(budget.saturating_sub(self.started.elapsed()));
        Ok(())
    }
}

impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = self.checkpoints.storage.remove(&self.temporary)
        {
            tracing::warn!(target: "log", %error, "Cannot remove an unfinished checkpoint; the next start does it");
        }
    }
}
