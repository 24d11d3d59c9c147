//! The hot loop: pop, execute, cut. It owns its data and talks through bounded queues.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use crossbeam_channel::{Receiver, Sender};
use rapid_chain::{Chain, Driver, OpenBlock as PublishedBlock};
use rapid_pool::ReadyQueue;
use rapid_primitives::{BlockClose, BlockPosition, Header, MemoryPressure, MiniBlockNumber};

use crate::{
    BlockPolicy, Host, Pacing, SequencerConfig, SequencerError,
    auto_interval::{AutoInterval, CommitTimes, Queues},
    control::Control,
    cut::{CommitOrder, Cut, CutReason, Gathered},
    early_seal::EarlySealBucket,
    finaliser::SealedHash,
    metrics::LoopMetrics,
    open_block::OpenBlock,
    pace::Pace,
};

mod blocks;
mod parent_hash;
mod pressure;
mod transactions;
mod waiting;
mod workers;

use transactions::Popped;
use workers::Workers;

/// How long the loop sleeps at most when nothing is due: it is woken when something comes.
const IDLE_SLEEP: Duration = Duration::from_secs(1);
/// How often a paused loop looks whether there is room again.
const PAUSED_SLEEP: Duration = Duration::from_millis(100);
/// Above the soft mark of memory the loop rests after each mini-block this many times as long as it took, a mini-block
/// interval at most counted: so it executes at most a quarter of the time, and grows the state at a quarter of the rate.
const REST_FACTOR: u32 = 3;

/// The newest closed block, as far as the next one depends on it.
pub(crate) struct Parent {
    pub(crate) header: Header,
    /// Known once the header is computed.
    pub(crate) hash: Option<B256>,
}

/// What the loop starts from; unlike the loop it may change threads.
pub(crate) struct LoopStart<C> {
    pub(crate) config: SequencerConfig,
    pub(crate) host: C,
    pub(crate) chain: Chain,
    pub(crate) driver: Arc<Driver>,
    pub(crate) ready: ReadyQueue,
    pub(crate) control: Arc<Control>,
    pub(crate) cuts: Sender<CommitOrder>,
    pub(crate) hashes: Receiver<SealedHash>,
    /// How long mini-blocks took, from the committer.
    pub(crate) times: Arc<CommitTimes>,
    pub(crate) parent: Parent,
    /// The block that was open when the node stopped.
    pub(crate) open: Option<PublishedBlock>,
    pub(crate) number: MiniBlockNumber,
    pub(crate) time_us: u64,
}

/// The loop, on its thread.
pub(crate) struct HotLoop<C> {
    config: SequencerConfig,
    host: C,
    chain: Chain,
    driver: Arc<Driver>,
    ready: ReadyQueue,
    control: Arc<Control>,
    cuts: Sender<CommitOrder>,
    hashes: Receiver<SealedHash>,
    times: Arc<CommitTimes>,
    metrics: LoopMetrics,
    schedule: Schedule,
    parent: Parent,
    block: Option<OpenBlock>,
    workers: Option<Workers>,
    /// Number and time of the newest mini-block cut.
    number: MiniBlockNumber,
    time_us: u64,
    last_cut: Instant,
    /// When transactions that have to run alone may keep others waiting again.
    alone_from: Instant,
    /// Nothing is executed before, because memory is low.
    rests_until: Option<Instant>,
    /// Since when only what is urgent is taken.
    pressed_since: Option<Instant>,
    /// The open block should have been closed, and the hash of its parent is not there.
    closing_is_due: bool,
    /// Transactions that waited for that hash, which has just come.
    released: usize,
    /// Parent of the block whose opening waits for the next second.
    waits_since: Option<u64>,
    /// What was executed since then, and the block's totals at that moment.
    gathered: Gathered,
    gathered_from: BlockPosition,
}

/// What is due when.
struct Schedule {
    mini_block: Pace,
    /// Where the interval of mini-blocks moves.
    auto: Option<AutoInterval>,
    block: Option<Pace>,
    early: EarlySealBucket,
}

impl Schedule {
    /// Mini-blocks from now on; EVM blocks aligned with the wall clock.
    fn start(config: &SequencerConfig, now: Instant, wall: Duration) -> Self {
        let block = match config.block_policy {
            BlockPolicy::Interval { interval, .. } => {
                let into =
                    Duration::from_nanos(u64::try_from(wall.as_nanos() % interval.as_nanos()).unwrap_or(0));
                Some(Pace::new(now + (interval - into), interval))
            }
            BlockPolicy::WhenIdle | BlockPolicy::AfterTransactions(_) => None,
        };
        let auto = match config.pacing {
            Pacing::Fixed => None,
            Pacing::Auto => Some(AutoInterval::starting_with(config.mini_block_interval)),
        };
        let mini_block = auto
            .as_ref()
            .map_or(config.mini_block_interval, AutoInterval::interval);
        Self {
            mini_block: Pace::new(now + mini_block, mini_block),
            auto,
            block,
            early: EarlySealBucket::new(config.early_seals_per_second, config.early_seal_burst, now),
        }
    }
}

