//! A disk in memory that can fail, tear and forget.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use rapid_log::{Storage, StorageFile};

const SECTOR: usize = 512;

/// Waits until the helper thread has made the segment, so that what comes next does not strike there.
pub(crate) fn segment_made(disk: &Disk, dir: &Path, index: u64) {
    let path = dir.join(format!("{index:016x}.log"));
    while !disk.paths().contains(&path) {
        std::thread::yield_now();
    }
}

/// What the disk does wrong next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A write stores half of its bytes, then the disk refuses.
    ShortWrite,
    /// A write fails.
    Write,
    /// A sync fails, and the system forgets that the bytes were dirty.
    Sync,
}

/// What a crash takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process ends: everything written is there.
    Kill,
    /// The machine loses power: of what was not synced, any sectors.
    Power,
}

#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, usize>,
    durable_files: BTreeMap<PathBuf, usize>,
    contents: Vec<Content>,
    /// Countdown in operations of that kind.
    fault: Option<(Fault, u32)>,
    dead: bool,
    free: Option<u64>,
    writes: u64,
}

#[derive(Clone, Debug, Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors the system knows to be dirty.
    dirty: Vec<bool>,
}

impl Content {
    fn resize(&mut self, bytes: usize) {
        if self.seen.len() < bytes {
            self.seen.resize(bytes, 0);
        }
        self.dirty.resize(self.seen.len().div_ceil(SECTOR), false);
    }

    fn sync(&mut self) {
        self.durable.resize(self.seen.len(), 0);
        for (sector, dirty) in self.dirty.iter_mut().enumerate() {
            if std::mem::take(dirty) {
                let from = sector * SECTOR;
                let to = (from + SECTOR).min(self.seen.len());
                self.durable[from..to].copy_from_slice(&self.seen[from..to]);
            }
        }
    }
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.clone())
    }

    /// The `after`-th operation of the fault's kind from now on fails.
    pub(crate) fn fail(&self, fault: Fault, after: u32) {
        self.state().fault = Some((fault, after));
    }

    pub(crate) fn set_free(&self, bytes: u64) {
        self.state().free = Some(bytes);
    }

    pub(crate) fn writes(&self) -> u64 {
        self.state().writes
    }

    /// From now on every operation fails, as for a process that is gone.
    pub(crate) fn unplug(&self) {
        self.state().dead = true;
    }

    /// The disk as the next process finds it. `random` decides what survives a power loss.
    pub(crate) fn after(&self, crash: Crash, mut random: impl FnMut() -> u64) -> Self {
        let state = self.state();
        let mut contents = state.contents.clone();
        let files = match crash {
            Crash::Kill => state.files.clone(),
            Crash::Power => {
                for content in &mut contents {
                    content.durable.resize(content.seen.len(), 0);
                    for sector in 0..content.dirty.len() {
                        // Some disks write nearly all of it before the power is gone, some nearly nothing.
                        if content.dirty[sector] && !random().is_multiple_of(4) {
                            content.dirty[sector] = false;
                            let from = sector * SECTOR;
                            let to = (from + SECTOR).min(content.seen.len());
                            let survivor = content.seen[from..to].to_vec();
                            content.durable[from..to].copy_from_slice(&survivor);
                        }
                    }
                    content.seen = content.durable.clone();
                    content.dirty.fill(false);
                }
                if random().is_multiple_of(2) {
                    state.files.clone()
                } else {
                    state.durable_files.clone()
                }
            }
        };
        let state = State {
            durable_files: files.clone(),
            files,
            contents,
            ..State::default()
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Changes bytes of a file behind everybody's back, on the disk too.
    pub(crate) fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let file = state.files[path];
        let content = &mut state.contents[file];
        change(&mut content.seen);
        content.durable = content.seen.clone();
        content.dirty = vec![false; content.seen.len().div_ceil(SECTOR)];
    }

    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        let state = self.state();
        state.contents[state.files[path]].seen.clone()
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.state().files.keys().cloned().collect()
    }

    /// All files with their bytes, to see whether anything changed.
    pub(crate) fn image(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.state();
        state
            .files
            .iter()
            .map(|(path, file)| (path.clone(), state.contents[*file].seen.clone()))
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.dead {
            Err(io::Error::other("disk is gone"))
        } else {
            Ok(state)
        }
    }

    fn file(&self, index: usize) -> Arc<dyn StorageFile> {
        Arc::new(DiskFile {
            disk: self.clone(),
            index,
        })
    }
}

impl State {
    /// Whether the fault strikes now.
    fn strikes(&mut self, kinds: &[Fault]) -> Option<Fault> {
        let (fault, left) = self.fault?;
        if !kinds.contains(&fault) {
            return None;
        }
        self.fault = left.checked_sub(1).map(|left| (fault, left));
        (left == 0).then_some(fault)
    }
}

impl Storage for Disk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        self.alive().map(drop)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        let mut state = self.alive()?;
        state.contents.push(Content::default());
        let index = state.contents.len() - 1;
        state.files.insert(path.to_owned(), index);
        Ok(self.file(index))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        let state = self.alive()?;
        let index = state.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(*index))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.alive()?;
        let names = state.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(names
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        let file = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        state
            .files
            .remove(path)
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        state.durable_files = state.files.clone();
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.alive()?.free.unwrap_or(1 << 40))
    }
}

#[derive(Debug)]
struct DiskFile {
    disk: Disk,
    index: usize,
}

impl DiskFile {
    fn store(state: &mut State, index: usize, bytes: &[u8], offset: u64) {
        let content = &mut state.contents[index];
        let from = offset as usize;
        content.resize(from + bytes.len());
        content.seen[from..from + bytes.len()].copy_from_slice(bytes);
        for sector in from / SECTOR..(from + bytes.len()).div_ceil(SECTOR) {
            content.dirty[sector] = true;
        }
    }
}

impl StorageFile for DiskFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.alive()?.contents[self.index].seen.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.alive()?;
        let seen = &state.contents[self.index].seen;
        let from = (offset as usize).min(seen.len());
        let length = buffer.len().min(seen.len() - from);
        buffer[..length].copy_from_slice(&seen[from..from + length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.alive()?;
        state.writes += 1;
        match state.strikes(&[Fault::Write, Fault::ShortWrite]) {
            Some(Fault::ShortWrite) => {
                let half = bytes.len() / 2;
                Self::store(&mut state, self.index, &bytes[..half], offset);
                state.fault = Some((Fault::Write, 0));
                Ok(half)
            }
            Some(_) => Err(io::Error::other("input/output error")),
            None => {
                Self::store(&mut state, self.index, bytes, offset);
                Ok(bytes.len())
            }
        }
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.alive()?;
        if state.free.is_some_and(|free| free < bytes) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.contents[self.index].resize(bytes as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.alive()?;
        if state.strikes(&[Fault::Sync]).is_some() {
            state.contents[self.index].dirty.fill(false);
            return Err(io::Error::other("input/output error"));
        }
        state.contents[self.index].sync();
        Ok(())
    }
}
