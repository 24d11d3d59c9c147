//! Reading the whole log when it is opened, without changing it: which records are there, where the first damage
//! is, and how far the log claims to have been durable.

use std::{io, path::Path};

use alloy_primitives::{B256, keccak256};
use alloy_rlp::Decodable;
use rapid_primitives::{MiniBlockHeader, MiniBlockNumber};

use crate::{
    Damage, OpenError,
    frame::{FRAME_ALIGNMENT, FRAME_HEADER_BYTES, FrameHeader},
    mark::Mark,
    segment::{
        FORMAT, SEGMENT_HEADER_BYTES, Segment, SegmentHeader, is_temporary, read_header, segment_index,
        segment_name,
    },
    storage::Storage,
    window::Window,
};

/// The end of a chain of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) number: MiniBlockNumber,
    pub(crate) hash: B256,
}

/// A segment and the intact records in it.
#[derive(Debug)]
pub(crate) struct ScannedSegment {
    pub(crate) segment: Segment,
    /// First and last mini-block, if it holds any.
    pub(crate) records: Option<(MiniBlockNumber, MiniBlockNumber)>,
    /// Where the next frame goes.
    pub(crate) end: u64,
}

/// The first place that does not check, in the segment with this file.
#[derive(Debug)]
pub(crate) struct DamageAt {
    /// Index into [`Scan::segments`]; equal to its length if the segment's header is damaged.
    pub(crate) segment: usize,
    pub(crate) path: std::path::PathBuf,
    pub(crate) offset: u64,
    pub(crate) reason: Damage,
}

/// What is on the disk.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Segments up to and including the damaged one.
    pub(crate) segments: Vec<ScannedSegment>,
    /// Segment files after the damage, in order.
    pub(crate) after_damage: Vec<u64>,
    /// Unfinished files.
    pub(crate) temporary: Vec<String>,
    pub(crate) oldest: Option<MiniBlockNumber>,
    pub(crate) newest: Option<Tip>,
    pub(crate) damage: Option<DamageAt>,
    /// Newest mini-block known to have been durable.
    pub(crate) durable: MiniBlockNumber,
}

/// Reads everything and refuses a log that lost durable records.
pub(crate) fn scan(storage: &dyn Storage, dir: &Path) -> Result<Scan, OpenError> {
    let mut indices = Vec::new();
    let mut scan = Scan::default();
    for name in storage.list(dir).map_err(OpenError::io("list", dir))? {
        match segment_index(&name) {
            Some(index) => indices.push(index),
            None if is_temporary(&name) => scan.temporary.push(name),
            None => {}
        }
    }
    indices.sort_unstable();
    scan.durable =
        Mark::read(storage, dir).map_err(OpenError::io("read", dir.join(crate::mark::MARK_FILE)))?;
    for index in indices {
        let path = dir.join(segment_name(index));
        if scan.damage.is_some() {
            scan.after_damage.push(index);
        }
        scan.segment(storage, index, &path)?;
    }
    scan.refuse_loss(dir)?;
    Ok(scan)
}

impl Scan {
    fn segment(&mut self, storage: &dyn Storage, index: u64, path: &Path) -> Result<(), OpenError> {
        let file = storage.open(path).map_err(OpenError::io("open", path))?;
        let capacity = file.size().map_err(OpenError::io("read", path))?;
        let mut window = Window::new(file.clone(), capacity);
        let read = OpenError::io("read", path);
        let header = match window.get(0, SEGMENT_HEADER_BYTES as usize) {
            Ok(bytes) => read_header(bytes, index),
            Err(error) => return Err(read(error)),
        };
        let salt = match header {
            SegmentHeader::Valid { salt } => salt,
            SegmentHeader::OtherFormat(found) => {
                return Err(OpenError::Format {
                    segment: path.to_owned(),
                    found,
                    expected: FORMAT,
                });
            }
            SegmentHeader::Damaged => {
                self.note_damage(path, 0, Damage::SegmentHeader);
                return Ok(());
            }
        };
        let segment = Segment {
            index,
            salt,
            capacity,
            path: path.to_owned(),
            file,
        };
        self.content(segment, &mut window).map_err(read)
    }

    /// Follows the frames of a segment; behind a damage, only looks for what they claim.
    fn content(&mut self, segment: Segment, window: &mut Window) -> io::Result<()> {
        self.note_emptied(&segment, window)?;
        if self.damage.is_none() {
            self.frames(segment, window)
        } else {
            self.claims(&segment, window, SEGMENT_HEADER_BYTES)
        }
    }

    /// Notes that the segment before `next` lost all its records: it is empty, and `next` is not, although a segment is
    /// begun only when the one before holds a record.
    ///
    /// The number of the first frame in `next` does not tell if nothing is before it, because a log may begin at any
    /// number.
    fn note_emptied(&mut self, next: &Segment, window: &mut Window) -> io::Result<()> {
        let before = self
            .segments
            .last()
            .filter(|before| self.damage.is_none() && before.records.is_none());
        let Some(emptied) = before else { return Ok(()) };
        if matches!(
            next_frame(window, next, SEGMENT_HEADER_BYTES, self.newest)?,
            Step::End
        ) {
            return Ok(());
        }
        self.damage = Some(DamageAt {
            segment: self.segments.len() - 1,
            path: emptied.segment.path.clone(),
            offset: emptied.end,
            reason: Damage::Missing,
        });
        self.after_damage.push(next.index);
        Ok(())
    }

