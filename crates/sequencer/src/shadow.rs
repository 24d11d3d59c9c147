//! The shadow: one in so many published mini-blocks is executed again, one transaction after the other and interpreted, and
//! compared with its record. Nothing waits for it: while it is busy, mini-blocks are passed over and counted.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use metrics::{Counter, counter};
use rapid_chain::{Chain, OpenBlock as PublishedBlock, Precedence};
use rapid_executor::MiniBlockShadow;
use rapid_primitives::{CommitSequence, SealedMiniBlock};
use rapid_state::Snapshot;

use crate::shadow::recheck::{Disagreement, recheck};

mod recheck;
#[cfg(test)]
mod tests;

/// Mini-blocks that may wait to be executed again. Each holds two versions of the state.
const SHADOW_QUEUE_LEN: usize = 1;

/// A published mini-block with what is needed to execute it again.
#[derive(Debug)]
pub(crate) struct Sample {
    mini_block: Arc<SealedMiniBlock>,
    /// The mini-blocks of its EVM block that were published before it.
    earlier: Option<Arc<PublishedBlock>>,
    /// The states before and after it, which stay until it is done.
    before: Snapshot,
    after: Snapshot,
}

/// A mini-block that is about to be published and will be executed again: what is there before it.
#[derive(Debug)]
pub(crate) struct Before {
    earlier: Option<Arc<PublishedBlock>>,
    state: Snapshot,
}

/// How many mini-blocks were executed again, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShadowCounts {
    /// Executed again and compared.
    pub checked: u64,
    /// Of those, with a result that differs from the record: each is an alarm.
    pub mismatches: u64,
    /// Chosen and not compared: the shadow was busy, or the state was gone.
    pub skipped: u64,
}

/// [`ShadowCounts`] as they are counted.
#[derive(Debug)]
pub(crate) struct ShadowMeter {
    checked: AtomicU64,
    mismatches: AtomicU64,
    skipped: AtomicU64,
    checked_total: Counter,
    mismatches_total: Counter,
    skipped_total: Counter,
}

impl ShadowMeter {
    pub(crate) fn new() -> Arc<Self> {
        let meter = Self {
            checked: AtomicU64::new(0),
            mismatches: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            checked_total: counter!("rapid_reth_sequencer_shadow_mini_blocks_total"),
            mismatches_total: counter!("rapid_reth_sequencer_shadow_mismatches_total"),
            skipped_total: counter!("rapid_reth_sequencer_shadow_skipped_total"),
        };
        // An alarm looks for a series that grows, so it has to be there before.
        meter.mismatches_total.increment(0);
        Arc::new(meter)
    }

    pub(crate) fn counts(&self) -> ShadowCounts {
        ShadowCounts {
            checked: self.checked.load(Relaxed),
            mismatches: self.mismatches.load(Relaxed),
            skipped: self.skipped.load(Relaxed),
        }
    }

    fn skip(&self) {
        self.skipped.fetch_add(1, Relaxed);
        self.skipped_total.increment(1);
    }

    fn agree(&self) {
        self.checked.fetch_add(1, Relaxed);
        self.checked_total.increment(1);
    }

    fn disagree(&self) {
        self.mismatches.fetch_add(1, Relaxed);
        self.mismatches_total.increment(1);
        self.agree();
    }
}

/// The committer's side: chooses mini-blocks and hands them over.
#[derive(Debug)]
pub(crate) struct ShadowFeed {
    rate: MiniBlockShadow,
    samples: Sender<Sample>,
    meter: Arc<ShadowMeter>,
}

impl ShadowFeed {
    /// Asked right before a mini-block is published: keeps what is there before it, if it is chosen.
    pub(crate) fn choose(&self, mini_block: &SealedMiniBlock, chain: &Chain) -> Option<Before> {
        let header = mini_block.header();
        if !self.rate.takes(header.number.0) || header.rewind.is_some() {
            return None;
        }
        let view = chain.view();
        let state = (!self.samples.is_full())
            .then(|| chain.state().pin(view.state.sequence()).ok())
            .flatten();
        let Some(state) = state else {
            self.meter.skip();
            return None;
        };
        Some(Before {
            earlier: view.open.clone(),
            state,
        })
    }

    /// Hands a mini-block over that was chosen and has been published.
    pub(crate) fn offer(
        &self,
        before: Before,
        mini_block: &Arc<SealedMiniBlock>,
        version: CommitSequence,
        chain: &Chain,
    ) {
        let Ok(after) = chain.state().pin(version) else {
            return self.meter.skip();
        };
        let sample = Sample {
            mini_block: Arc::clone(mini_block),
            earlier: before.earlier,
            before: before.state,
            after,
        };
        match self.samples.try_send(sample) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.meter.skip(),
        }
    }
}

/// The thread's side.
#[derive(Debug)]
pub(crate) struct Shadow {
    chain: Chain,
    samples: Receiver<Sample>,
    meter: Arc<ShadowMeter>,
}

impl Shadow {
    /// Both sides, with a queue of [`SHADOW_QUEUE_LEN`] between them.
    pub(crate) fn new(rate: MiniBlockShadow, chain: Chain, meter: &Arc<ShadowMeter>) -> (ShadowFeed, Self) {
        let (sender, samples) = bounded(SHADOW_QUEUE_LEN);
        let feed = ShadowFeed {
            rate,
            samples: sender,
            meter: Arc::clone(meter),
        };
        let shadow = Self {
            chain,
            samples,
            meter: Arc::clone(meter),
        };
        (feed, shadow)
    }

    /// Runs until the committer is gone.
    pub(crate) fn run(self) {
        Precedence::Background.take();
        while let Ok(sample) = self.samples.recv() {
            self.check(&sample);
        }
    }

    fn check(&self, sample: &Sample) {
        // What makes the reference panic is worth an alarm and no reason to stop the node, which did not.
        let checked = catch_unwind(AssertUnwindSafe(|| recheck(&self.chain, sample)))
            .unwrap_or(Err(Disagreement::Panicked));
        match checked {
            Ok(()) => self.meter.agree(),
            Err(Disagreement::Unavailable(_)) => self.meter.skip(),
            Err(disagreement) => {
                self.meter.disagree();
                tracing::error!(
                    target: "reth::sequencer",
                    mini_block = sample.mini_block.number().0,
                    block = sample.mini_block.header().environment.number,
                    %disagreement,
                    "A mini-block executed again does not give what was published: please report it with the log of this node"
                );
            }
        }
    }
}
