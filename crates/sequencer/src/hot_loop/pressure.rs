//! What the loop takes while those behind it do not keep up: only what is urgent.
//!
//! If it took everything it would soon have to wait for them, and what is urgent with it. So the lanes below wait first, and
//! leave their time to those behind.

#[cfg(test)]
mod tests;

use std::time::Instant;

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

    /// Sleeps until something is urgent, nobody is behind any more, or the deadline.
    pub(super) fn wait_under_pressure(&mut self, deadline: Instant) {
        if self.somebody_is_behind() {
            self.ready.wait_for_urgent_until(deadline);
        }
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

    /// Ends the block that waited for the hash of its parent.
    pub(super) fn close_overdue_block(&mut self) -> Result<(), SequencerError> {
        match self.closing_is_due && self.parent.hash.is_some() {
            true => self.close_block(),
            false => Ok(()),
        }
    }
}