    /// Follows the frames of a segment up to their end or the first damage.
    fn frames(&mut self, segment: Segment, window: &mut Window) -> io::Result<()> {
        let mut scanned = ScannedSegment {
            segment,
            records: None,
            end: SEGMENT_HEADER_BYTES,
        };
        let damage = loop {
            match next_frame(window, &scanned.segment, scanned.end, self.newest)? {
                Step::Frame { header, tip } => {
                    self.durable = self.durable.max(MiniBlockNumber(header.durable_through));
                    self.oldest.get_or_insert(tip.number);
                    self.newest = Some(tip);
                    let first = scanned.records.map_or(tip.number, |(first, _)| first);
                    scanned.records = Some((first, tip.number));
                    scanned.end += header.frame_bytes();
                }
                Step::End => break None,
                Step::Damage(reason) => break Some(reason),
            }
        };
        if let Some(reason) = damage {
            self.note_damage(&scanned.segment.path, scanned.end, reason);
            self.claims(&scanned.segment, window, scanned.end)?;
        }
        self.segments.push(scanned);
        Ok(())
    }

    fn note_damage(&mut self, path: &Path, offset: u64, reason: Damage) {
        let segment = self.segments.len();
        self.damage.get_or_insert(DamageAt {
            segment,
            path: path.to_owned(),
            offset,
            reason,
        });
    }

    /// Looks for frame headers behind a damage, at every place one could begin: one that checks proves how far the
    /// log was durable when it was written, even if its record is torn.
    fn claims(&mut self, segment: &Segment, window: &mut Window, from: u64) -> io::Result<()> {
        let newest = self.newest.map_or(0, |tip| tip.number.0);
        let mut offset = from;
        while offset + FRAME_HEADER_BYTES as u64 <= segment.capacity {
            let Some(bytes) = window.get(offset, FRAME_HEADER_BYTES)?.first_chunk() else {
                break;
            };
            if let Some(header) = FrameHeader::read(bytes, segment.place(offset))
                && header.number > newest
            {
                self.durable = self.durable.max(MiniBlockNumber(header.durable_through));
            }
            offset += FRAME_ALIGNMENT;
        }
        Ok(())
    }

    fn refuse_loss(&self, dir: &Path) -> Result<(), OpenError> {
        let newest = self.newest.map_or(MiniBlockNumber(0), |tip| tip.number);
        if self.durable <= newest {
            return Ok(());
        }
        let (segment, offset, reason) = match &self.damage {
            Some(damage) => (damage.path.clone(), damage.offset, damage.reason),
            None => match self.segments.last() {
                Some(last) => (last.segment.path.clone(), last.end, Damage::Missing),
                None => (dir.to_owned(), 0, Damage::Missing),
            },
        };
        Err(OpenError::Corrupt {
            missing: newest.next(),
            durable: self.durable,
            segment,
            offset,
            reason,
        })
    }
}

enum Step {
    Frame { header: FrameHeader, tip: Tip },
    End,
    Damage(Damage),
}

fn next_frame(window: &mut Window, segment: &Segment, offset: u64, before: Option<Tip>) -> io::Result<Step> {
    let bytes = window.get(offset, FRAME_HEADER_BYTES)?;
    let Some(bytes) = bytes
        .first_chunk()
        .filter(|bytes| bytes[..].iter().any(|byte| *byte != 0))
    else {
        // No frame. After a torn write the head may be lost and the rest there.
        let stray = window.last_nonzero(offset)?.is_some();
        return Ok(if stray {
            Step::Damage(Damage::Stray)
        } else {
            Step::End
        });
    };
    let Some(header) = FrameHeader::read(bytes, segment.place(offset)) else {
        return Ok(Step::Damage(Damage::FrameHeader));
    };
    if before.is_some_and(|tip| tip.number.next().0 != header.number) {
        return Ok(Step::Damage(Damage::Number));
    }
    let record = window.get(offset + FRAME_HEADER_BYTES as u64, header.length as usize)?;
    if record.len() != header.length as usize || crc32fast::hash(record) != header.record_crc {
        return Ok(Step::Damage(Damage::Record));
    }
    let Some((content, hash)) =
        record_header(record).filter(|(content, _)| content.number.0 == header.number)
    else {
        return Ok(Step::Damage(Damage::Content));
    };
    if before.is_some_and(|tip| tip.hash != content.parent_hash) {
        return Ok(Step::Damage(Damage::Chain));
    }
    Ok(Step::Frame {
        header,
        tip: Tip {
            number: content.number,
            hash,
        },
    })
}

/// Header and hash of a record, without its body.
fn record_header(record: &[u8]) -> Option<(MiniBlockHeader, B256)> {
    let mut rest = record;
    let outer = alloy_rlp::Header::decode(&mut rest).ok()?;
    if !outer.list || outer.payload_length != rest.len() {
        return None;
    }
    let payload = rest;
    let header = MiniBlockHeader::decode(&mut rest).ok()?;
    Some((header, keccak256(&payload[..payload.len() - rest.len()])))
}
