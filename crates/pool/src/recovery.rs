//! Recovering the senders of many transactions at once, on all cores.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use alloy_primitives::Bytes;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::{Condvar, Mutex};

use crate::{DecodeLimits, PoolError, PooledTransaction, decode_bytes_and_recover};

/// Transactions recovered by one thread before it looks for more: about a millisecond of work, so that a batch spreads
/// over the workers and a small one stays on its thread.
pub const RECOVERY_CHUNK: usize = 32;

type Recovered = Result<PooledTransaction, PoolError>;

/// Bounds of a [`Recovery`].
#[derive(Clone, Copy, Debug)]
pub struct RecoveryConfig {
    /// Worker threads, beside the calling ones.
    pub workers: NonZeroUsize,
    /// Transactions of all batches being recovered. A batch that does not fit is refused with [`PoolError::Busy`].
    pub queue_max: usize,
    /// What transactions must fit.
    pub limits: DecodeLimits,
}

impl RecoveryConfig {
    /// One worker less than there are cores, but at least one; 64 Ki transactions.
    #[must_use]
    pub fn new(limits: DecodeLimits) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let workers = NonZeroUsize::new(cores.saturating_sub(1)).unwrap_or(NonZeroUsize::MIN);
        Self {
            workers,
            queue_max: 64 * 1024,
            limits,
        }
    }
}

/// A set of threads that decode transactions and recover their senders in batches.
///
/// The calling thread takes part, so a batch makes progress even when every worker is busy with another one. Dropping
/// the set ends the threads.
#[derive(Debug)]
pub struct Recovery {
    config: RecoveryConfig,
    waiting: AtomicUsize,
    jobs: Option<Sender<Arc<Batch>>>,
    workers: Vec<JoinHandle<()>>,
}

impl Recovery {
    /// Starts the workers.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start(config: RecoveryConfig) -> std::io::Result<Self> {
        // One entry is one request for help with a batch; a full channel only means less help.
        let (jobs, requests) = bounded(config.workers.get() * 16);
        let workers = (0..config.workers.get())
            .map(|index| {
                let requests: Receiver<Arc<Batch>> = requests.clone();
                std::thread::Builder::new()
                    .name(format!("recover-{index}"))
                    .spawn(move || {
                        for batch in requests {
                            batch.work();
                        }
                    })
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self {
            config,
            waiting: AtomicUsize::new(0),
            jobs: Some(jobs),
            workers,
        })
    }

    /// Decodes one transaction and recovers its sender on the calling thread: another thread would cost a hand-over
    /// and save nothing.
    ///
    /// # Errors
    /// As [`crate::decode_and_recover`].
    pub fn recover(&self, raw: Bytes) -> Recovered {
        decode_bytes_and_recover(raw, &self.config.limits)
    }

    /// Decodes many transactions and recovers their senders, in order. Blocks until all are done.
    ///
    /// # Errors
    /// [`PoolError::Busy`] if the batch does not fit the queue; then nothing was done. Otherwise each transaction has
    /// its own result.
    pub fn recover_batch(&self, raw: Vec<Bytes>) -> Result<Vec<Recovered>, PoolError> {
        let count = raw.len();
        let _room = Room::reserve(&self.waiting, count, self.config.queue_max)?;
        if count <= RECOVERY_CHUNK {
            return Ok(raw.into_iter().map(|raw| self.recover(raw)).collect());
        }
        let batch = Arc::new(Batch::new(&raw, self.config.limits));
        let helpers = self.config.workers.get().min(batch.chunks.len() - 1);
        if let Some(jobs) = &self.jobs {
            for _ in 0..helpers {
                match jobs.try_send(Arc::clone(&batch)) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => break,
                }
            }
        }
        batch.work();
        Ok(batch.wait())
    }

    /// Transactions being recovered in batches now.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Drop for Recovery {
    fn drop(&mut self) {
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // A worker that panicked has nothing left to hand over.
            let _ = worker.join();
        }
    }
}

/// Room in the queue, given back when the batch is done.
struct Room<'a> {
    waiting: &'a AtomicUsize,
    count: usize,
}

impl<'a> Room<'a> {
    fn reserve(waiting: &'a AtomicUsize, count: usize, max: usize) -> Result<Self, PoolError> {
        let before = waiting.fetch_add(count, Ordering::Relaxed);
        let room = Self { waiting, count };
        metrics::gauge!("rapid_reth_pool_recovery_queued").set((before + count) as f64);
        if before + count > max {
            Err(PoolError::Busy)
        } else {
            Ok(room)
        }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let before = self.waiting.fetch_sub(self.count, Ordering::Relaxed);
        metrics::gauge!("rapid_reth_pool_recovery_queued").set((before - self.count) as f64);
    }
}

/// A batch that several threads take chunks of.
#[derive(Debug)]
struct Batch {
    limits: DecodeLimits,
    chunks: Vec<Mutex<Chunk>>,
    count: usize,
    next: AtomicUsize,
    done: Mutex<usize>,
    all_done: Condvar,
}

#[derive(Debug)]
struct Chunk {
    raw: Vec<Bytes>,
    results: Vec<Recovered>,
}

impl Batch {
    fn new(raw: &[Bytes], limits: DecodeLimits) -> Self {
        let chunks = raw
            .chunks(RECOVERY_CHUNK)
            .map(|chunk| {
                Mutex::new(Chunk {
                    raw: chunk.to_vec(),
                    results: Vec::with_capacity(chunk.len()),
                })
            })
            .collect();
        Self {
            limits,
            chunks,
            count: raw.len(),
            next: AtomicUsize::new(0),
            done: Mutex::new(0),
            all_done: Condvar::new(),
        }
    }

    /// Takes chunks until none is left.
    fn work(&self) {
        while let Some(chunk) = self.chunks.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            // Counts the chunk even if decoding should panic, so that the caller is not left waiting.
            let _done = CountDone(self);
            let mut chunk = chunk.lock();
            for raw in std::mem::take(&mut chunk.raw) {
                let recovered = decode_bytes_and_recover(raw, &self.limits);
                chunk.results.push(recovered);
            }
        }
    }

    fn wait(&self) -> Vec<Recovered> {
        let mut done = self.done.lock();
        self.all_done
            .wait_while(&mut done, |done| *done < self.chunks.len());
        let mut results = Vec::with_capacity(self.count);
        for (index, chunk) in self.chunks.iter().enumerate() {
            results.append(&mut chunk.lock().results);
            let due = ((index + 1) * RECOVERY_CHUNK).min(self.count);
            results.resize_with(due, || Err(PoolError::RecoveryLost));
        }
        results
    }
}

struct CountDone<'a>(&'a Batch);

impl Drop for CountDone<'_> {
    fn drop(&mut self) {
        let mut done = self.0.done.lock();
        *done += 1;
        if *done == self.0.chunks.len() {
            self.0.all_done.notify_all();
        }
    }
}
