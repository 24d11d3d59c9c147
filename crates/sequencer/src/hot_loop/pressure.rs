//! What the loop takes while those behind it do not keep up: only what is urgent, or late by its lane's ageing bound.
//!
//! If it took everything it would soon have to wait for them, and what is urgent with it. So the lanes below wait first, and
//! leave their time to those behind.

#[cfg(test)]
mod tests;

use std::time::Instant;

use rapid_pool::{Lane, PooledTransaction};

use super::HotLoop;
use crate::{Host, SequencerError, committer::COMMITTER_BEHIND_FROM};

impl<C: Host> HotLoop<C> {
    /// Looks whether anybody is behind.
    pub(super) fn note_pressure(&mut self, now: Instant) {
        let is_pressed = self.somebody_is_behind();
        match (is_pressed, self.pressed_since) {
            (true, None) => {
                self.pressed_since = Some(now);
                self.control.set_pressed(true);
            }
            (false, Some(since)) => {
                self.pressed_since = None;
                self.control.set_pressed(false);
                self.metrics.pressure.record(now.saturating_duration_since(since));
            }
            _ => {}
        }
    }

    /// Whether somebody was when the loop last looked.
    pub(super) const fn is_pressed(&self) -> bool {
        self.pressed_since.is_some()
    }

    fn somebody_is_behind(&self) -> bool {
        self.closing_is_due || self.cuts.len() >= COMMITTER_BEHIND_FROM
    }

    /// Sleeps until something is urgent or late, nobody is behind any more, or the deadline.
    pub(super) fn wait_under_pressure(&mut self, deadline: Instant) {
        if self.somebody_is_behind() {
            self.ready.wait_for_pressing_until(deadline);
        }
    }

    /// Leaves a transaction that does not fit the open block where it was, if the block is about to be closed anyway and who
    /// sent it can wait for the next one.
    pub(super) fn can_wait_for_close(&self, transaction: &PooledTransaction) -> bool {
        self.closing_is_due && transaction.lane() > Lane::Critical
    }

    /// Ends the open block, whose time has come, as soon as the hash of its parent is there. Until then it stays open for what
    /// is urgent.
    pub(super) fn close_once_possible(&mut self) -> Result<(), SequencerError> {
        self.take_hashes()?;
        if self.parent.hash.is_none() {
            self.closing_is_due = true;
            return Ok(());
        }
        self.close_block()
    }

    /// Ends the block that waited for the hash of its parent, once those have run that waited for it, too: in the next block
    /// they would only have to wait again.
    pub(super) fn close_overdue_block(&mut self, now: Instant) -> Result<(), SequencerError> {
        let released = std::mem::take(&mut self.released);
        if !self.closing_is_due || self.parent.hash.is_none() {
            return Ok(());
        }
        for _ in 0..released {
            match self.ready.pop_put_back_at(now) {
                Some(transaction) => self.take(transaction)?,
                None => break,
            }
            if !self.closing_is_due {
                return Ok(());
            }
        }
        self.close_block()
    }
}
