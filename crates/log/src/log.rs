//! The log itself: append, sync, trim.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use parking_lot::Mutex;
use rapid_primitives::{MAX_RECORD_BYTES, MiniBlockNumber, SealedMiniBlock};

use crate::{
    DiskState, Durability, LogConfig, LogError, OpenError, Recovery,
    frame::{encode_frame, frame_bytes},
    mark::Mark,
    metrics::LogMetrics,
    progress::Progress,
    repair::{self, Opened},
    scan::Tip,
    segment::{SEGMENT_HEADER_BYTES, Segment},
    spare::Spare,
    storage::{Storage, StorageFile, write_all_at},
};

/// The mini-block log, open for appending.
///
/// All methods take `&self`. One thread appends; any may sync, trim and ask. Dropping it stops its threads without a
/// final sync: call [`Self::sync`] first where the tail matters.
#[derive(Debug)]
pub struct Log {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    config: LogConfig,
    dir: PathBuf,
    storage: Arc<dyn Storage>,
    metrics: LogMetrics,
    spare: Arc<Spare>,
    progress: Progress,
    writer: Mutex<Writer>,
    /// Held during a sync, so that there is one at a time and the mark never goes back.
    mark: Mutex<Mark>,
}

/// The end of the log.
#[derive(Debug)]
struct Writer {
    closed: VecDeque<ClosedSegment>,
    active: Segment,
    offset: u64,
    newest: Option<Tip>,
    /// Files with bytes no sync covers yet.
    unsynced: Vec<Arc<dyn StorageFile>>,
    frame: Vec<u8>,
}

/// A full segment.
#[derive(Debug)]
struct ClosedSegment {
    path: PathBuf,
    last: MiniBlockNumber,
}

impl Log {
    /// Opens the log in a directory, which is created if need be.
    ///
    /// Reads every record, checks it and the chain of hashes, and cuts a torn tail, after which the directory holds no
    /// byte behind the last record. On return everything the [`Recovery`] gives is durable.
    ///
    /// # Errors
    /// [`OpenError::Corrupt`] if a record known to be durable is damaged or missing; nothing is modified then.
    pub fn open(
        dir: &Path,
        config: LogConfig,
        storage: Arc<dyn Storage>,
    ) -> Result<(Self, Recovery), OpenError> {
        let Opened {
            scanned,
            newest,
            cut,
            mark,
        } = repair::open(dir, &config, &*storage)?;
        let recovery = Recovery::new(&scanned, newest, cut);
        let metrics = LogMetrics::new();
        let (spare, spare_thread) = Spare::start(
            dir.to_owned(),
            Arc::clone(&storage),
            config.min_free_bytes,
            metrics.clone(),
        )
        .map_err(OpenError::io("watch", dir))?;
        let mut closed: VecDeque<_> = scanned.into_iter().collect();
        let active = closed
            .pop_back()
            .expect("a repaired log has at least one segment");
        let writer = Writer {
            offset: active.end,
            active: active.segment,
            closed: closed
                .into_iter()
                .filter_map(|scanned| {
                    Some(ClosedSegment {
                        last: scanned.records?.1,
                        path: scanned.segment.path,
                    })
                })
                .collect(),
            newest,
            unsynced: Vec::new(),
            frame: Vec::new(),
        };
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            storage,
            metrics,
            spare,
            progress: Progress::new(newest.map_or(MiniBlockNumber(0), |tip| tip.number)),
            mark: Mutex::new(mark),
            config,
            writer: Mutex::new(writer),
        });
        shared.want_next(&shared.writer.lock());
        let mut log = Self {
            shared,
            threads: vec![spare_thread],
        };
        log.start_syncer().map_err(OpenError::io("watch", dir))?;
        Ok((log, recovery))
    }

    fn start_syncer(&mut self) -> std::io::Result<()> {
        let Some(interval) = sync_interval(self.shared.config.durability) else {
            return Ok(());
        };
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name("log-sync".into())
            .spawn(move || shared.run_syncer(interval))?;
        self.threads.push(thread);
        Ok(())
    }

    /// Writes a record. It is then safe from `kill -9`; see [`Self::wait_announceable`] for more.
    ///
    /// Under [`Durability::Async`] it first waits while more than the window would be at risk.
    ///
    /// # Errors
    /// [`LogError::Fatal`] poisons the log; after any other error nothing was written and the log goes on.
    pub fn append(&self, mini_block: &SealedMiniBlock) -> Result<(), LogError> {
        self.shared.append(mini_block)
    }

    /// Makes everything appended durable and returns the newest durable mini-block.
    ///
    /// # Errors
    /// [`LogError::Fatal`]; a failed sync is never repeated.
    pub fn sync(&self) -> Result<MiniBlockNumber, LogError> {
        self.shared.sync()
    }

    /// Newest mini-block known to be durable; 0 if none.
    #[must_use]
    pub fn durable(&self) -> MiniBlockNumber {
        self.shared.progress.durable()
    }

    /// Newest mini-block written; 0 if none.
    #[must_use]
    pub fn appended(&self) -> MiniBlockNumber {
        self.shared.progress.appended()
    }

    /// Newest mini-block that may be announced under the policy; 0 if none.
    #[must_use]
    pub fn announceable(&self) -> MiniBlockNumber {
        if self.durability().waits_for_sync() {
            self.durable()
        } else {
            self.appended()
        }
    }

    /// Waits until an appended mini-block may be announced. Under [`Durability::Sync`] the caller's thread syncs;
    /// under [`Durability::Group`] it waits for the shared sync; under [`Durability::Async`] it returns at once.
    ///
    /// # Errors
    /// [`LogError::Fatal`] if the log failed before it was durable; it must then not be announced.
    pub fn wait_announceable(&self, number: MiniBlockNumber) -> Result<(), LogError> {
        match self.durability() {
            Durability::Sync if self.durable() < number => self.sync().map(drop),
            Durability::Sync => Ok(()),
            Durability::Group(_) => self.shared.progress.wait_durable(number),
            Durability::Async(_) => self.shared.progress.check(),
        }
    }

    /// Whether production may go on; from a value at most a second old, without a system call.
    #[must_use]
    pub fn disk_state(&self) -> DiskState {
        self.shared.spare.disk_state()
    }

    /// Whether production may go on: [`Self::disk_state`] as a yes or no.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.disk_state() == DiskState::Ok
    }

    /// Free bytes on the disk, at most a second old.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.shared.spare.free_bytes()
    }

    /// The policy it was opened with.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.shared.config.durability
    }

    /// Removes the segments that hold only mini-blocks below `before`, and returns how many. The newest record always
    /// stays, and so does everything not yet durable.
    ///
    /// Call it with the minimum of what the checkpoint, history and retention no longer need, plus one.
    ///
    /// # Errors
    /// [`LogError::Trim`] if a file cannot be removed; the log itself goes on.
    pub fn trim(&self, before: MiniBlockNumber) -> Result<usize, LogError> {
        self.shared.trim(before)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.progress.stop();
        self.shared.spare.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(target: "log", "A thread of the log panicked");
            }
        }
    }
}

