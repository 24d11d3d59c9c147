//! The read side: what everybody asks, without ever holding up the one who writes.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use alloy_primitives::{Address, B256};
use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_consensus::{NextBlockAttributes, next_block_environment};
use rapid_evm::{BlockHashes, Compiler};
use rapid_history::History;
use rapid_log::{Checkpoints, Log};
use rapid_primitives::{BlockEnvironment, CommitSequence, MemoryPressureCell, SealedBlock, SealedMiniBlock};
use rapid_state::State;
use rapid_trie::AccountProof;
use tokio::sync::broadcast;

use crate::{
    ChainError, ExecutionMode, Included, PastState, ReceiptWaiter, StateAt, TransactionAt, View,
    lookup::find_in_mini_blocks,
    recent::{RecentBlocks, RecentTransactions},
    waiters::Waiters,
};

/// Events a subscriber may be behind before it loses some and has to start over: at one mini-block per millisecond a
/// second's worth.
pub const EVENT_QUEUE_LEN: usize = 1_024;

/// What became visible. Sent after the view that contains it.
#[derive(Clone, Debug)]
pub enum ChainEvent {
    /// A mini-block was published.
    MiniBlock(Arc<SealedMiniBlock>),
    /// An EVM block was sealed.
    Block(Arc<SealedBlock>),
    /// EVM blocks stopped being canonical. Those that took their place follow.
    TakenBack {
        /// The blocks, oldest first.
        removed: Vec<Arc<SealedBlock>>,
        /// Their common ancestor with what follows.
        head: Arc<SealedBlock>,
    },
}

/// Bounds of the chain's own work.
#[derive(Clone, Debug)]
pub struct ChainConfig {
    /// Where log, checkpoints and history live.
    pub dir: std::path::PathBuf,
    /// The log.
    pub log: rapid_log::LogConfig,
    /// The state in memory.
    pub state: rapid_state::StateConfig,
    /// A checkpoint is written when the log has grown by this many bytes since the last one (default 256 MiB, which
    /// replays in seconds), or by the size of the last one, whichever is more: so the cost per byte stays constant.
    pub checkpoint_log_bytes: u64,
    /// How blocks from elsewhere are executed (default: sequentially).
    pub execution: ExecutionMode,
}

impl ChainConfig {
    /// The defaults for a directory.
    #[must_use]
    pub fn new(dir: std::path::PathBuf) -> Self {
        Self {
            dir,
            log: rapid_log::LogConfig::default(),
            state: rapid_state::StateConfig::default(),
            checkpoint_log_bytes: 256 << 20,
            execution: ExecutionMode::default(),
        }
    }
}

/// The chain, for readers. Cloning it costs one reference count.
#[derive(Clone, Debug)]
pub struct Chain {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) state: State,
    pub(crate) history: Arc<History>,
    pub(crate) log: Log,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) view: ArcSwap<View>,
    /// Serialises the two threads that publish and seal; readers never take it.
    pub(crate) view_update: Mutex<()>,
    pub(crate) blocks: RwLock<RecentBlocks>,
    pub(crate) transactions: RecentTransactions,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) events: broadcast::Sender<ChainEvent>,
    /// How often blocks were taken back, counted before history loses them.
    reorganisations: AtomicU64,
    compiler: OnceLock<Compiler>,
    memory: MemoryPressureCell,
    pub(crate) checkpoint_log_bytes: u64,
    execution: ExecutionMode,
}

/// What [`Shared`] is made of.
#[derive(Debug)]
pub(crate) struct SharedParts {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) state: State,
    pub(crate) history: Arc<History>,
    pub(crate) log: Log,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) view: View,
    pub(crate) blocks: RecentBlocks,
    pub(crate) transactions: RecentTransactions,
    pub(crate) checkpoint_log_bytes: u64,
    pub(crate) execution: ExecutionMode,
}

impl Shared {
    pub(crate) fn new(parts: SharedParts) -> Self {
        Self {
            spec: parts.spec,
            state: parts.state,
            history: parts.history,
            log: parts.log,
            checkpoints: parts.checkpoints,
            view: ArcSwap::from_pointee(parts.view),
            view_update: Mutex::new(()),
            blocks: RwLock::new(parts.blocks),
            transactions: parts.transactions,
            waiters: Arc::default(),
            events: broadcast::channel(EVENT_QUEUE_LEN).0,
            reorganisations: AtomicU64::new(0),
            compiler: OnceLock::new(),
            memory: MemoryPressureCell::default(),
            checkpoint_log_bytes: parts.checkpoint_log_bytes,
            execution: parts.execution,
        }
    }

