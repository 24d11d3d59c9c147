//! How far a run is, for those who wait for it.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use rapid_primitives::SealedBlock;

/// How often progress is told.
const TELL_INTERVAL: Duration = Duration::from_secs(5);

/// Counters of a run. Each is written by one thread and read by any.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    bytes_read: AtomicU64,
    bytes_total: AtomicU64,
    skipped: AtomicU64,
    blocks: AtomicU64,
    transactions: AtomicU64,
    gas: AtomicU64,
}

/// What a run has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes there are; zero where that is not known.
    pub bytes_total: u64,
    /// Blocks that the chain had already.
    pub skipped: u64,
    /// Blocks executed.
    pub blocks: u64,
    /// Transactions executed.
    pub transactions: u64,
    /// Gas used by them.
    pub gas: u64,
}

impl Counts {
    /// Per cent of the bytes that are read; `None` where nobody knows how many there are.
    #[must_use]
    pub fn percent(&self) -> Option<f64> {
        (self.bytes_total > 0).then(|| 100.0 * self.bytes_read as f64 / self.bytes_total as f64)
    }

    /// Millions of gas per second.
    #[must_use]
    pub fn mgas_per_second(&self, elapsed: Duration) -> f64 {
        self.gas as f64 / 1e6 / elapsed.as_secs_f64().max(1e-9)
    }
}

impl Progress {
    pub(crate) fn note_bytes(&self, read: u64, total: Option<u64>) {
        self.bytes_read.store(read, Relaxed);
        self.bytes_total.store(total.unwrap_or(0), Relaxed);
    }

    pub(crate) fn note_skipped(&self) {
        self.skipped.fetch_add(1, Relaxed);
    }

    pub(crate) fn note_executed(&self, block: &SealedBlock) {
        self.blocks.fetch_add(1, Relaxed);
        self.transactions
            .fetch_add(block.body.transactions.len() as u64, Relaxed);
        self.gas.fetch_add(block.header.gas_used, Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            bytes_read: self.bytes_read.load(Relaxed),
            bytes_total: self.bytes_total.load(Relaxed),
            skipped: self.skipped.load(Relaxed),
            blocks: self.blocks.load(Relaxed),
            transactions: self.transactions.load(Relaxed),
            gas: self.gas.load(Relaxed),
        }
    }
}

/// Tells progress now and then, as lines of the log.
#[derive(Debug)]
pub(crate) struct Teller {
    begun: Instant,
    told: Instant,
    before: Counts,
}

impl Teller {
    pub(crate) fn begin() -> Self {
        let now = Instant::now();
        Self {
            begun: now,
            told: now,
            before: Counts::default(),
        }
    }

    /// Writes a line if it is time for one.
    pub(crate) fn tell(&mut self, progress: &Progress, head: u64) {
        let since = self.told.elapsed();
        if since < TELL_INTERVAL {
            return;
        }
        let counts = progress.counts();
        let lately = Counts {
            gas: counts.gas - self.before.gas,
            ..counts
        };
        tracing::info!(
            target: "reth::import",
            block = head,
            progress = %counts.percent().map_or_else(|| "unknown".to_owned(), |percent| format!("{percent:.1}%")),
            blocks = counts.blocks,
            skipped = counts.skipped,
            txs = counts.transactions,
            throughput = format_args!("{:.2}Mgas/second", lately.mgas_per_second(since)),
            elapsed = ?self.begun.elapsed(),
            "Import progress"
        );
        self.told = Instant::now();
        self.before = counts;
    }
}
