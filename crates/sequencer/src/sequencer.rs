//! Starting and stopping the threads.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use crossbeam_channel::bounded;
use rapid_chain::{ChainError, Driver, Opened, Precedence, Tip};
use rapid_chainspec::EthereumHardforks;
use rapid_pool::Pool;

use crate::{
    Host, SequencerConfig, SequencerError, ShadowCounts,
    auto_interval::CommitTimes,
    committer::{COMMIT_QUEUE_LEN, Committer},
    control::{Control, run_guarded},
    finaliser::{Finaliser, PUBLISHED_QUEUE_LEN},
    hot_loop::{HotLoop, LoopStart, Parent},
    metrics::CommitMetrics,
    pool_feed::PoolFeeder,
    shadow::{Shadow, ShadowMeter},
};

/// Hashes on their way to the loop: it takes one per block and a block needs the one before it.
const HASH_QUEUE_LEN: usize = 8;

/// A running sequencer. Stop it with [`Self::stop`].
#[derive(Debug)]
pub struct Sequencer {
    control: Arc<Control>,
    driver: Arc<Driver>,
    shadow: Arc<ShadowMeter>,
    threads: Vec<JoinHandle<()>>,
}

impl Sequencer {
    /// Starts producing where the chain stands: continues an open block, else opens the next one with the first
    /// transaction.
    ///
    /// # Errors
    /// [`SequencerError`] if the configuration is out of bounds, the chain is not merged, the pool's consumer is taken, the open block cannot be
    /// continued, or a thread cannot be started.
    pub fn start<C: Host + Clone>(
        config: SequencerConfig,
        host: C,
        opened: Opened,
        pool: Pool,
    ) -> Result<Self, SequencerError> {
        config.check()?;
        let Opened { chain, driver, tip } = opened;
        let next = chain.view().head.number() + 1;
        if !chain.spec().is_paris_active_at_block(next) {
            return Err(SequencerError::BeforeMerge(next));
        }
        let driver = Arc::new(driver);
        let control = Control::new(pool.clone());
        let (cuts, from_loop) = bounded(COMMIT_QUEUE_LEN);
        let (published, from_committer) = bounded(PUBLISHED_QUEUE_LEN);
        let (hashes, from_finaliser) = bounded(HASH_QUEUE_LEN);
        let head = Arc::clone(&chain.view().head);
        let times = Arc::new(CommitTimes::default());
        let shadow_rate = config.executor.shadow;
        let meter = ShadowMeter::new();
        let (feed, shadow) = Shadow::new(shadow_rate, chain.clone(), &meter);
        let start = LoopStart {
            config,
            host: host.clone(),
            ready: pool.ready_queue().ok_or(SequencerError::PoolTaken)?,
            driver: Arc::clone(&driver),
            control: Arc::clone(&control),
            cuts,
            hashes: from_finaliser,
            times: Arc::clone(&times),
            parent: Parent {
                header: head.header.clone(),
                hash: Some(head.hash),
            },
            open: tip.assembly.block().cloned(),
            number: tip.mini_block,
            time_us: tip.time_us,
            chain,
        };
        let Tip {
            mini_block_hash,
            assembly,
            ..
        } = tip;
        let (pool_feed, pool_feeder) = PoolFeeder::new(pool);
        let finaliser = Finaliser {
            driver: Arc::clone(&driver),
            pool: pool_feed.clone(),
            control: Arc::clone(&control),
            host,
            assembly,
            published: from_committer,
            hashes,
        };
        let committer = Committer {
            driver: Arc::clone(&driver),
            pool: pool_feed,
            control: Arc::clone(&control),
            cuts: from_loop,
            published,
            tip: mini_block_hash,
            metrics: CommitMetrics::new(),
            times,
            shadow: feed,
        };
        let mut sequencer = Self {
            control,
            driver,
            shadow: meter,
            threads: Vec::new(),
        };
        if shadow_rate.is_on() {
            sequencer.spawn("sequencer-shadow", move || {
                shadow.run();
                Ok(())
            })?;
        }
        sequencer.spawn("sequencer-final", move || finaliser.run())?;
        sequencer.spawn("sequencer-pool", move || {
            pool_feeder.run();
            Ok(())
        })?;
        sequencer.spawn("sequencer-commit", move || {
            Precedence::Publish.take();
            committer.run()
        })?;
        sequencer.spawn("sequencer-loop", move || {
            Precedence::Execute.take();
            HotLoop::new(start)?.run()
        })?;
        Ok(sequencer)
    }

    /// Resolves when the sequencer fails; the process must then stop. Never resolves after a clean stop.
    pub async fn failed(&self) -> SequencerError {
        let mut failure = self.control.watch_failure();
        loop {
            if let Some(error) = failure.borrow_and_update().clone() {
                return error;
            }
            if failure.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// How many mini-blocks were executed again to compare, and what came of it.
    #[must_use]
    pub fn shadow(&self) -> ShadowCounts {
        self.shadow.counts()
    }

    /// Stops production, publishes what was executed, and makes everything durable. An open block stays open.
    ///
    /// # Errors
    /// The failure that stopped the sequencer, if one did, or what could not be made durable.
    pub fn stop(self) -> Result<(), SequencerError> {
        let Self {
            control,
            driver,
            threads,
            shadow: _,
        } = self;
        control.stop();
        for thread in threads {
            // A panic was noted as the failure.
            let _ = thread.join();
        }
        let shut_down = match Arc::try_unwrap(driver) {
            Ok(driver) => driver.shutdown().map_err(SequencerError::from),
            Err(_) => Ok(()),
        };
        match (control.failure(), shut_down) {
            // That history stopped is the symptom, what it stopped with the cause.
            (Some(SequencerError::Chain(symptom)), Err(cause))
                if matches!(*symptom, ChainError::HistoryStopped) =>
            {
                Err(cause)
            }
            (Some(failure), _) => Err(failure),
            (None, shut_down) => shut_down,
        }
    }

    fn spawn(
        &mut self,
        name: &'static str,
        body: impl FnOnce() -> Result<(), SequencerError> + Send + 'static,
    ) -> Result<(), SequencerError> {
        let control = Arc::clone(&self.control);
        let thread = thread::Builder::new()
            .name(name.into())
            .spawn(move || run_guarded(name, &control, body))
            .map_err(|error| SequencerError::Thread(Arc::new(error)))?;
        self.threads.push(thread);
        Ok(())
    }
}
