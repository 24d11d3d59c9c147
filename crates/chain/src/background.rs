//! The thread that moves sealed blocks into history, writes checkpoints and trims the log.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use rapid_history::BlockRecord;
use rapid_primitives::{CommitSequence, MiniBlockNumber, SealedBlock, SealedMiniBlock};

use crate::{
    Chain, ChainError, FinishedBlock,
    checkpoint::{Written, write_checkpoint},
};

/// Sealed blocks that may wait for history. When it is full, sealing waits, and with it production: half a minute of
/// one-second blocks, each of which is in memory anyway.
pub(crate) const SEALED_QUEUE_LEN: usize = 32;
/// Blocks written to history in one transaction at most.
const BATCH_LEN: usize = 16;

/// What history and the next checkpoint need of a sealed block.
#[derive(Debug)]
pub(crate) struct Sealed {
    block: Arc<SealedBlock>,
    last: Option<Arc<SealedMiniBlock>>,
    version: CommitSequence,
}

impl Sealed {
    pub(crate) fn of(finished: &FinishedBlock) -> Self {
        Self {
            block: Arc::clone(&finished.block),
            last: finished.mini_blocks.last().cloned(),
            version: finished.version,
        }
    }

    fn last_mini_block(&self) -> MiniBlockNumber {
        self.last
            .as_ref()
            .map_or(MiniBlockNumber(0), |mini_block| mini_block.number())
    }
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Background {
    queue: Sender<Sealed>,
    thread: JoinHandle<Result<(), ChainError>>,
    log_bytes: Arc<AtomicU64>,
    stopping: Arc<AtomicBool>,
}

impl Background {
    /// Starts the thread. `log_bytes` is what the log has grown by since the last checkpoint.
    pub(crate) fn start(chain: Chain, log_bytes: u64) -> Result<Self, std::io::Error> {
        let (queue, sealed) = bounded(SEALED_QUEUE_LEN);
        let log_bytes = Arc::new(AtomicU64::new(log_bytes));
        let stopping = Arc::new(AtomicBool::new(false));
        let mut worker = Worker {
            chain,
            sealed,
            log_bytes: Arc::clone(&log_bytes),
            stopping: Arc::clone(&stopping),
            checkpoint_at: 0,
        };
        worker.checkpoint_at = worker.chain.shared.checkpoint_log_bytes;
        let thread = thread::Builder::new()
            .name("chain-history".into())
            .spawn(move || {
                let result = worker.run();
                if let Err(error) = &result {
                    tracing::warn!(target: "chain::history", %error, "history writer stopped");
                }
                result
            })?;
        Ok(Self {
            queue,
            thread,
            log_bytes,
            stopping,
        })
    }

    pub(crate) fn note_record(&self, bytes: u64) {
        self.log_bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn hand_over(&self, sealed: Sealed) -> Result<(), ChainError> {
        self.queue.send(sealed).map_err(|_| ChainError::HistoryStopped)
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
    checkpoint_at: u64,
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

    fn store(&self, batch: &[Sealed]) -> Result<(), ChainError> {
        let records: Vec<_> = batch
            .iter()
            .map(|sealed| BlockRecord {
                block: Arc::clone(&sealed.block),
                last_mini_block: sealed.last_mini_block(),
                reverts: Arc::default(),
                codes: Vec::new(),
            })
            .collect();
        let shared = &self.chain.shared;
        shared.history.append(&records)?;
        metrics::gauge!("rapid_reth_chain_recent_blocks").set(shared.blocks.read().len() as f64);
        let in_history = records.last().map_or(0, |record| record.block.number());
        let dropped = shared.blocks.write().shrink(in_history);
        dropped
            .iter()
            .for_each(|mini_block| shared.transactions.remove(mini_block));
        Ok(())
    }

    /// Writes a checkpoint of the state after a block and drops the log that no kept checkpoint needs.
    ///
    /// A version that is gone already means that the writers outran this thread: the next block gets the checkpoint.
    fn checkpoint(&mut self, newest: &Sealed) -> Result<(), ChainError> {
        let Some(last) = &newest.last else { return Ok(()) };
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
