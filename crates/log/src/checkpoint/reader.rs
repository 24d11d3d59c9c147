//! Reading a checkpoint in one pass, checking everything.

use std::{path::PathBuf, sync::Arc};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use rapid_primitives::{Account, MiniBlockNumber};

use super::{
    CheckpointError, CheckpointMeta, CheckpointTotals,
    format::{
        CHUNK_HEADER_BYTES, ChunkHeader, ChunkKind, FORMAT, RawEntry, TOTALS_BYTES, decode_entry,
        decode_meta, decode_totals, meta_format,
    },
};
use crate::storage::{StorageFile, read_up_to};

/// A checkpoint whose head and end check.
#[derive(Clone, Debug)]
pub struct CheckpointReader {
    path: PathBuf,
    file: Arc<dyn StorageFile>,
    meta: CheckpointMeta,
    totals: CheckpointTotals,
    first_entries: u64,
}

/// One piece of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointEntry {
    /// An account; its slots follow.
    Account {
        /// Its address.
        address: Address,
        /// Its fields.
        account: Account,
    },
    /// A slot that is not zero.
    Slot {
        /// The account it belongs to.
        address: Address,
        /// Its key.
        slot: U256,
        /// Its value.
        value: U256,
    },
    /// A code; the hash was checked.
    Code {
        /// Keccak-256 of the code.
        hash: B256,
        /// The code.
        code: Bytes,
    },
}

impl CheckpointReader {
    pub(super) fn open(
        path: PathBuf,
        file: Arc<dyn StorageFile>,
        number: MiniBlockNumber,
    ) -> Result<Self, CheckpointError> {
        let size = file.size().map_err(CheckpointError::io("read", &path))?;
        let mut chunks = Chunks::new(path, file, 0);
        let damaged = |chunks: &Chunks, reason| chunks.damaged(0, reason);
        let kind = chunks.next(0)?;
        let format = meta_format(&chunks.content).filter(|_| kind == ChunkKind::Meta);
        let format = format.ok_or_else(|| damaged(&chunks, "it does not begin like one"))?;
        if !(1..=FORMAT).contains(&format) {
            return Err(CheckpointError::Format {
                path: chunks.path,
                found: format,
                expected: FORMAT,
            });
        }
        let meta = decode_meta(&chunks.content)
            .filter(|meta| meta.mini_block == number)
            .ok_or_else(|| damaged(&chunks, "it is not the one its name says"))?;
        let first_entries = chunks.offset;
        let totals_at = size
            .saturating_sub((CHUNK_HEADER_BYTES + TOTALS_BYTES) as u64)
            .max(first_entries);
        let mut end = Chunks::new(chunks.path.clone(), Arc::clone(&chunks.file), totals_at);
        let totals = match end.read()? {
            Some(ChunkKind::Totals) if end.offset == size => decode_totals(&end.content),
            _ => None,
        };
        let totals = totals.ok_or_else(|| chunks.damaged(totals_at, "it has no end"))?;
        Ok(Self {
            path: chunks.path,
            file: chunks.file,
            meta,
            totals,
            first_entries,
        })
    }

    /// What it is of.
    #[must_use]
    pub const fn meta(&self) -> &CheckpointMeta {
        &self.meta
    }

    /// How much it holds.
    #[must_use]
    pub const fn totals(&self) -> CheckpointTotals {
        self.totals
    }

    /// Its content in the order it was written, streamed. The state may be used only after the iterator ended without
    /// an error: damage is found where it is.
    #[must_use]
    pub fn entries(&self) -> CheckpointEntries {
        CheckpointEntries {
            chunks: Chunks::new(self.path.clone(), Arc::clone(&self.file), self.first_entries),
            position: 0,
            sequence: 1,
            address: None,
            counted: CheckpointTotals::default(),
            totals: self.totals,
            ended: false,
        }
    }

    /// Reads and checks all of it.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`], [`CheckpointError::Io`].
    pub fn verify(&self) -> Result<CheckpointTotals, CheckpointError> {
        self.entries().try_for_each(|entry| entry.map(drop))?;
        Ok(self.totals)
    }
}

