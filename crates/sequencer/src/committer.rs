//! The committer: encodes what was cut, makes it durable, publishes it. It never executes a transaction.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use crossbeam_channel::{Receiver, Sender};
use rapid_chain::Driver;
use rapid_primitives::{CommitSequence, SealedMiniBlock};
use rapid_state::Snapshot;

use crate::{
    SequencerError,
    auto_interval::CommitTimes,
    control::Control,
    cut::{CommitOrder, Cut},
    metrics::CommitMetrics,
    pool_feed::PoolFeed,
    shadow::{Before, ShadowFeed},
};

/// Mini-blocks that may wait for the committer; the loop waits when it is full.
pub(crate) const COMMIT_QUEUE_LEN: usize = 32;

/// Mini-blocks waiting for the committer from which it is behind: the loop takes only what is urgent, for which there is room
/// left.
pub(crate) const COMMITTER_BEHIND_FROM: usize = 8;

/// Most mini-blocks that are published together.
const BATCH_MAX: usize = 8;

/// A mini-block that was published, on its way to the finaliser.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) mini_block: Arc<SealedMiniBlock>,
    /// The state after it, which stays until the trie is done with it.
    pub(crate) after: Snapshot,
}

pub(crate) struct Committer {
    pub(crate) driver: Arc<Driver>,
    pub(crate) pool: PoolFeed,
    pub(crate) control: Arc<Control>,
    pub(crate) cuts: Receiver<CommitOrder>,
    pub(crate) published: Sender<Published>,
    /// Hash of the newest mini-block.
    pub(crate) tip: B256,
    pub(crate) metrics: CommitMetrics,
    /// What the loop decides about its interval by.
    pub(crate) times: Arc<CommitTimes>,
    pub(crate) shadow: ShadowFeed,
}

struct Written {
    mini_block: Arc<SealedMiniBlock>,
    version: CommitSequence,
    cut_at: Instant,
    arrival: Option<Instant>,
    sealing: Duration,
}

/// A mini-block that was published, and that nobody but subscribers has been told of.
struct Announced {
    published: Published,
    /// Where the shadow begins, if it takes this one.
    before: Option<Before>,
}

impl Committer {
    /// Runs until the loop is gone and everything it cut is published, or until the log fails.
    pub(crate) fn run(mut self) -> Result<(), SequencerError> {
        while let Ok(first) = self.cuts.recv() {
            let mut batch = Vec::with_capacity(BATCH_MAX);
            let mut next = Some(first);
            let mut make_durable = false;
            // What came meanwhile shares the sync.
            while let Some(order) = next {
                match order {
                    CommitOrder::Commit(cut) => batch.push(self.write(cut)?),
                    CommitOrder::MakeDurable => make_durable = true,
                }
                if self.cuts.len() < COMMITTER_BEHIND_FROM {
                    self.control.wake_if_pressed();
                }
                let full = batch.len() == BATCH_MAX;
                next = if full { None } else { self.cuts.try_recv().ok() };
            }
            if let Some(last) = batch.last() {
                self.driver.wait_announceable(last.mini_block.number())?;
            }
            // All are published before anybody else of the node hears of one, and has to have room for it.
            let announced: Vec<_> = batch.into_iter().map(|written| self.publish(written)).collect();
            announced
                .into_iter()
                .for_each(|announced| self.hand_on(announced));
            if make_durable {
                self.driver.sync_log()?;
            }
        }
        Ok(())
    }

    fn write(&mut self, cut: Cut) -> Result<Written, SequencerError> {
        let (version, cut_at) = (cut.version, cut.cut_at);
        let arrival = cut
            .content
            .transactions
            .first()
            .map(|transaction| transaction.arrival());
        let started = Instant::now();
        let mini_block = Arc::new(cut.seal(self.tip));
        let sealing = started.elapsed();
        self.metrics.seal.record(sealing);
        self.tip = mini_block.hash();
        self.driver.append(&mini_block)?;
        Ok(Written {
            mini_block,
            version,
            cut_at,
            arrival,
            sealing,
        })
    }

    fn publish(&self, written: Written) -> Announced {
        let Written {
            mini_block,
            version,
            cut_at,
            arrival,
            sealing,
        } = written;
        let chain = self.driver.chain();
        let before = self.shadow.choose(&mini_block, chain);
        self.driver.publish(&mini_block, version);
        let after = chain
            .state()
            .pin(version)
            .expect("a version is retained while it is published");
        let committing = cut_at.elapsed();
        self.metrics.commit.record(committing);
        self.times.note(sealing, committing);
        if let Some(arrival) = arrival {
            self.metrics.latency.record(arrival.elapsed());
        }
        Announced {
            published: Published { mini_block, after },
            before,
        }
    }

    /// Tells the others of the node what was published.
    fn hand_on(&self, announced: Announced) {
        let Announced { published, before } = announced;
        self.pool.published(&published.mini_block);
        if let Some(before) = before {
            let chain = self.driver.chain();
            let version = published.after.sequence();
            self.shadow.offer(before, &published.mini_block, version, chain);
        }
        // The finaliser goes only after a failure, which ends this thread through the queue before it.
        let _ = self.published.send(published);
        self.metrics.finaliser_queue.set(self.published.len() as f64);
        self.metrics.pool_queue.set(self.pool.len() as f64);
    }
}
