//! One process per datadir.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the datadir.
    #[error(
        "the data directory is in use by process {holder} (lock file {path}): stop it or choose another --datadir"
    )]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Process id of the holder, or `unknown`.
        holder: String,
    },
    /// The lock file cannot be opened or written.
    #[error("lock file {path}: {source}")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// The right to write a datadir, held until dropped.
///
/// It is an advisory lock of the kernel (`flock`), so it ends with the process however that ends, and a lock file left
/// behind blocks nobody. The file holds the process id of its holder for the reader's benefit only.
#[derive(Debug)]
pub struct DataDirLock {
    file: File,
}

impl DataDirLock {
    /// Takes the lock without waiting.
    ///
    /// # Errors
    /// [`LockError::Held`] if another process (or another lock in this one) has it; [`LockError::Io`].
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let io = |source| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(LockError::Held {
                    path: path.to_owned(),
                    holder: holder(&mut file),
                });
            }
            Err(errno) => return Err(io(errno.into())),
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { file })
    }
}

impl Drop for DataDirLock {
    fn drop(&mut self) {
        // A process id in an unlocked file would mislead; the lock itself goes with the descriptor.
        let _ = self.file.set_len(0);
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_holder_is_refused_and_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = DataDirLock::acquire(&path).unwrap();
        let error = DataDirLock::acquire(&path).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        DataDirLock::acquire(&path).expect("released");
    }

    #[test]
    fn a_file_left_behind_blocks_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::fs::write(&path, "4242\n").unwrap();
        let lock = DataDirLock::acquire(&path).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            format!("{}\n", std::process::id())
        );
        drop(lock);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }
}
