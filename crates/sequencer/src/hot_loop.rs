//! The hot loop: pop, execute, cut. It owns its data and talks through bounded queues.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use rapid_chain::{Chain, Driver, OpenBlock as PublishedBlock};
use rapid_chainspec::EthereumHardforks;
use rapid_consensus::{NextBlockAttributes, next_block_environment};
use rapid_pool::ReadyQueue;
use rapid_primitives::{
    BlockClose, BlockEnvironment, BlockPosition, Header, MemoryPressure, MiniBlockNumber,
};

use crate::{
    BlockPolicy, EmptyBlocks, Host, Pacing, SequencerConfig, SequencerError, TimestampPolicy,
    auto_interval::{AutoInterval, CommitTimes, Queues},
    control::Control,
    cut::{CommitOrder, Cut, CutReason, Gathered},
    early_seal::EarlySealBucket,
    finaliser::SealedHash,
    metrics::LoopMetrics,
    open_block::OpenBlock,
    pace::Pace,
};

mod pressure;
mod transactions;
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

    // ---- mini-blocks

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

    // ---- blocks

    /// How long the next block has to wait before it may open, if something wants it to.
    fn opening_delay(&mut self) -> Option<Duration> {
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

    fn open_block(&mut self) -> Result<(), SequencerError> {
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

    fn next_environment(&self) -> Result<BlockEnvironment, SequencerError> {
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

    fn close_due_block(&mut self, now: Instant) -> Result<(), SequencerError> {
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
    fn may_open_now(&self) -> bool {
        self.config.timestamps == TimestampPolicy::RunAhead
            || self.host.wall().as_secs() > self.parent.header.timestamp
    }

    /// Ends the open block. This needs the hash of its parent, which was being computed since that one closed.
    fn close_block(&mut self) -> Result<(), SequencerError> {
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

    // ---- the hash of the parent

    /// A block that was open when the node stopped may still lack the hash of its parent, which is known now.
    fn catch_up_parent_hash(&mut self) -> Result<(), SequencerError> {
        match &self.block {
            Some(block) if block.parent_hash().is_none() => self.store_parent_hash(),
            _ => Ok(()),
        }
    }

    fn take_hashes(&mut self) -> Result<(), SequencerError> {
        while let Ok(sealed) = self.hashes.try_recv() {
            self.take_hash(sealed)?;
        }
        Ok(())
    }

    fn take_hash(&mut self, sealed: SealedHash) -> Result<(), SequencerError> {
        if sealed.number != self.parent.header.number {
            return Ok(());
        }
        self.parent.hash = Some(sealed.hash);
        self.store_parent_hash()
    }

    /// Stores the parent's hash in the open block if both are there, and lets those go on who waited for it.
    fn store_parent_hash(&mut self) -> Result<(), SequencerError> {
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
    fn await_parent_hash(&mut self) -> Result<(), SequencerError> {
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

    // ---- waiting

    /// Nothing to execute: seal at once if nothing is coming, else sleep until something is due.
    fn idle(&mut self, now: Instant) -> Result<(), SequencerError> {
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

    fn wait(&mut self, until: Instant) -> Result<(), SequencerError> {
        let deadline = self.next_due(until);
        if self.is_pressed() {
            self.wait_under_pressure(deadline);
        } else {
            self.ready.wait_until(deadline);
        }
        Ok(())
    }

    /// When something is to be cut or closed; `until` if nothing is before.
    fn next_due(&self, until: Instant) -> Instant {
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
    fn rest(&mut self, now: Instant, until: Instant) {
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
    fn pause(&mut self) -> Result<(), SequencerError> {
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

fn wall_us(wall: Duration) -> u64 {
    u64::try_from(wall.as_micros()).unwrap_or(u64::MAX)
}
