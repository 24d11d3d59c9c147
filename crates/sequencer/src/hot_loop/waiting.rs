//! What the loop does when there is nothing to execute, or may not be.

use std::time::Instant;

use rapid_primitives::MemoryPressure;

use super::{HotLoop, IDLE_SLEEP, PAUSED_SLEEP};
use crate::{
    BlockPolicy, Host, SequencerError,
    cut::{CommitOrder, CutReason},
};

impl<C: Host> HotLoop<C> {
    /// Nothing to execute: seal at once if nothing is coming, else sleep until something is due.
    pub(super) fn idle(&mut self, now: Instant) -> Result<(), SequencerError> {
        if self.is_busy() {
            return self.wait_for_workers(now);
        }
        if self.ready.is_idle() {
            if self.config.block_policy == BlockPolicy::WhenIdle {
                // A transaction opened it. Should that have turned out invalid, an empty block is better than one that
                // stays open with an old timestamp.
                // One that is held for the parent's hash belongs to this block: without it the block waits too.
                if self.block.is_some() && self.ready.held_len() == 0 {
                    return self.close_block();
                }
            } else if self.has_content() && self.schedule.early.take(now) {
                return self.cut(CutReason::Idle, None);
            }
        }
        self.wait(now + IDLE_SLEEP)
    }

    pub(super) fn wait(&mut self, until: Instant) -> Result<(), SequencerError> {
        let deadline = self.next_due(until);
        if self.is_pressed() {
            self.wait_under_pressure(deadline);
        } else {
            self.ready.wait_until(deadline);
        }
        Ok(())
    }

    /// When something is to be cut or closed; `until` if nothing is before.
    pub(super) fn next_due(&self, until: Instant) -> Instant {
        let mut deadline = until;
        if self.has_content() || self.is_busy() {
            deadline = deadline.min(self.schedule.mini_block.due());
        }
        if let Some(block) = &self.schedule.block {
            deadline = deadline.min(block.due());
        }
        deadline
    }

    /// Memory is low: blocks are still closed in time, but nothing is executed. The lanes fill up meanwhile and then
    /// refuse, which is how senders are slowed down.
    pub(super) fn rest(&mut self, now: Instant, until: Instant) {
        if now >= until {
            self.rests_until = None;
            return;
        }
        let due = self.next_due(until.min(now + PAUSED_SLEEP));
        std::thread::sleep(due.saturating_duration_since(now));
    }

    /// Disk or memory is nearly full: what was executed still goes out and becomes durable, nothing more is executed.
    ///
    /// Where it is memory, which seldom comes back, the block is closed too: its receipts get their hash.
    pub(super) fn pause(&mut self) -> Result<(), SequencerError> {
        self.metrics.paused.set(1.0);
        self.settle()?;
        let has_transactions = self.block.as_ref().is_some_and(|block| !block.is_empty());
        if has_transactions && self.driver.memory() == MemoryPressure::Hard {
            self.close_block()?;
        }
        self.cut(CutReason::Stopping, None)?;
        self.order(CommitOrder::MakeDurable);
        while !self.driver.has_room() && !self.control.is_stopping() {
            std::thread::sleep(PAUSED_SLEEP);
        }
        self.metrics.paused.set(0.0);
        Ok(())
    }
}
