//! Several files of blocks, plain or compressed, as one source.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use flate2::bufread::MultiGzDecoder;

use super::{BlockReader, BlockSource, RawBlock, SourceError};

/// Bytes read from a file at once.
const READ_BYTES: usize = 1 << 20;
/// First bytes of a gzip member.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

type Input = Box<dyn BufRead + Send>;

/// Files of concatenated RLP blocks, one after the other. A file that begins as gzip does is decompressed.
pub struct BlockFiles {
    waiting: VecDeque<PathBuf>,
    open: Option<BlockReader<Input>>,
    bytes_read: Arc<AtomicU64>,
    bytes_total: u64,
}

/// A file that counts what is read of it.
struct Counted {
    file: File,
    bytes: Arc<AtomicU64>,
}

impl BlockFiles {
    /// These files, in order.
    ///
    /// # Errors
    /// [`SourceError::Io`] if one of them is not there: rather now than after hours.
    pub fn open(paths: impl IntoIterator<Item = PathBuf>) -> Result<Self, SourceError> {
        let waiting: VecDeque<_> = paths.into_iter().collect();
        let mut bytes_total = 0;
        for path in &waiting {
            let metadata = File::open(path).and_then(|file| file.metadata());
            bytes_total += metadata.map_err(|error| cannot_read(path, error))?.len();
        }
        Ok(Self {
            waiting,
            open: None,
            bytes_read: Arc::default(),
            bytes_total,
        })
    }

    fn reader(&self, path: &Path) -> Result<BlockReader<Input>, SourceError> {
        let input = self.input(path).map_err(|error| cannot_read(path, error))?;
        Ok(BlockReader::new(path.display().to_string(), input))
    }

    fn input(&self, path: &Path) -> io::Result<Input> {
        let counted = Counted {
            file: File::open(path)?,
            bytes: Arc::clone(&self.bytes_read),
        };
        let mut plain = BufReader::with_capacity(READ_BYTES, counted);
        // A block is a list: its first byte is never gzip's.
        if plain.fill_buf()?.starts_with(&GZIP_MAGIC) {
            let blocks = MultiGzDecoder::new(plain);
            return Ok(Box::new(BufReader::with_capacity(READ_BYTES, blocks)));
        }
        Ok(Box::new(plain))
    }
}

fn cannot_read(path: &Path, error: io::Error) -> SourceError {
    SourceError::Io {
        source_name: path.display().to_string().into(),
        error,
    }
}

impl BlockSource for BlockFiles {
    fn next_block(&mut self) -> Result<Option<RawBlock>, SourceError> {
        loop {
            if let Some(open) = &mut self.open {
                if let Some(block) = open.next_entry()? {
                    return Ok(Some(block));
                }
                self.open = None;
            }
            let Some(path) = self.waiting.pop_front() else {
                return Ok(None);
            };
            self.open = Some(self.reader(&path)?);
        }
    }

    fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Relaxed)
    }

    fn bytes_total(&self) -> Option<u64> {
        Some(self.bytes_total)
    }
}

impl std::fmt::Debug for BlockFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockFiles")
            .field("waiting", &self.waiting)
            .field("bytes_total", &self.bytes_total)
            .finish_non_exhaustive()
    }
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.bytes.fetch_add(read as u64, Relaxed);
        Ok(read)
    }
}
