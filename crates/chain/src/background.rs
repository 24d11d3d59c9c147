//! The thread that moves sealed blocks into history, writes checkpoints and trims the log.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex};
use rapid_history::BlockRecord;
use rapid_primitives::{CommitSequence, MiniBlockNumber, SealedBlock, SealedMiniBlock};
use rapid_state::{Snapshot, State};

use crate::{
    Chain, ChainError, Effort, FinishedBlock, Stopwatch,
    checkpoint::{Written, write_checkpoint},
    reverts::{BlockChanges, changes_of},
};

/// Sealed blocks that may wait for history. When it is full, sealing waits, and with it production: half a minute of
/// one-second blocks, each of which is in memory anyway.
pub(crate) const SEALED_QUEUE_LEN: usize = 32;
/// Blocks written to history in one transaction at most.
const BATCH_LEN: usize = 16;

/// What history and the next checkpoint need of a sealed block.
#[derive(Debug)]
struct Sealed {
    block: Arc<SealedBlock>,
    mini_blocks: Vec<Arc<SealedMiniBlock>>,
    /// The state before it, pinned so that what the block changed can be looked up: the queue bounds how long.
    before: Snapshot,
    /// The state after it.
    version: CommitSequence,
}

/// A sealed block on its way into history.
#[derive(Debug)]
pub(crate) struct HandOver {
    block: Arc<SealedBlock>,
    mini_blocks: Vec<Arc<SealedMiniBlock>>,
    after: Snapshot,
}

impl HandOver {
    /// Takes what is needed of a block, and pins the state after it.
    ///
    /// # Errors
    /// [`ChainError::VersionGone`] when that state is gone already, which the block's trie, if it is of that state, rules
    /// out.
    pub(crate) fn of(finished: &FinishedBlock, state: &State) -> Result<Self, ChainError> {
        Ok(Self {
            block: Arc::clone(&finished.block),
            mini_blocks: finished.mini_blocks.clone(),
            after: state.pin(finished.version)?,
        })
    }
}

/// How many blocks were handed over and how many are in history.
#[derive(Debug, Default)]
struct Progress {
    handed_over: u64,
    stored: u64,
    stopped: bool,
    /// What storing them took.
    effort: Effort,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Background {
    queue: Sender<Sealed>,
    /// The state after the newest block handed over, pinned.
    newest: Mutex<Snapshot>,
    progress: Arc<(Mutex<Progress>, Condvar)>,
    thread: JoinHandle<Result<(), ChainError>>,
    log_bytes: Arc<AtomicU64>,
    stopping: Arc<AtomicBool>,
}

impl Background {
    /// Starts the thread. `head` is the state after the newest sealed block, pinned; `log_bytes` is what the log has grown by
    /// since the last checkpoint.
    pub(crate) fn start(chain: Chain, head: Snapshot, log_bytes: u64) -> Result<Self, std::io::Error> {
        let (queue, sealed) = bounded(SEALED_QUEUE_LEN);
        let log_bytes = Arc::new(AtomicU64::new(log_bytes));
        let stopping = Arc::new(AtomicBool::new(false));
        let progress = Arc::default();
        let mut worker = Worker {
            chain,
            sealed,
            log_bytes: Arc::clone(&log_bytes),
            stopping: Arc::clone(&stopping),
            progress: Arc::clone(&progress),
            checkpoint_at: 0,
        };
        worker.checkpoint_at = worker.chain.shared.checkpoint_log_bytes;
        let thread = thread::Builder::new()
            .name("chain-history".into())
            .spawn(move || {
                crate::Precedence::Background.take();
                let result = worker.run();
                worker.note(|progress| progress.stopped = true);
                if let Err(error) = &result {
                    tracing::warn!(target: "chain::history", %error, "history writer stopped");
                }
                result
            })?;
        Ok(Self {
            queue,
            newest: Mutex::new(head),
            progress,
            thread,
            log_bytes,
            stopping,
        })
    }

    pub(crate) fn note_record(&self, bytes: u64) {
        self.log_bytes.fetch_add(bytes, Relaxed);
    }

    /// Hands over the next sealed block; waits while history is [`SEALED_QUEUE_LEN`] blocks behind.
    pub(crate) fn hand_over(&self, next: HandOver) -> Result<(), ChainError> {
        let HandOver {
            block,
            mini_blocks,
            after,
        } = next;
        let version = after.sequence();
        let before = std::mem::replace(&mut *self.newest.lock(), after);
        let sealed = Sealed {
            block,
            mini_blocks,
            before,
            version,
        };
        self.progress.0.lock().handed_over += 1;
        self.queue.send(sealed).map_err(|_| ChainError::HistoryStopped)
    }

    /// Blocks were taken back: the next one comes after this state, which is pinned.
    pub(crate) fn take_back(&self, after: Snapshot) {
        *self.newest.lock() = after;
    }

    /// Waits until everything handed over is in history.
    pub(crate) fn await_stored(&self) -> Result<(), ChainError> {
        let (progress, changed) = &*self.progress;
        let mut progress = progress.lock();
        while progress.stored < progress.handed_over {
            if progress.stopped {
                return Err(ChainError::HistoryStopped);
            }
            changed.wait(&mut progress);
        }
        Ok(())
    }

