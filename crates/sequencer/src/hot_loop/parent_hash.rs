//! The hash of the parent block, which comes from the finaliser while the next block is open already.

use crossbeam_channel::RecvTimeoutError;

use super::{HotLoop, PAUSED_SLEEP};
use crate::{Host, SequencerError, cut::CutReason, finaliser::SealedHash};

impl<C: Host> HotLoop<C> {
    /// A block that was open when the node stopped may still lack the hash of its parent, which is known now.
    pub(super) fn catch_up_parent_hash(&mut self) -> Result<(), SequencerError> {
        match &self.block {
            Some(block) if block.parent_hash().is_none() => self.store_parent_hash(),
            _ => Ok(()),
        }
    }

    pub(super) fn take_hashes(&mut self) -> Result<(), SequencerError> {
        while let Ok(sealed) = self.hashes.try_recv() {
            self.take_hash(sealed)?;
        }
        Ok(())
    }

    pub(super) fn take_hash(&mut self, sealed: SealedHash) -> Result<(), SequencerError> {
        if sealed.number != self.parent.header.number {
            return Ok(());
        }
        self.parent.hash = Some(sealed.hash);
        self.store_parent_hash()
    }

    /// Stores the parent's hash in the open block if both are there, and lets those go on who waited for it.
    pub(super) fn store_parent_hash(&mut self) -> Result<(), SequencerError> {
        let (Some(block), Some(hash)) = (&mut self.block, self.parent.hash) else {
            return Ok(());
        };
        if block.parent_hash().is_some() {
            return Ok(());
        }
        let changes = block.store_parent_hash(hash)?;
        self.gathered.changed(0, changes);
        if let Some(workers) = &self.workers {
            workers.parent_hash_arrived();
        }
        self.released = self.ready.release_held();
        self.metrics.held.set(0.0);
        Ok(())
    }

    /// Waits for the finaliser. What was executed goes out first: it must not wait for a header.
    pub(super) fn await_parent_hash(&mut self) -> Result<(), SequencerError> {
        self.take_hashes()?;
        if self.parent.hash.is_none() {
            self.cut(CutReason::AwaitingParent, None)?;
        }
        while self.parent.hash.is_none() && !self.control.is_stopping() {
            match self.hashes.recv_timeout(PAUSED_SLEEP) {
                Ok(sealed) => self.take_hash(sealed)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.control.stop(),
            }
        }
        Ok(())
    }
}