impl<C: Host> HotLoop<C> {
    /// Takes up where the chain stands.
    ///
    /// # Errors
    /// [`SequencerError::Execution`] if the open block cannot be continued.
    pub(crate) fn new(start: LoopStart<C>) -> Result<Self, SequencerError> {
        let LoopStart {
            config,
            host,
            chain,
            driver,
            ready,
            control,
            cuts,
            hashes,
            times,
            parent,
            open,
            number,
            time_us,
        } = start;
        let block = open.map(|open| OpenBlock::resume(&chain, &open)).transpose()?;
        let mut workers = Workers::start(&config, &chain, &control)?;
        if let (Some(workers), Some(block)) = (&mut workers, &block) {
            workers.enter_block(chain.spec(), block)?;
        }
        let now = host.now();
        Ok(Self {
            schedule: Schedule::start(&config, now, host.wall()),
            metrics: LoopMetrics::new(config.mini_block_interval),
            gathered: Gathered::default(),
            gathered_from: block.as_ref().map(OpenBlock::position).unwrap_or_default(),
            last_cut: now,
            alone_from: now,
            rests_until: None,
            pressed_since: None,
            closing_is_due: false,
            released: 0,
            waits_since: None,
            config,
            host,
            chain,
            driver,
            ready,
            control,
            cuts,
            hashes,
            times,
            parent,
            block,
            workers,
            number,
            time_us,
        })
    }

    /// Runs until it is told to stop or something fails. What was executed is cut; an open block stays open and is
    /// continued after a restart.
    pub(crate) fn run(mut self) -> Result<(), SequencerError> {
        self.catch_up_parent_hash()?;
        while !self.control.is_stopping() {
            self.take_hashes()?;
            self.collect()?;
            let now = self.host.now();
            self.close_overdue_block(now)?;
            self.close_due_block(now)?;
            self.cut_due_mini_block(now)?;
            self.note_pressure(now);
            if !self.driver.has_room() {
                self.pause()?;
                continue;
            }
            if let Some(until) = self.rests_until {
                self.rest(now, until);
                continue;
            }
            if let Some(delay) = self.opening_delay() {
                // What waits in the lanes cannot run before the next second, so nothing that comes need wake the loop.
                std::thread::sleep(delay.min(PAUSED_SLEEP));
                continue;
            }
            match self.pop(now) {
                Popped::Transaction(transaction) => self.take(transaction)?,
                Popped::Nothing => self.idle(now)?,
                Popped::NoRoom => self.wait_for_room(now)?,
            }
        }
        self.settle()?;
        self.cut(CutReason::Stopping, None)
    }

    fn cut_due_mini_block(&mut self, now: Instant) -> Result<(), SequencerError> {
        let due = self.schedule.mini_block.due();
        if now < due {
            return Ok(());
        }
        let missed = self.schedule.mini_block.advance(now);
        self.metrics.deadlines.increment(missed + 1);
        self.decide_interval();
        self.run_due_alone(now)?;
        if !self.has_content() {
            return Ok(());
        }
        self.metrics.deadlines_missed.increment(missed);
        self.metrics.jitter.record(now.duration_since(due));
        self.cut(CutReason::Deadline, None)
    }

    /// Lets the interval follow what mini-blocks take, where it does. From the next deadline on.
    fn decide_interval(&mut self) {
        let Some(auto) = &mut self.schedule.auto else {
            return;
        };
        let queues = Queues {
            mini_blocks: self.cuts.len(),
            transactions: self.ready.len(),
        };
        if let Some(interval) = auto.decide(&self.times, queues) {
            self.schedule.mini_block.change_interval(interval);
            self.metrics.target_interval.set(interval.as_secs_f64());
        }
    }

    /// Hands what was gathered to the committer; waits while that is [`crate::committer::COMMIT_QUEUE_LEN`] behind.
    fn cut(&mut self, reason: CutReason, close: Option<BlockClose>) -> Result<(), SequencerError> {
        let version = self.absorb()?;
        if self.gathered.is_empty() && close.is_none() {
            return Ok(());
        }
        let version = version.unwrap_or_else(|| self.chain.state().cut());
        let block = self
            .block
            .as_mut()
            .expect("only a block's execution gathers anything");
        self.number = self.number.next();
        self.time_us = self.time_us.max(wall_us(self.host.wall()).saturating_sub(1)) + 1;
        let cut_at = self.host.now();
        let cut = Cut {
            number: self.number,
            time_us: self.time_us,
            environment: block.environment().clone(),
            block_parent_hash: block.parent_hash(),
            position: self.gathered_from,
            close,
            content: std::mem::take(&mut self.gathered),
            amsterdam: block.take_amsterdam_part(),
            version,
            cut_at,
        };
        block.mini_block_cut();
        self.gathered_from = block.position();
        self.metrics.cuts[reason as usize].increment(1);
        let took = cut_at.duration_since(self.last_cut);
        self.metrics.interval.record(took);
        self.metrics.commit_queue.set(self.cuts.len() as f64);
        self.last_cut = cut_at;
        if self.driver.memory() != MemoryPressure::None {
            self.rests_until = Some(cut_at + took.min(self.schedule.mini_block.interval()) * REST_FACTOR);
            self.metrics.rests.increment(1);
        }
        self.order(CommitOrder::Commit(cut));
        Ok(())
    }

    fn order(&self, order: CommitOrder) {
        if self.cuts.send(order).is_err() {
            // The committer failed and has said why.
            self.control.stop();
        }
    }
}

fn wall_us(wall: Duration) -> u64 {
    u64::try_from(wall.as_micros()).unwrap_or(u64::MAX)
}
