//! Records to write.

use std::{path::Path, sync::Arc, time::Duration};

use alloy_primitives::{B256, Bytes};
use rapid_log::{FileStorage, Log, LogConfig, OpenError, Recovery, Storage};
use rapid_primitives::{BlockEnvironment, MiniBlock, MiniBlockHeader, MiniBlockNumber, SealedMiniBlock};

/// A chain of mini-blocks; `sizes` adds bytes to the records.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) records: Vec<SealedMiniBlock>,
}

impl Chain {
    pub(crate) fn new() -> Self {
        Self { records: Vec::new() }
    }

    pub(crate) fn of(sizes: impl IntoIterator<Item = usize>) -> Self {
        let mut chain = Self::new();
        for size in sizes {
            chain.grow(size, 0);
        }
        chain
    }

    /// Seals one more; `salt` makes it differ from another of the same number.
    pub(crate) fn grow(&mut self, bytes: usize, salt: u64) -> SealedMiniBlock {
        let parent_hash = self.records.last().map_or(B256::ZERO, SealedMiniBlock::hash);
        let number = MiniBlockNumber(self.records.len() as u64 + 1);
        let environment = BlockEnvironment {
            timestamp: salt,
            extra_data: Bytes::from(vec![0xa5; bytes]),
            ..Default::default()
        };
        let header = MiniBlockHeader {
            number,
            parent_hash,
            environment,
            ..Default::default()
        };
        let sealed = MiniBlock {
            header,
            ..Default::default()
        }
        .seal();
        self.records.push(sealed.clone());
        sealed
    }

    /// Forgets everything above.
    pub(crate) fn keep(&mut self, count: usize) {
        self.records.truncate(count);
    }
}

/// Small segments, so that a test crosses many.
pub(crate) fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 16 << 10,
        first_segment_bytes: 4 << 10,
        min_free_bytes: 1 << 20,
        ..LogConfig::default()
    }
}

/// Window of the grouped policies.
pub(crate) const WINDOW: Duration = Duration::from_millis(2);

pub(crate) fn files() -> Arc<dyn Storage> {
    Arc::new(FileStorage)
}

pub(crate) fn open(dir: &Path, storage: Arc<dyn Storage>) -> Result<(Log, Recovery), OpenError> {
    Log::open(dir, config(), storage)
}

/// Everything the log holds.
pub(crate) fn recovered(recovery: &Recovery) -> Vec<SealedMiniBlock> {
    recovery
        .after(MiniBlockNumber(0), B256::ZERO)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}
