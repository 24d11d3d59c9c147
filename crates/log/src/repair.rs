//! Opening a log: scan it, and if it may be used, make the directory fit for appending.

use std::path::Path;

use rapid_primitives::MiniBlockNumber;

use crate::{
    Damage, LogConfig, OpenError,
    frame::{FRAME_HEADER_BYTES, FrameHeader},
    mark::{MARK_FILE, Mark},
    scan::{DamageAt, Scan, ScannedSegment, Tip, scan},
    segment::{SEGMENT_HEADER_BYTES, Segment, segment_name},
    storage::{Storage, write_all_at},
    window::Window,
};

/// A log fit for appending: at least one segment, the last one active, no bytes behind the last record.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) scanned: Vec<ScannedSegment>,
    pub(crate) newest: Option<Tip>,
    pub(crate) cut: bool,
    pub(crate) mark: Mark,
}

pub(crate) fn open(dir: &Path, config: &LogConfig, storage: &dyn Storage) -> Result<Opened, OpenError> {
    storage.create_dir(dir).map_err(OpenError::io("create", dir))?;
    let found = scan(storage, dir)?;
    let Scan {
        mut segments,
        after_damage,
        temporary,
        newest,
        damage,
        durable,
        ..
    } = found;
    if let Some(damage) = &damage {
        cut(storage, dir, &segments, &after_damage, damage)?;
    }
    for name in &temporary {
        let path = dir.join(name);
        storage.remove(&path).map_err(OpenError::io("remove", path))?;
    }
    drop_empty(storage, &mut segments)?;
    if segments.is_empty() {
        let bytes = config.first_segment_bytes.min(config.segment_bytes);
        let segment = Segment::create(
            storage,
            dir,
            after_damage.last().map_or(0, |index| index + 1),
            bytes,
        )
        .map_err(OpenError::io("create a segment in", dir))?;
        segments.push(ScannedSegment {
            segment,
            records: None,
            end: SEGMENT_HEADER_BYTES,
        });
    }
    storage.sync_dir(dir).map_err(OpenError::io("sync", dir))?;
    for scanned in &segments {
        settle(scanned, durable).map_err(OpenError::io("rewrite", &scanned.segment.path))?;
    }
    let mark_path = dir.join(MARK_FILE);
    let mark = Mark::open(storage, dir).map_err(OpenError::io("open", &mark_path))?;
    mark.write(newest.map_or(MiniBlockNumber(0), |tip| tip.number))
        .map_err(OpenError::io("write", &mark_path))?;
    Ok(Opened {
        scanned: segments,
        newest,
        cut: damage.is_some(),
        mark,
    })
}

/// Removes everything behind the damage, newest first, so that a crash in between leaves a log that is cut again.
fn cut(
    storage: &dyn Storage,
    dir: &Path,
    segments: &[ScannedSegment],
    after_damage: &[u64],
    damage: &DamageAt,
) -> Result<(), OpenError> {
    tracing::warn!(
        target: "log", file = %damage.path.display(), offset = damage.offset, reason = %damage.reason,
        "Cutting the torn tail of the log; nothing in it was durable"
    );
    for index in after_damage.iter().rev() {
        let path = dir.join(segment_name(*index));
        storage.remove(&path).map_err(OpenError::io("remove", path))?;
    }
    if damage.reason == Damage::SegmentHeader {
        storage
            .remove(&damage.path)
            .map_err(OpenError::io("remove", &damage.path))?;
    } else if let Some(damaged) = segments.get(damage.segment) {
        erase(damaged).map_err(OpenError::io("erase the tail of", &damage.path))?;
    }
    storage.sync_dir(dir).map_err(OpenError::io("sync", dir))
}

/// Zeroes everything behind the last record: a later write must never end where an old frame happens to begin.
fn erase(scanned: &ScannedSegment) -> std::io::Result<()> {
    let segment = &scanned.segment;
    let mut window = Window::new(segment.file.clone(), segment.capacity);
    let Some(end) = window.last_nonzero(scanned.end)? else {
        return Ok(());
    };
    let zeros = vec![0; 1 << 20];
    let mut offset = scanned.end;
    while offset < end {
        let length = (end - offset).min(zeros.len() as u64);
        write_all_at(&*segment.file, &zeros[..length as usize], offset)?;
        offset += length;
    }
    segment.file.sync()
}

/// Removes segments without records: the one prepared ahead, and leftovers. If no segment has records, the first stays.
fn drop_empty(storage: &dyn Storage, segments: &mut Vec<ScannedSegment>) -> Result<(), OpenError> {
    let keep = usize::from(segments.iter().all(|scanned| scanned.records.is_none()));
    for index in (keep..segments.len()).rev() {
        if segments[index].records.is_none() {
            let path = segments.remove(index).segment.path;
            storage.remove(&path).map_err(OpenError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Makes the records of a segment durable that may not be.
///
/// They are written again, not only synced: if a sync failed before the process ended, the system may hold them in
/// memory as clean, and a sync alone would then report success without writing them.
fn settle(scanned: &ScannedSegment, durable: MiniBlockNumber) -> std::io::Result<()> {
    let Some((_, last)) = scanned.records.filter(|(_, last)| *last > durable) else {
        return Ok(());
    };
    let segment = &scanned.segment;
    let mut window = Window::new(segment.file.clone(), scanned.end);
    let mut offset = SEGMENT_HEADER_BYTES;
    while offset < scanned.end {
        let bytes = window.get(offset, FRAME_HEADER_BYTES)?;
        let header = bytes
            .first_chunk()
            .and_then(|bytes| FrameHeader::read(bytes, segment.place(offset)));
        let Some(header) = header else {
            return Err(std::io::ErrorKind::InvalidData.into());
        };
        let length = header.frame_bytes();
        if header.number > durable.0 && header.number <= last.0 {
            let frame = window.get(offset, length as usize)?;
            write_all_at(&*segment.file, frame, offset)?;
        }
        offset += length;
    }
    segment.file.sync()
}
