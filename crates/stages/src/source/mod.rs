//! Where blocks come from.

mod files;
mod rlp;

use std::{io, sync::Arc};

use alloy_primitives::{B256, keccak256};
use alloy_rlp::Decodable;
use rapid_primitives::{Block, Header};

use crate::Origin;

pub use files::BlockFiles;
pub use rlp::{BLOCK_BYTES_MAX, BlockReader, write_block};

/// Blocks one after the other.
pub trait BlockSource: Send {
    /// The next block; `None` when there are no more.
    ///
    /// # Errors
    /// [`SourceError`]; nothing after that is readable.
    fn next_block(&mut self) -> Result<Option<RawBlock>, SourceError>;

    /// Bytes taken from where they are stored.
    fn bytes_read(&self) -> u64;

    /// Bytes there are, where that is known.
    fn bytes_total(&self) -> Option<u64> {
        None
    }
}

/// Why blocks cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("cannot read {source_name}: {error}")]
    Io {
        /// The file.
        source_name: Arc<str>,
        /// What the system says.
        error: io::Error,
    },
    /// What is there is no block.
    #[error("entry {index} of {source_name}, at byte {offset}, is not a block: {reason}")]
    Malformed {
        /// The file.
        source_name: Arc<str>,
        /// Entries before it.
        index: u64,
        /// Where it begins, after decompression.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
}

impl SourceError {
    /// Whether the file is to blame.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Malformed { .. })
    }
}

/// A block as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBlock {
    origin: Origin,
    offset: u64,
    bytes: Vec<u8>,
}

impl RawBlock {
    /// The RLP of a block, and where it was.
    #[must_use]
    pub const fn new(origin: Origin, offset: u64, bytes: Vec<u8>) -> Self {
        Self {
            origin,
            offset,
            bytes,
        }
    }

    /// Where it came from.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no bytes, which no block is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Number and hash, without decoding the body: enough to pass over blocks that the chain has.
    ///
    /// # Errors
    /// [`SourceError::Malformed`].
    pub fn header(&self) -> Result<(u64, B256), SourceError> {
        let mut rest = self.bytes.as_slice();
        let decoded = alloy_rlp::Header::decode(&mut rest).and_then(|_| {
            let from = rest;
            let header = Header::decode(&mut rest)?;
            Ok((header.number, keccak256(&from[..from.len() - rest.len()])))
        });
        decoded.map_err(|error| self.malformed(error.to_string()))
    }

    /// The block.
    ///
    /// # Errors
    /// [`SourceError::Malformed`].
    pub fn decode(&self) -> Result<Block, SourceError> {
        let mut rest = self.bytes.as_slice();
        let block = Block::decode(&mut rest).map_err(|error| self.malformed(error.to_string()))?;
        if rest.is_empty() {
            Ok(block)
        } else {
            Err(self.malformed(format!("{} bytes too many", rest.len())))
        }
    }

    fn malformed(&self, reason: String) -> SourceError {
        SourceError::Malformed {
            source_name: Arc::clone(&self.origin.source),
            index: self.origin.index,
            offset: self.offset,
            reason,
        }
    }
}
