//! EVM blocks: when they are opened and closed, and what the next one begins with.

use std::time::{Duration, Instant};

use alloy_primitives::B256;
use rapid_chainspec::EthereumHardforks;
use rapid_consensus::{NextBlockAttributes, next_block_environment};
use rapid_primitives::{BlockClose, BlockEnvironment};

use super::{HotLoop, Parent};
use crate::{
    BlockPolicy, EmptyBlocks, Host, SequencerError, TimestampPolicy, cut::CutReason, open_block::OpenBlock,
    pace::Pace,
};

impl<C: Host> HotLoop<C> {
    /// How long the next block has to wait before it may open, if something wants it to.
    pub(super) fn opening_delay(&mut self) -> Option<Duration> {
        if self.block.is_some()
            || self.config.timestamps == TimestampPolicy::RunAhead
            || self.ready.is_empty()
        {
            return None;
        }
        let earliest = Duration::from_secs(self.parent.header.timestamp + 1);
        let delay = earliest
            .checked_sub(self.host.wall())
            .filter(|delay| !delay.is_zero())?;
        if self.waits_since != Some(self.parent.header.number) {
            self.waits_since = Some(self.parent.header.number);
            self.metrics.timestamp_waits.increment(1);
        }
        Some(delay)
    }

    pub(super) fn open_block(&mut self) -> Result<(), SequencerError> {
        if self.block.is_some() {
            return Ok(());
        }
        let environment = self.next_environment()?;
        let (block, changes) = OpenBlock::open(&self.chain, environment)?;
        self.gathered_from = block.position();
        self.gathered.changed(0, changes);
        if let Some(workers) = &mut self.workers {
            workers.enter_block(self.chain.spec(), &block)?;
        }
        self.block = Some(block);
        self.store_parent_hash()
    }

    pub(super) fn next_environment(&self) -> Result<BlockEnvironment, SequencerError> {
        let spec = self.chain.spec();
        let parent = &self.parent.header;
        let timestamp = self.host.wall().as_secs().max(parent.timestamp + 1);
        let attributes = NextBlockAttributes {
            timestamp,
            beneficiary: self.config.beneficiary,
            prev_randao: self.host.random(),
            parent_beacon_block_root: spec
                .is_cancun_active_at_timestamp(timestamp)
                .then_some(B256::ZERO),
            gas_limit_target: self.config.gas_limit_target.unwrap_or(parent.gas_limit),
            extra_data: self.config.extra_data.clone(),
            slot_number: None,
        };
        next_block_environment(spec, parent, attributes).map_err(|error| SequencerError::Environment {
            parent: parent.number,
            error,
        })
    }

    pub(super) fn close_due_block(&mut self, now: Instant) -> Result<(), SequencerError> {
        let Some(pace) = &mut self.schedule.block else {
            return Ok(());
        };
        if now < pace.due() {
            return Ok(());
        }
        pace.advance(now);
        match (&self.block, self.config.block_policy) {
            (Some(_), _) => self.close_once_possible(),
            // What waits for this second opens the block. An empty one now would take the second away from it, and the
            // next one as well.
            (None, _) if !self.ready.is_empty() => Ok(()),
            (
                None,
                BlockPolicy::Interval {
                    empty: EmptyBlocks::Make,
                    ..
                },
            ) if self.may_open_now() => {
                self.open_block()?;
                self.close_once_possible()
            }
            (
                None,
                BlockPolicy::Interval {
                    interval,
                    empty: EmptyBlocks::Make,
                },
            ) => {
                // The clocks drifted apart: the interval ended before the second of the parent did.
                let next_second = Duration::from_secs(self.parent.header.timestamp + 1);
                let delay = next_second.saturating_sub(self.host.wall()).min(interval);
                self.schedule.block = Some(Pace::new(now + delay, interval));
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    /// A sequencer chain makes no block in the second of its parent.
    pub(super) fn may_open_now(&self) -> bool {
        self.config.timestamps == TimestampPolicy::RunAhead
            || self.host.wall().as_secs() > self.parent.header.timestamp
    }

    /// Ends the open block. This needs the hash of its parent, which was being computed since that one closed.
    pub(super) fn close_block(&mut self) -> Result<(), SequencerError> {
        self.await_parent_hash()?;
        if self.parent.hash.is_none() {
            // The node stops, or the finaliser failed: the block stays open and is continued after a restart.
            return Ok(());
        }
        self.settle()?;
        let Some(block) = &mut self.block else {
            return Ok(());
        };
        let spec = self.chain.spec();
        let withdrawals = spec
            .is_shanghai_active_at_timestamp(block.environment().timestamp)
            .then(Vec::new);
        let end = block.finish(withdrawals.as_deref())?;
        self.gathered.changed(block.access_index() + 1, end.changes);
        let header = block.header_so_far();
        self.cut(
            CutReason::BlockClosed,
            Some(BlockClose {
                withdrawals,
                requests: end.requests,
                proof_of_work: None,
                // Its mini-blocks say it.
                amsterdam: None,
            }),
        )?;
        self.block = None;
        self.closing_is_due = false;
        self.parent = Parent { header, hash: None };
        Ok(())
    }
}