/// How often the syncer syncs.
///
/// With `async` it is half of the window: at a power loss the records under the running sync (half a window) and
/// those behind it (stalled at half a window) are at risk, together no more than the window.
const fn sync_interval(durability: Durability) -> Option<Duration> {
    match durability {
        Durability::Sync => None,
        Durability::Group(window) => Some(window),
        Durability::Async(window) => Some(half(window)),
    }
}

const fn half(window: Duration) -> Duration {
    Duration::from_nanos(window.as_nanos() as u64 / 2)
}

impl Shared {
    fn append(&self, mini_block: &SealedMiniBlock) -> Result<(), LogError> {
        let start = Instant::now();
        self.progress.check()?;
        if let Durability::Async(window) = self.config.durability
            && self.progress.wait_uncovered_younger(half(window))?
        {
            self.metrics.stalls.increment(1);
        }
        let mut writer = self.writer.lock();
        let number = mini_block.number();
        writer.check_follows(mini_block.header().parent_hash, number)?;
        let record = mini_block.bytes();
        if record.len() > MAX_RECORD_BYTES {
            return Err(LogError::TooLarge { bytes: record.len() });
        }
        self.make_room(&mut writer, frame_bytes(record.len()))?;
        let bytes = self.write_frame(&mut writer, number, record)?;
        writer.newest = Some(Tip {
            number,
            hash: mini_block.hash(),
        });
        self.metrics
            .unsynced_bytes
            .set(self.progress.note_append(number, bytes) as f64);
        drop(writer);
        self.metrics.append_seconds.record(start.elapsed().as_secs_f64());
        Ok(())
    }

    fn write_frame(
        &self,
        writer: &mut Writer,
        number: MiniBlockNumber,
        record: &[u8],
    ) -> Result<u64, LogError> {
        let place = writer.active.place(writer.offset);
        encode_frame(
            &mut writer.frame,
            place,
            number.0,
            self.progress.durable().0,
            record,
        );
        let file = Arc::clone(&writer.active.file);
        // Noted first: a write that fails half-way has changed the file too.
        if !writer
            .unsynced
            .iter()
            .any(|unsynced| Arc::ptr_eq(unsynced, &file))
        {
            writer.unsynced.push(Arc::clone(&file));
        }
        write_all_at(&*file, &writer.frame, writer.offset)
            .map_err(|error| self.progress.poison("append", error))?;
        let bytes = writer.frame.len() as u64;
        writer.offset += bytes;
        Ok(bytes)
    }

