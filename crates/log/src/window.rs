//! Reading a file front to back through one bounded buffer.

use std::{io, sync::Arc};

use crate::storage::{StorageFile, read_up_to};

/// Read ahead by this much; a longer record is read in one piece.
const WINDOW_BYTES: usize = 1 << 20;

/// A window that slides over a file; reads near the last one cost no system call.
#[derive(Debug)]
pub(crate) struct Window {
    file: Arc<dyn StorageFile>,
    end: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// A window over the first `end` bytes of the file.
    pub(crate) const fn new(file: Arc<dyn StorageFile>, end: u64) -> Self {
        Self {
            file,
            end,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// The bytes at an offset, fewer than asked at the end of the file.
    pub(crate) fn get(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let length = length.min(usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX));
        let held = offset >= self.start && offset + length as u64 <= self.start + self.bytes.len() as u64;
        if !held {
            let wanted = length
                .max(WINDOW_BYTES)
                .min((self.end.saturating_sub(offset)) as usize);
            self.bytes.resize(wanted, 0);
            let read = read_up_to(&*self.file, &mut self.bytes, offset)?;
            self.bytes.truncate(read);
            self.start = offset;
        }
        let from = (offset - self.start) as usize;
        let to = (from + length).min(self.bytes.len());
        Ok(&self.bytes[from..to])
    }

    /// Offset just after the last byte that is not zero, at or after `offset`; `None` if there is none.
    pub(crate) fn last_nonzero(&mut self, offset: u64) -> io::Result<Option<u64>> {
        let mut last = None;
        let mut at = offset;
        while at < self.end {
            let bytes = self.get(at, WINDOW_BYTES)?;
            if bytes.is_empty() {
                break;
            }
            if let Some(position) = bytes.iter().rposition(|byte| *byte != 0) {
                last = Some(at + position as u64 + 1);
            }
            at += bytes.len() as u64;
        }
        Ok(last)
    }
}
