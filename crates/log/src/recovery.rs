//! The records found when the log was opened, streamed in order.

use std::vec;

use alloy_primitives::{B256, Bytes};
use rapid_primitives::{MiniBlockNumber, SealedMiniBlock};

use crate::{
    Damage, RecoveryError,
    frame::{FRAME_HEADER_BYTES, FrameHeader},
    scan::{ScannedSegment, Tip},
    segment::{SEGMENT_HEADER_BYTES, Segment},
    window::Window,
};

/// What the log held when it was opened. Read it before trimming.
#[derive(Debug)]
pub struct Recovery {
    pub(crate) segments: Vec<(Segment, MiniBlockNumber, MiniBlockNumber, u64)>,
    pub(crate) newest: Option<Tip>,
    pub(crate) cut: bool,
}

impl Recovery {
    pub(crate) fn new(segments: &[ScannedSegment], newest: Option<Tip>, cut: bool) -> Self {
        let segments = segments
            .iter()
            .filter_map(|scanned| {
                let (first, last) = scanned.records?;
                Some((scanned.segment.clone(), first, last, scanned.end))
            })
            .collect();
        Self {
            segments,
            newest,
            cut,
        }
    }

    /// Oldest mini-block in the log.
    #[must_use]
    pub fn oldest(&self) -> Option<MiniBlockNumber> {
        self.segments.first().map(|(_, first, ..)| *first)
    }

    /// Newest mini-block in the log.
    #[must_use]
    pub fn newest(&self) -> Option<MiniBlockNumber> {
        self.newest.map(|tip| tip.number)
    }

    /// Hash of the newest mini-block in the log.
    #[must_use]
    pub fn newest_hash(&self) -> Option<B256> {
        self.newest.map(|tip| tip.hash)
    }

    /// Whether a torn tail was cut off. Nothing in it had been durable.
    #[must_use]
    pub const fn was_cut(&self) -> bool {
        self.cut
    }

    /// The records after a checkpoint at mini-block `number` with this hash (0 and zero for genesis), in order.
    ///
    /// Holds one record and a read-ahead of 1 MiB in memory. An empty log gives no records for any checkpoint.
    ///
    /// # Errors
    /// [`RecoveryError::Trimmed`] or [`RecoveryError::Behind`] if the log does not reach the checkpoint,
    /// [`RecoveryError::OtherChain`] if it holds another mini-block of that number.
    pub fn after(&self, number: MiniBlockNumber, hash: B256) -> Result<Records, RecoveryError> {
        let (Some(oldest), Some(newest)) = (self.oldest(), self.newest) else {
            return Ok(Records::new(Vec::new(), Tip { number, hash }));
        };
        if oldest > number.next() {
            return Err(RecoveryError::Trimmed {
                wanted: number.next(),
                oldest,
            });
        }
        if newest.number < number {
            return Err(RecoveryError::Behind {
                newest: newest.number,
                checkpoint: number,
            });
        }
        if newest.number == number && newest.hash != hash {
            return Err(RecoveryError::OtherChain {
                number,
                expected: hash,
                found: newest.hash,
            });
        }
        let wanted = self.segments.iter().filter(|(_, _, last, _)| *last > number);
        let segments = wanted
            .map(|(segment, _, _, end)| (segment.clone(), *end))
            .collect();
        Ok(Records::new(segments, Tip { number, hash }))
    }
}

/// Iterator over the records of the log. After an error it ends.
#[derive(Debug)]
pub struct Records {
    segments: vec::IntoIter<(Segment, u64)>,
    current: Option<Position>,
    tip: Tip,
}

#[derive(Debug)]
struct Position {
    segment: Segment,
    window: Window,
    offset: u64,
    end: u64,
}

impl Records {
    fn new(segments: Vec<(Segment, u64)>, tip: Tip) -> Self {
        Self {
            segments: segments.into_iter(),
            current: None,
            tip,
        }
    }

    fn read_next(&mut self) -> Result<Option<SealedMiniBlock>, RecoveryError> {
        loop {
            if self
                .current
                .as_ref()
                .is_none_or(|position| position.offset == position.end)
            {
                let Some((segment, end)) = self.segments.next() else {
                    return Ok(None);
                };
                let window = Window::new(segment.file.clone(), end);
                self.current = Some(Position {
                    segment,
                    window,
                    offset: SEGMENT_HEADER_BYTES,
                    end,
                });
            }
            let Some(position) = &mut self.current else {
                return Ok(None);
            };
            let header = position.header()?;
            if header.number > self.tip.number.0 {
                let record = position.record(header)?;
                return self.check(record).map(Some);
            }
            position.offset += header.frame_bytes();
        }
    }

    fn check(&mut self, record: Bytes) -> Result<SealedMiniBlock, RecoveryError> {
        let number = self.tip.number.next();
        let mini_block =
            SealedMiniBlock::decode(record).map_err(|source| RecoveryError::Damaged { number, source })?;
        let found = mini_block.header().parent_hash;
        if found != self.tip.hash {
            return Err(RecoveryError::OtherChain {
                number: self.tip.number,
                expected: self.tip.hash,
                found,
            });
        }
        self.tip = Tip {
            number,
            hash: mini_block.hash(),
        };
        Ok(mini_block)
    }
}

impl Position {
    fn header(&mut self) -> Result<FrameHeader, RecoveryError> {
        let place = self.segment.place(self.offset);
        let bytes = self.window.get(self.offset, FRAME_HEADER_BYTES)?;
        let header = bytes
            .first_chunk()
            .and_then(|bytes| FrameHeader::read(bytes, place));
        header.ok_or_else(|| self.changed(Damage::FrameHeader))
    }

    /// Reads the record and moves behind it.
    fn record(&mut self, header: FrameHeader) -> Result<Bytes, RecoveryError> {
        let record = self
            .window
            .get(self.offset + FRAME_HEADER_BYTES as u64, header.length as usize)?;
        if record.len() != header.length as usize || crc32fast::hash(record) != header.record_crc {
            return Err(self.changed(Damage::Record));
        }
        let record = Bytes::copy_from_slice(record);
        self.offset += header.frame_bytes();
        Ok(record)
    }

    fn changed(&self, reason: Damage) -> RecoveryError {
        RecoveryError::Changed {
            segment: self.segment.path.clone(),
            offset: self.offset,
            reason,
        }
    }
}

impl Iterator for Records {
    type Item = Result<SealedMiniBlock, RecoveryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read_next();
        if next.is_err() {
            self.segments = Vec::new().into_iter();
            self.current = None;
        }
        next.transpose()
    }
}
