//! The finaliser: folds published mini-blocks into the trie and makes the header of each block, beside the loop.

use std::{sync::Arc, time::Instant};

use alloy_primitives::B256;
use crossbeam_channel::{Receiver, Sender};
use rapid_chain::{BlockAssembly, ChainError, Driver, Precedence};
use rapid_pool::HeadInfo;

use crate::{Host, SequencerError, committer::Published, control::Control, pool_feed::PoolFeed};

/// Published mini-blocks that may wait for the finaliser. When it is full the committer waits, and through it the loop:
/// a second of mini-blocks at the shortest interval, since the one that closes a block takes the trie about as long.
pub(crate) const PUBLISHED_QUEUE_LEN: usize = 1_024;

/// The hash of a sealed block, on its way back to the loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SealedHash {
    pub(crate) number: u64,
    pub(crate) hash: B256,
}

pub(crate) struct Finaliser<C> {
    pub(crate) driver: Arc<Driver>,
    pub(crate) pool: PoolFeed,
    pub(crate) control: Arc<Control>,
    pub(crate) host: C,
    pub(crate) assembly: BlockAssembly,
    pub(crate) published: Receiver<Published>,
    pub(crate) hashes: Sender<SealedHash>,
}

impl<C: Host> Finaliser<C> {
    /// Runs until the committer is gone, or until history fails.
    pub(crate) fn run(mut self) -> Result<(), SequencerError> {
        Precedence::Background.take();
        let block_seconds = metrics::histogram!("rapid_reth_sequencer_block_seconds");
        while let Ok(Published { mini_block, after }) = self.published.recv() {
            let (closes, version) = (mini_block.closes_block(), after.sequence());
            self.assembly.push(mini_block, after).map_err(ChainError::from)?;
            if !closes {
                continue;
            }
            let started = Instant::now();
            let finished = self.assembly.finish(self.driver.chain().spec(), version);
            let finished = finished.map_err(ChainError::from)?;
            block_seconds.record(started.elapsed());
            let sealed = SealedHash {
                number: finished.block.number(),
                hash: finished.block.hash,
            };
            self.driver.seal(finished)?;
            // The loop is gone when the node stops.
            let _ = self.hashes.send(sealed);
            self.control.wake_loop();
            self.announce_head()?;
        }
        Ok(())
    }

    /// Tells the pool what the open block, or else the next one, asks of transactions.
    fn announce_head(&self) -> Result<(), SequencerError> {
        let chain = self.driver.chain();
        let environment = chain.simulation_environment(&chain.view(), self.host.wall().as_secs())?;
        self.pool.head(HeadInfo::of(chain.spec(), &environment));
        Ok(())
    }
}