    /// What storing blocks has taken the thread so far.
    pub(crate) fn effort(&self) -> Effort {
        self.progress.0.lock().effort
    }

    /// Stores what was handed over and ends the thread. A checkpoint under way is given up: the log has it all.
    pub(crate) fn stop(self) -> Result<(), ChainError> {
        self.stopping.store(true, Relaxed);
        drop(self.queue);
        self.thread.join().map_err(|_| ChainError::HistoryStopped)?
    }
}

#[derive(Debug)]
struct Worker {
    chain: Chain,
    sealed: Receiver<Sealed>,
    log_bytes: Arc<AtomicU64>,
    stopping: Arc<AtomicBool>,
    progress: Arc<(Mutex<Progress>, Condvar)>,
    checkpoint_at: u64,
}

impl Sealed {
    fn last_mini_block(&self) -> MiniBlockNumber {
        self.mini_blocks
            .last()
            .map_or(MiniBlockNumber(0), |mini_block| mini_block.number())
    }
}

impl Worker {
    fn run(&mut self) -> Result<(), ChainError> {
        while let Ok(first) = self.sealed.recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH_LEN {
                let Ok(next) = self.sealed.try_recv() else { break };
                batch.push(next);
            }
            self.store(&batch)?;
            metrics::gauge!("rapid_reth_chain_history_queue_blocks").set(self.sealed.len() as f64);
            let newest = batch.pop().expect("a batch has at least its first block");
            let due = self.log_bytes.load(Relaxed) >= self.checkpoint_at;
            if due && !self.stopping.load(Relaxed) {
                self.checkpoint(&newest)?;
            }
        }
        Ok(())
    }

    fn note(&self, note: impl FnOnce(&mut Progress)) {
        let (progress, changed) = &*self.progress;
        note(&mut progress.lock());
        changed.notify_all();
    }

    fn store(&self, batch: &[Sealed]) -> Result<(), ChainError> {
        let watch = Stopwatch::start();
        let records: Result<Vec<_>, ChainError> = batch
            .iter()
            .map(|sealed| {
                let BlockChanges { reverts, codes } = changes_of(&sealed.before, &sealed.mini_blocks)?;
                Ok(BlockRecord {
                    block: Arc::clone(&sealed.block),
                    last_mini_block: sealed.last_mini_block(),
                    reverts,
                    codes,
                })
            })
            .collect();
        let records = records?;
        let shared = &self.chain.shared;
        shared.history.append(&records)?;
        self.note(|progress| {
            progress.stored += records.len() as u64;
            progress.effort += watch.stop();
        });
        metrics::gauge!("rapid_reth_chain_recent_blocks").set(shared.blocks.read().len() as f64);
        self.measure_trie();
        let in_history = records.last().map_or(0, |record| record.block.number());
        let dropped = shared.blocks.write().shrink(in_history);
        dropped
            .iter()
            .for_each(|mini_block| shared.transactions.remove(mini_block));
        Ok(())
    }

    /// What the trie takes of its memory.
    fn measure_trie(&self) {
        let newest = self.chain.shared.blocks.read().newest_trie();
        let Some((_, trie)) = newest else { return };
        let usage = trie.usage();
        metrics::gauge!("rapid_reth_trie_used_bytes").set(usage.used_bytes as f64);
        metrics::gauge!("rapid_reth_trie_committed_bytes").set(usage.committed_bytes as f64);
        metrics::gauge!("rapid_reth_trie_versions_entries").set(usage.versions as f64);
    }

    /// Writes a checkpoint of the state after a block and drops the log that no kept checkpoint needs.
    ///
    /// A version that is gone already means that the writers outran this thread: the next block gets the checkpoint.
    fn checkpoint(&mut self, newest: &Sealed) -> Result<(), ChainError> {
        let Some(last) = newest.mini_blocks.last() else {
            return Ok(());
        };
        let shared = &self.chain.shared;
        let Ok(snapshot) = shared.state.get_at(newest.version) else {
            metrics::counter!("rapid_reth_chain_checkpoints_missed_total").increment(1);
            return Ok(());
        };
        shared.log.sync()?;
        shared.history.sync()?;
        let covered = self.log_bytes.load(Relaxed);
        let written = write_checkpoint(
            &shared.checkpoints,
            &snapshot,
            &newest.block,
            last,
            &self.stopping,
        );
        let bytes = match written {
            Ok(Written::Bytes(bytes)) => bytes,
            Ok(Written::GivenUp) => return Ok(()),
            Err(ChainError::VersionGone(_)) => {
                metrics::counter!("rapid_reth_chain_checkpoints_missed_total").increment(1);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // The older checkpoint is of use only as long as the log reaches back to it.
        let kept = shared.checkpoints.list()?;
        if let [_, .., oldest] = kept[..] {
            shared.log.trim(oldest.next())?;
        }
        self.log_bytes.fetch_sub(covered, Relaxed);
        self.checkpoint_at = shared.checkpoint_log_bytes.max(bytes);
        Ok(())
    }
}