    pub(crate) fn note_reorganisation(&self) {
        self.reorganisations.fetch_add(1, SeqCst);
        metrics::counter!("rapid_reth_chain_reorganisations_total").increment(1);
    }

    pub(crate) fn reorganisations(&self) -> u64 {
        self.reorganisations.load(SeqCst)
    }
}

impl Chain {
    /// The chain's rules.
    #[must_use]
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.shared.spec
    }

    /// What is published now.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.shared.view.load_full()
    }

    /// The flat state, for executors; readers use [`View::state`].
    #[must_use]
    pub fn state(&self) -> &State {
        &self.shared.state
    }

    /// The log, to ask for its condition.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.shared.log
    }

    /// Gives every EVM that executes on this chain from now on a compiler. There is none before, and the first one stays.
    pub fn attach_compiler(&self, compiler: Compiler) {
        if self.shared.compiler.set(compiler).is_err() {
            tracing::warn!("The chain has a compiler already");
        }
    }

    /// How blocks from elsewhere are executed.
    pub(crate) fn execution_mode(&self) -> &ExecutionMode {
        &self.shared.execution
    }

    /// The compiler, for executors.
    #[must_use]
    pub fn compiler(&self) -> &Compiler {
        static NONE: Compiler = Compiler::none();
        self.shared.compiler.get().unwrap_or(&NONE)
    }

    /// How near the process is to its memory limit: stored by who watches it, obeyed by the [`Driver`](crate::Driver).
    #[must_use]
    pub fn memory(&self) -> &MemoryPressureCell {
        &self.shared.memory
    }

    /// History, for what is older than memory.
    #[must_use]
    pub fn history(&self) -> &Arc<History> {
        &self.shared.history
    }

    /// Events from now on. A receiver that is more than [`EVENT_QUEUE_LEN`] behind is told so and loses the oldest.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<ChainEvent> {
        self.shared.events.subscribe()
    }

    /// Waits for a transaction to be published. Register before submitting it, then look it up once.
    #[must_use]
    pub fn wait_for(&self, hash: B256) -> ReceiptWaiter {
        self.shared.waiters.register(hash)
    }

    /// The state after a sealed block: from memory while its version is retained, else as history keeps it.
    ///
    /// # Errors
    /// [`ChainError::StateUnavailable`] if history does not keep it, [`ChainError::UnknownBlock`] if there is no such
    /// block.
    pub fn state_at(&self, number: u64) -> Result<StateAt, ChainError> {
        if number > self.view().head.number() {
            return Err(ChainError::UnknownBlock(number));
        }
        let version = self.shared.blocks.read().version_of(number);
        match version.and_then(|version| self.shared.state.get_at(version).ok()) {
            Some(snapshot) => Ok(StateAt::Live(snapshot)),
            None => Ok(StateAt::Past(PastState::open(self, number)?)),
        }
    }

    /// A sealed block.
    ///
    /// # Errors
    /// [`ChainError::History`].
    pub fn block_by_number(&self, number: u64) -> Result<Option<Arc<SealedBlock>>, ChainError> {
        if let Some(recent) = self.shared.blocks.read().by_number(number) {
            return Ok(Some(Arc::clone(&recent.block)));
        }
        Ok(self.shared.history.block(number)?.map(Arc::new))
    }

    /// A sealed block.
    ///
    /// # Errors
    /// [`ChainError::History`].
    pub fn block_by_hash(&self, hash: B256) -> Result<Option<Arc<SealedBlock>>, ChainError> {
        if let Some(recent) = self.shared.blocks.read().by_hash(&hash) {
            return Ok(Some(Arc::clone(&recent.block)));
        }
        let Some(number) = self.shared.history.number_by_hash(hash)? else {
            return Ok(None);
        };
        // History may still have a block that was just taken back, or its number another block by now.
        Ok(self.block_by_number(number)?.filter(|block| block.hash == hash))
    }

    /// Hash of a sealed block.
    ///
    /// # Errors
    /// [`ChainError::History`].
    pub fn block_hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
        let recent = self.shared.blocks.read().hash_of(number);
        match recent {
            Some(hash) => Ok(Some(hash)),
            None => Ok(self.shared.history.hash_by_number(number)?),
        }
    }

    /// A published transaction with its receipt.
    ///
    /// # Errors
    /// [`ChainError::History`].
    pub fn transaction(&self, hash: B256) -> Result<Option<TransactionAt>, ChainError> {
        // The look-up is filled before the view that shows the state: what is not in the view yet is not there yet.
        let shown = |included: &Included| included.mini_block.number() <= self.view().mini_block;
        if let Some(included) = self.shared.transactions.get(&hash).filter(shown) {
            return Ok(Some(self.locate(&included)));
        }
        let Some(stored) = self.shared.history.transaction(hash)? else {
            return Ok(None);
        };
        let header = self.shared.history.header_by_number(stored.block_number)?;
        Ok(header.map(|header| TransactionAt::stored(stored, &header)))
    }

    /// A transaction by its place, in a sealed or an unsealed block.
    ///
    /// # Errors
    /// [`ChainError::History`].
    pub fn transaction_by_index(&self, number: u64, index: u64) -> Result<Option<TransactionAt>, ChainError> {
        if let Some(open) = self.view().unsealed().find(|open| open.number() == number) {
            return Ok(find_in_mini_blocks(&open.mini_blocks, index).map(|included| self.locate(&included)));
        }
        let Ok(index) = usize::try_from(index) else {
            return Ok(None);
        };
        Ok(self
            .block_by_number(number)?
            .and_then(|block| TransactionAt::in_block(&block, index)))
    }

    /// A transaction of a published mini-block, with the hash of its block if that is sealed.
    #[must_use]
    pub fn locate(&self, included: &Included) -> TransactionAt {
        let mut found = TransactionAt::in_mini_block(included);
        found.block_hash = self
            .shared
            .blocks
            .read()
            .hash_of(found.block_number)
            .unwrap_or_default();
        found
    }

    /// Account and storage proofs against the state root of a sealed block. The tries of the newest blocks are in
    /// memory; an older one is made from the newest and what was changed since, which takes time in proportion: who
    /// serves strangers bounds the distance.
    ///
    /// # Errors
    /// [`ChainError::StateUnavailable`] if history does not keep what was changed since.
    pub fn proof(&self, number: u64, address: Address, slots: &[B256]) -> Result<AccountProof, ChainError> {
        Ok(self.trie_at(number)?.proof(address, slots)?)
    }

    /// The environment in which calls and estimates at `latest` run: that of the open block, or the one a block opened
    /// at `now_seconds` would have.
    ///
    /// # Errors
    /// [`ChainError::Environment`] if the newest block can have no child under the chain's rules.
    pub fn simulation_environment(
        &self,
        view: &View,
        now_seconds: u64,
    ) -> Result<BlockEnvironment, ChainError> {
        if let Some(open) = &view.open {
            return Ok(open.environment.clone());
        }
        let parent = view.newest_header();
        let timestamp = now_seconds.max(parent.timestamp + 1);
        let cancun = self.shared.spec.is_cancun_active_at_timestamp(timestamp);
        let attributes = NextBlockAttributes {
            timestamp,
            beneficiary: parent.beneficiary,
            prev_randao: parent.mix_hash,
            parent_beacon_block_root: cancun.then_some(B256::ZERO),
            gas_limit_target: parent.gas_limit,
            extra_data: parent.extra_data.clone(),
            slot_number: None,
        };
        Ok(next_block_environment(&self.shared.spec, &parent, attributes)?)
    }

    /// Version of the state after a sealed block, while it is remembered.
    #[must_use]
    pub fn version_of(&self, number: u64) -> Option<CommitSequence> {
        self.shared.blocks.read().version_of(number)
    }

    pub(crate) fn publish_view(&self, mini_block: &Arc<SealedMiniBlock>) {
        let _one_at_a_time = self.shared.view_update.lock();
        let state = self.shared.state.published();
        let view = self
            .shared
            .view
            .load()
            .with_mini_block(Arc::clone(mini_block), state);
        self.shared.view.store(Arc::new(view));
    }
}

impl BlockHashes for Chain {
    fn block_hash(&self, number: u64) -> Option<B256> {
        self.shared.blocks.read().hash_of(number)
    }
}
