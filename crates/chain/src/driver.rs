//! The write side: the one handle through which the chain advances.

use std::sync::Arc;

use rapid_log::DiskState;
use rapid_primitives::{CommitSequence, MemoryPressure, MiniBlockNumber, SealedMiniBlock};
use rapid_state::Snapshot;

use crate::{
    Chain, ChainError, ChainEvent, FinishedBlock,
    background::{Background, HandOver},
};

/// Advances the chain. There is one per chain, so a node has one driver: its sequencer, or its importer.
///
/// The order per mini-block is [`append`](Self::append), [`wait_announceable`](Self::wait_announceable),
/// [`publish`](Self::publish); and once its header is computed, [`seal`](Self::seal) per block. Publishing and sealing
/// may be done by two threads.
#[derive(Debug)]
pub struct Driver {
    chain: Chain,
    background: Background,
}

impl Driver {
    pub(crate) fn new(chain: Chain, head: Snapshot, log_bytes: u64) -> Result<Self, std::io::Error> {
        let background = Background::start(chain.clone(), head, log_bytes)?;
        Ok(Self { chain, background })
    }

    /// The chain, to read.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Writes the record of a mini-block to the log.
    ///
    /// # Errors
    /// [`ChainError::Log`]; nothing may be announced any more.
    pub fn append(&self, mini_block: &SealedMiniBlock) -> Result<(), ChainError> {
        self.background.note_record(mini_block.bytes().len() as u64);
        Ok(self.chain.shared.log.append(mini_block)?)
    }

    /// Waits until the durability policy lets everything up to `number` be announced.
    ///
    /// # Errors
    /// [`ChainError::Log`]; nothing may be announced any more.
    pub fn wait_announceable(&self, number: MiniBlockNumber) -> Result<(), ChainError> {
        Ok(self.chain.shared.log.wait_announceable(number)?)
    }

    /// Makes a mini-block visible: state, transactions, receipts; then wakes who waits for them.
    ///
    /// `version` is the state's sequence at the seal of the mini-block.
    ///
    /// # Panics
    /// If the mini-block may not be announced yet.
    pub fn publish(&self, mini_block: &Arc<SealedMiniBlock>, version: CommitSequence) {
        let shared = &self.chain.shared;
        assert!(
            mini_block.number() <= shared.log.announceable(),
            "mini-block {} published before it was durable",
            mini_block.number()
        );
        shared.state.publish(version);
        shared.transactions.insert(mini_block);
        self.chain.publish_view(mini_block);
        shared.waiters.wake(mini_block);
        // Without subscribers there is nobody to tell.
        let _ = shared.events.send(ChainEvent::MiniBlock(Arc::clone(mini_block)));
    }

    /// Makes a block canonical and visible by number and hash, and hands it to history.
    ///
    /// Waits while too many sealed blocks wait for history.
    ///
    /// # Errors
    /// [`ChainError::HistoryStopped`]; [`ChainError::VersionGone`] when more was written since the block was closed than
    /// the state keeps.
    pub fn seal(&self, finished: FinishedBlock) -> Result<(), ChainError> {
        let shared = &self.chain.shared;
        let next = HandOver::of(&finished, &shared.state)?;
        let block = Arc::clone(&finished.block);
        let dropped = {
            let _one_at_a_time = shared.view_update.lock();
            let dropped = shared.blocks.write().insert(finished);
            let view = shared.view.load().with_sealed(Arc::clone(&block));
            shared.view.store(Arc::new(view));
            dropped
        };
        // Ending tries takes time, and whoever publishes is not to wait for it.
        drop(dropped);
        let _ = shared.events.send(ChainEvent::Block(block));
        self.background.hand_over(next)
    }

    /// Waits until everything sealed is in history.
    pub(crate) fn await_history(&self) -> Result<(), ChainError> {
        self.background.await_stored()
    }

    pub(crate) const fn background(&self) -> &Background {
        &self.background
    }

    /// How near the process is to its memory limit. One atomic load.
    #[must_use]
    pub fn memory(&self) -> MemoryPressure {
        self.chain.memory().load()
    }

    /// Whether disk and memory have room for production to go on.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.check_room().is_ok()
    }

    /// # Errors
    /// [`ChainError::DiskNearlyFull`], [`ChainError::MemoryNearlyFull`].
    pub(crate) fn check_room(&self) -> Result<(), ChainError> {
        if self.chain.shared.log.disk_state() != DiskState::Ok {
            return Err(ChainError::DiskNearlyFull);
        }
        self.check_memory()
    }

    /// # Errors
    /// [`ChainError::MemoryNearlyFull`].
    pub(crate) fn check_memory(&self) -> Result<(), ChainError> {
        match self.memory() {
            MemoryPressure::None | MemoryPressure::Soft => Ok(()),
            MemoryPressure::Hard => Err(ChainError::MemoryNearlyFull),
        }
    }

    /// Makes every record appended so far durable, whatever the policy.
    ///
    /// # Errors
    /// [`ChainError::Log`]; nothing may be announced any more.
    pub fn sync_log(&self) -> Result<(), ChainError> {
        self.chain.shared.log.sync()?;
        Ok(())
    }

    /// Ends the chain's own thread after it has written what was handed over, and makes log and history durable.
    ///
    /// # Errors
    /// [`ChainError`] if something could not be made durable.
    pub fn shutdown(self) -> Result<(), ChainError> {
        let Self { chain, background } = self;
        background.stop()?;
        chain.shared.log.sync()?;
        chain.shared.history.sync()?;
        Ok(())
    }
}
