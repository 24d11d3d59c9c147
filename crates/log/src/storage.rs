//! What the log asks of a disk, as a trait, so that tests can put a faulty disk underneath.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use rustix::fs::FallocateFlags;

/// A directory tree with files that are written at offsets and synced on request.
///
/// What the log assumes: bytes written before a successful [`StorageFile::sync`] of their file survive a power loss;
/// bytes written after it may survive in any part and any order, in units of a sector; a rename, creation or removal
/// survives once [`Storage::sync_dir`] returned.
pub trait Storage: fmt::Debug + Send + Sync + 'static {
    /// Creates a directory and its parents; succeeds if it is there.
    ///
    /// # Errors
    /// From the system.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Creates an empty file, replacing one of that name, open for reading and writing.
    ///
    /// # Errors
    /// From the system.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// From the system; `NotFound` if it is not there.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>>;

    /// Names of the files in a directory, in no order.
    ///
    /// # Errors
    /// From the system.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Renames a file within its directory, replacing the target.
    ///
    /// # Errors
    /// From the system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// From the system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in the directory durable.
    ///
    /// # Errors
    /// From the system.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes an unprivileged process may still allocate on the file system of the directory.
    ///
    /// # Errors
    /// From the system.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// One open file.
pub trait StorageFile: fmt::Debug + Send + Sync + 'static {
    /// Size in bytes.
    ///
    /// # Errors
    /// From the system.
    fn size(&self) -> io::Result<u64>;

    /// Reads at an offset; may read less than asked, 0 at the end.
    ///
    /// # Errors
    /// From the system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at an offset; may write less than asked.
    ///
    /// # Errors
    /// From the system.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Reserves disk blocks so that the file has at least `bytes`; new bytes read as zero. A file system without
    /// reservation only sets the size.
    ///
    /// # Errors
    /// From the system, `StorageFull` if there is no room.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Makes all bytes written before durable, and the size with them (`fdatasync`).
    ///
    /// # Errors
    /// From the system. A caller must not call it again after an error: the system may have dropped the bytes and
    /// would report success.
    fn sync(&self) -> io::Result<()>;
}

/// The local file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileStorage;

impl FileStorage {
    /// Opens an existing file to read it only.
    pub(crate) fn open_to_read(path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(OpenFile(File::open(path)?)))
    }
}

impl Storage for FileStorage {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        Ok(Arc::new(OpenFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(OpenFile(
            OpenOptions::new().read(true).write(true).open(path)?,
        )))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            // A name that is not UTF-8 is not one of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

#[derive(Debug)]
struct OpenFile(File);

impl StorageFile for OpenFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP) if self.size()? < bytes => self.0.set_len(bytes),
            Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Writes all bytes, continuing after short writes and interruptions.
pub(crate) fn write_all_at(file: &dyn StorageFile, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads until the buffer is full or the file ends; returns the bytes read.
pub(crate) fn read_up_to(file: &dyn StorageFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
