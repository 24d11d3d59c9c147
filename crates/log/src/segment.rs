//! Segment files: named by index, preallocated, zeroed, with a 32-byte head.
//!
//! A file is made under a temporary name, zeroed, synced and renamed, so a file with a segment's name is complete. It is
//! zeroed by writing and not only reserved: the first write to a reserved block changes the file system's metadata,
//! and each `fdatasync` would then wait for its journal.
//!
//! A segment gets its first record only when the one before it holds one. So an empty segment before one with records
//! has lost its own.
//!
//! ```text
//! 0  "RRETHLOG"                 8 bytes
//! 8  format                     u32 LE
//! 12 crc of these 32 bytes      u32, itself as zero
//! 16 index                      u64
//! 24 salt of the frames' crc    u64
//! ```

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    frame::{Place, u32_at, u64_at},
    storage::{Storage, StorageFile, write_all_at},
};

/// Version of the segment format.
pub(crate) const FORMAT: u32 = 1;

pub(crate) const SEGMENT_HEADER_BYTES: u64 = 32;

const MAGIC: &[u8; 8] = b"RRETHLOG";
const SUFFIX: &str = ".log";
const TEMPORARY_SUFFIX: &str = ".log.tmp";

/// Zeros are written in pieces of this size, and synced every [`ZERO_SYNC_BYTES`], so that the disk's queue stays
/// short for the log's own `fdatasync`.
const ZERO_PIECE_BYTES: u64 = 1 << 20;
const ZERO_SYNC_BYTES: u64 = 4 << 20;

/// An open segment file.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) index: u64,
    pub(crate) salt: u64,
    pub(crate) capacity: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn StorageFile>,
}

/// What the head of a segment file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentHeader {
    Valid { salt: u64 },
    OtherFormat(u32),
    Damaged,
}

impl Segment {
    pub(crate) const fn place(&self, offset: u64) -> Place {
        Place {
            segment: self.index,
            salt: self.salt,
            offset,
        }
    }

    /// Makes a segment of at least `bytes` that holds no records.
    pub(crate) fn create(storage: &dyn Storage, dir: &Path, index: u64, bytes: u64) -> io::Result<Self> {
        let capacity = bytes.max(SEGMENT_HEADER_BYTES).next_multiple_of(4096);
        let temporary = dir.join(format!("{index:016x}{TEMPORARY_SUFFIX}"));
        let path = dir.join(segment_name(index));
        let file = storage.create(&temporary)?;
        let salt = RandomState::new().build_hasher().finish();
        let filled = fill(&*file, capacity, &encode_header(index, salt))
            .and_then(|()| storage.rename(&temporary, &path))
            .and_then(|()| storage.sync_dir(dir));
        if let Err(error) = filled {
            // A half-made file holds blocks a full disk needs. If it cannot be removed, the next start does it.
            let _ = storage.remove(&temporary);
            return Err(error);
        }
        Ok(Self {
            index,
            salt,
            capacity,
            path,
            file,
        })
    }
}

fn fill(file: &dyn StorageFile, capacity: u64, header: &[u8]) -> io::Result<()> {
    file.allocate(capacity)?;
    let zeros = vec![0; ZERO_PIECE_BYTES.min(capacity) as usize];
    let mut offset = 0;
    while offset < capacity {
        let piece = ZERO_PIECE_BYTES.min(capacity - offset);
        write_all_at(file, &zeros[..piece as usize], offset)?;
        offset += piece;
        if offset % ZERO_SYNC_BYTES == 0 {
            file.sync()?;
        }
    }
    write_all_at(file, header, 0)?;
    file.sync()
}

fn encode_header(index: u64, salt: u64) -> [u8; SEGMENT_HEADER_BYTES as usize] {
    let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[16..24].copy_from_slice(&index.to_le_bytes());
    bytes[24..32].copy_from_slice(&salt.to_le_bytes());
    let crc = crc32fast::hash(&bytes);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Reads the head of the segment with this index.
pub(crate) fn read_header(bytes: &[u8], index: u64) -> SegmentHeader {
    let Some(bytes) = bytes.first_chunk::<{ SEGMENT_HEADER_BYTES as usize }>() else {
        return SegmentHeader::Damaged;
    };
    let mut unsigned = *bytes;
    unsigned[12..16].fill(0);
    if &bytes[..8] != MAGIC || u32_at(bytes, 12) != crc32fast::hash(&unsigned) || u64_at(bytes, 16) != index {
        return SegmentHeader::Damaged;
    }
    match u32_at(bytes, 8) {
        FORMAT => SegmentHeader::Valid {
            salt: u64_at(bytes, 24),
        },
        other => SegmentHeader::OtherFormat(other),
    }
}

pub(crate) fn segment_name(index: u64) -> String {
    format!("{index:016x}{SUFFIX}")
}

/// Index of a segment from its file name.
pub(crate) fn segment_index(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let index = u64::from_str_radix(digits, 16).ok()?;
    (segment_name(index) == name).then_some(index)
}

pub(crate) fn is_temporary(name: &str) -> bool {
    name.ends_with(TEMPORARY_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(segment_index(&segment_name(0x1f)), Some(0x1f));
        for name in [
            "1f.log",
            "000000000000001F.log",
            "durable",
            "000000000000001f.log.tmp",
            "+00000000000001f.log",
        ] {
            assert_eq!(segment_index(name), None, "{name}");
        }
        assert!(is_temporary("000000000000001f.log.tmp"));
    }

    #[test]
    fn header_checks() {
        let header = encode_header(5, 99);
        assert_eq!(read_header(&header, 5), SegmentHeader::Valid { salt: 99 });
        assert_eq!(read_header(&header, 6), SegmentHeader::Damaged);
        assert_eq!(read_header(&header[..31], 5), SegmentHeader::Damaged);
        for bit in 0..header.len() * 8 {
            let mut damaged = header;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read_header(&damaged, 5), SegmentHeader::Damaged, "bit {bit}");
        }
    }
}