/// Iterator over the content of a checkpoint. After an error it ends.
#[derive(Debug)]
pub struct CheckpointEntries {
    chunks: Chunks,
    position: usize,
    sequence: u32,
    address: Option<Address>,
    counted: CheckpointTotals,
    totals: CheckpointTotals,
    ended: bool,
}

impl CheckpointEntries {
    fn read_next(&mut self) -> Result<Option<CheckpointEntry>, CheckpointError> {
        while self.position == self.chunks.content.len() {
            let at = self.chunks.offset;
            match self.chunks.next(self.sequence)? {
                ChunkKind::Entries => {}
                ChunkKind::Totals if self.counted == self.totals => return Ok(None),
                ChunkKind::Totals => return Err(self.chunks.damaged(at, "entries are missing")),
                ChunkKind::Meta => return Err(self.chunks.damaged(at, "it begins twice")),
            }
            self.sequence += 1;
            self.position = 0;
        }
        let mut rest = &self.chunks.content[self.position..];
        let length = rest.len();
        let mut raw = decode_entry(&mut rest);
        if let Some(RawEntry::Owner(address)) = raw {
            self.address = Some(address);
            raw = decode_entry(&mut rest);
        }
        let entry = raw.and_then(|raw| {
            Some(match raw {
                RawEntry::Account(address, account) => {
                    self.address = Some(address);
                    self.counted.accounts += 1;
                    CheckpointEntry::Account { address, account }
                }
                RawEntry::Slot(slot, value) => {
                    self.counted.slots += 1;
                    CheckpointEntry::Slot {
                        address: self.address?,
                        slot,
                        value,
                    }
                }
                RawEntry::Code(hash, code) => {
                    self.counted.codes += 1;
                    let code = (keccak256(code) == hash).then(|| Bytes::copy_from_slice(code))?;
                    CheckpointEntry::Code { hash, code }
                }
                // Named twice with nothing between.
                RawEntry::Owner(_) => return None,
            })
        });
        self.position += length - rest.len();
        entry.map(Some).ok_or_else(|| {
            self.chunks
                .damaged(self.chunks.offset, "an entry does not decode")
        })
    }
}

impl Iterator for CheckpointEntries {
    type Item = Result<CheckpointEntry, CheckpointError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read_next();
        self.ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

/// Reads chunk after chunk.
#[derive(Debug)]
struct Chunks {
    path: PathBuf,
    file: Arc<dyn StorageFile>,
    /// Just after the chunk in `content`.
    offset: u64,
    content: Vec<u8>,
    sequence: u32,
}

impl Chunks {
    const fn new(path: PathBuf, file: Arc<dyn StorageFile>, offset: u64) -> Self {
        Self {
            path,
            file,
            offset,
            content: Vec::new(),
            sequence: 0,
        }
    }

    /// Reads the next chunk, which must have this sequence number.
    fn next(&mut self, sequence: u32) -> Result<ChunkKind, CheckpointError> {
        let at = self.offset;
        match self.read()? {
            Some(kind) if self.sequence == sequence => Ok(kind),
            _ => Err(self.damaged(at, "a chunk does not check")),
        }
    }

    /// Reads the next chunk; `None` if there is none that checks.
    fn read(&mut self) -> Result<Option<ChunkKind>, CheckpointError> {
        let mut bytes = [0; CHUNK_HEADER_BYTES];
        if self.fill(&mut bytes, self.offset)? < bytes.len() {
            return Ok(None);
        }
        let Some(header) = ChunkHeader::decode(&bytes) else {
            return Ok(None);
        };
        let mut content = std::mem::take(&mut self.content);
        content.resize(header.length, 0);
        let read = self.fill(&mut content, self.offset + CHUNK_HEADER_BYTES as u64)?;
        self.content = content;
        if read < header.length || !header.checks(&self.content) {
            return Ok(None);
        }
        self.offset += (CHUNK_HEADER_BYTES + header.length) as u64;
        self.sequence = header.sequence;
        Ok(Some(header.kind))
    }

    fn fill(&self, buffer: &mut [u8], offset: u64) -> Result<usize, CheckpointError> {
        read_up_to(&*self.file, buffer, offset).map_err(CheckpointError::io("read", &self.path))
    }

    fn damaged(&self, offset: u64, reason: &'static str) -> CheckpointError {
        CheckpointError::Damaged {
            path: self.path.clone(),
            offset,
            reason,
        }
    }
}