    /// Moves to the next segment if the active one is full.
    fn make_room(&self, writer: &mut Writer, bytes: u64) -> Result<(), LogError> {
        if bytes <= writer.active.capacity - writer.offset {
            return Ok(());
        }
        let needed = SEGMENT_HEADER_BYTES + bytes;
        let wanted = needed.max(self.next_size(writer));
        let next = match self.spare.take(writer.active.index + 1, needed, wanted) {
            Ok(segment) => segment,
            Err(error) if is_full(&error) => return Err(LogError::DiskFull { bytes: wanted }),
            Err(error) => return Err(self.progress.poison("prepare a segment", error)),
        };
        let full = std::mem::replace(&mut writer.active, next);
        match writer.newest {
            Some(tip) if writer.offset > SEGMENT_HEADER_BYTES => {
                writer.closed.push_back(ClosedSegment {
                    path: full.path,
                    last: tip.number,
                });
            }
            // The first record of all is larger than the first segment: nothing is in it.
            _ => self.discard_empty(&full)?,
        }
        writer.offset = SEGMENT_HEADER_BYTES;
        self.want_next(writer);
        Ok(())
    }

    /// Removes a segment without records for good. The record that did not fit must not be written before: to the next
    /// start, an empty segment before one with records is one that a power loss emptied.
    fn discard_empty(&self, segment: &Segment) -> Result<(), LogError> {
        self.storage
            .remove(&segment.path)
            .and_then(|()| self.storage.sync_dir(&self.dir))
            .map_err(|error| self.progress.poison("remove an empty segment", error))
    }

    fn want_next(&self, writer: &Writer) {
        self.metrics.segments.set(writer.closed.len() as f64 + 1.0);
        self.spare.want(writer.active.index + 1, self.next_size(writer));
    }

    fn next_size(&self, writer: &Writer) -> u64 {
        writer
            .active
            .capacity
            .saturating_mul(2)
            .min(self.config.segment_bytes)
    }

    fn sync(&self) -> Result<MiniBlockNumber, LogError> {
        let mark = self.mark.lock();
        self.progress.check()?;
        let (files, newest) = {
            let mut writer = self.writer.lock();
            self.progress.note_covered();
            self.metrics.unsynced_bytes.set(0.0);
            (std::mem::take(&mut writer.unsynced), writer.newest)
        };
        let Some(Tip { number, .. }) = newest.filter(|_| !files.is_empty()) else {
            return Ok(self.progress.durable());
        };
        let start = Instant::now();
        for file in files {
            file.sync().map_err(|error| self.progress.poison("sync", error))?;
        }
        self.metrics.sync_seconds.record(start.elapsed().as_secs_f64());
        self.progress.note_durable(number);
        self.metrics.durable_mini_block.set(number.0 as f64);
        mark.write(number)
            .map_err(|error| self.progress.poison("write the durable mark", error))?;
        Ok(number)
    }

    fn run_syncer(&self, interval: Duration) {
        let mut due = None;
        while self.progress.wait_work(due) {
            due = Some(Instant::now() + interval);
            if self.sync().is_err() {
                // The log is poisoned: appenders and waiters get the error.
                return;
            }
        }
    }

    fn trim(&self, before: MiniBlockNumber) -> Result<usize, LogError> {
        let before = before.min(self.progress.durable().next());
        let mut removed = 0;
        loop {
            let mut writer = self.writer.lock();
            // An empty active segment leaves the newest record in the last closed one.
            let keep = usize::from(writer.offset == SEGMENT_HEADER_BYTES);
            let removable = writer.closed.len() > keep && writer.closed[0].last < before;
            let Some(segment) = removable.then(|| writer.closed.pop_front()).flatten() else {
                break;
            };
            self.metrics.segments.set(writer.closed.len() as f64 + 1.0);
            drop(writer);
            if let Err(error) = self.storage.remove(&segment.path) {
                self.writer.lock().closed.push_front(segment);
                return Err(LogError::Trim(error));
            }
            // One by one: a power loss must not keep an older segment than one it takes, which would look like damage.
            self.storage.sync_dir(&self.dir).map_err(LogError::Trim)?;
            removed += 1;
        }
        Ok(removed)
    }
}

impl Writer {
    fn check_follows(&self, parent_hash: B256, number: MiniBlockNumber) -> Result<(), LogError> {
        let Some(newest) = self.newest else { return Ok(()) };
        if newest.number.next() != number {
            return Err(LogError::OutOfOrder {
                expected: newest.number.next(),
                found: number,
            });
        }
        if newest.hash != parent_hash {
            return Err(LogError::WrongParent {
                number,
                expected: newest.hash,
                found: parent_hash,
            });
        }
        Ok(())
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    )
}
