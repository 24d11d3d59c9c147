//! Opening a datadir: checkpoint, then the tail of the log, without executing anything.
//!
//! What comes out is what was announced before: the same head, the same open block with the same receipts, the same
//! state, whose root is compared with the last sealed block's.

use std::sync::Arc;

use alloy_primitives::B256;
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_history::{BlockRecord, ChainIdentity, History, HistoryConfig};
use rapid_log::{Checkpoints, Durability, FileStorage, Log, Recovery};
use rapid_primitives::{
    AccountChange, Block, BlockBody, Header, MiniBlockNumber, Rewind, SealedBlock, SealedMiniBlock,
};
use rapid_state::{ReadSet, Snapshot, State, VersionGone};
use rapid_trie::{Forest, StateTrie};

use crate::{
    BlockAssembly, Chain, ChainConfig, Driver, FinishedBlock, OpenError, View,
    chain::{Shared, SharedParts},
    checkpoint::{checkpoint_head, checkpoint_time_us, load_checkpoint},
    genesis::{genesis_allocation, genesis_block},
    recent::{HASHES_KEPT, RecentBlocks, RecentTransactions},
    reverts::{BlockChanges, changes_of},
};

/// Memory of the trie at most: 1.2 billion leaves.
const FOREST_BYTES_MAX: u64 = 64 << 30;

/// Blocks that a power loss can take at most under an asynchronous policy: one per mini-block of its window, and room.
const ASYNC_LOSS_BLOCKS_MAX: u64 = 64;

/// An opened chain with the handle to advance it.
#[derive(Debug)]
pub struct Opened {
    /// The chain.
    pub chain: Chain,
    /// The one handle that advances it.
    pub driver: Driver,
    /// Where it goes on.
    pub tip: Tip,
}

/// Where production or import continues.
#[derive(Clone, Debug)]
pub struct Tip {
    /// Number of the newest mini-block; 0 if there is none.
    pub mini_block: MiniBlockNumber,
    /// Its hash; zero if there is none.
    pub mini_block_hash: B256,
    /// Its time in microseconds.
    pub time_us: u64,
    /// The head's trie and the open block, if one was open.
    pub assembly: BlockAssembly,
}

impl Chain {
    /// Opens the chain in a directory, which is created if need be, and recovers what it had announced.
    ///
    /// # Errors
    /// [`OpenError`]; nothing announced is lost and, unless the error is about writing, nothing was modified.
    pub fn open(spec: Arc<ChainSpec>, config: &ChainConfig) -> Result<Opened, OpenError> {
        let identity = ChainIdentity {
            chain_id: spec.chain_id(),
            genesis_hash: spec.genesis_hash(),
        };
        let history = History::open(&config.dir.join("history"), &HistoryConfig::new(identity))?;
        let storage = Arc::new(FileStorage);
        let checkpoints = Checkpoints::open(&config.dir.join("checkpoints"), storage.clone())?;
        let (log, recovery) = Log::open(&config.dir.join("log"), config.log.clone(), storage)?;
        let mut replay = Replay::begin(spec, config, history, &checkpoints)?;
        replay.run(&recovery)?;
        replay.check_reached(config)?;
        replay.remember_ancestors()?;
        replay.into_opened(config, log, checkpoints)
    }
}

/// The recovery in progress.
struct Replay {
    spec: Arc<ChainSpec>,
    history: History,
    /// From where on history has another branch, and what to say if the log does not go over to that one.
    conflict: Option<(u64, OpenError)>,
    state: State,
    /// The state after the head, pinned.
    head_state: Snapshot,
    assembly: BlockAssembly,
    head: Arc<SealedBlock>,
    tip: (MiniBlockNumber, B256, u64),
    blocks: RecentBlocks,
    transactions: RecentTransactions,
    /// Bytes of the records replayed.
    log_bytes: u64,
}

/// What the replay starts from.
struct Base {
    state: State,
    trie: StateTrie,
    head: Arc<SealedBlock>,
    /// Set if history does not have the head.
    conflict: Option<(u64, OpenError)>,
    tip: (MiniBlockNumber, B256, u64),
}

impl Replay {
    /// Loads the newest checkpoint, or the genesis allocation.
    fn begin(
        spec: Arc<ChainSpec>,
        config: &ChainConfig,
        history: History,
        checkpoints: &Checkpoints,
    ) -> Result<Self, OpenError> {
        let genesis = Arc::new(genesis_block(&spec));
        history.append(&[BlockRecord {
            block: Arc::clone(&genesis),
            last_mini_block: MiniBlockNumber(0),
            reverts: Arc::default(),
            codes: genesis_allocation(&spec)
                .into_iter()
                .filter_map(|change| change.code)
                .collect(),
        }])?;
        let Base {
            state,
            trie,
            head,
            conflict,
            tip,
        } = match load_newest_checkpoint(config, &history, checkpoints)? {
            Some(base) => base,
            None => {
                let state = State::new(config.state)?;
                commit(&state, &genesis_allocation(&spec));
                let trie = trie_of(&state)?;
                Base {
                    state,
                    trie,
                    head: genesis,
                    conflict: None,
                    tip: (MiniBlockNumber(0), B256::ZERO, 0),
                }
            }
        };
        let transactions = RecentTransactions::default();
        let mut replay = Self {
            spec,
            history,
            conflict,
            head_state: published(&state)?,
            state,
            assembly: BlockAssembly::after(trie),
            head,
            tip,
            blocks: RecentBlocks::default(),
            transactions,
            log_bytes: 0,
        };
        // History's are those of another branch then.
        if replay.conflict.is_none() {
            replay.remember_ancestors()?;
        }
        replay.check_root()?;
        replay.remember_head();
        Ok(replay)
    }

    /// Applies every record after the checkpoint.
    fn run(&mut self, recovery: &Recovery) -> Result<(), OpenError> {
        for record in recovery.after(self.tip.0, self.tip.1)? {
            self.record(Arc::new(record?))?;
        }
        Ok(())
    }

    fn record(&mut self, mini_block: Arc<SealedMiniBlock>) -> Result<(), OpenError> {
        self.check_place(&mini_block)?;
        self.log_bytes += mini_block.bytes().len() as u64;
        let changes = mini_block.body().diff.collapse();
        commit(&self.state, &changes);
        self.tip = (
            mini_block.number(),
            mini_block.hash(),
            mini_block.header().time_us,
        );
        if let Some(rewind) = mini_block.rewind() {
            return self.take_back(rewind, &changes);
        }
        let closes = mini_block.closes_block();
        self.assembly
            .push_with(mini_block, published(&self.state)?, &changes)?;
        if closes { self.close() } else { Ok(()) }
    }

    /// Blocks were taken back; history may have lost them already, and may have those that came in their place.
    fn take_back(&mut self, to: Rewind, changes: &[AccountChange]) -> Result<(), OpenError> {
        if self
            .conflict
            .as_ref()
            .is_some_and(|(number, _)| *number > to.number)
        {
            self.conflict = None;
        }
        // Where history has more than was replayed so far it was written later, and is not to be gone back on.
        let stored = self.history.head()?;
        if stored.is_some_and(|stored| (stored.number, stored.hash) == (self.head.number(), self.head.hash)) {
            self.history.unwind_to(to.number)?;
        }
        let mut trie = self.assembly.trie().clone();
        let after = published(&self.state)?;
        trie.apply(after.clone().into(), changes)?;
        self.assembly = BlockAssembly::after(trie);
        self.head_state = after;
        self.head = self.ancestor(to)?;
        for mini_block in self.blocks.take_back(to.number) {
            self.transactions.remove(&mini_block);
        }
        self.check_root()?;
        self.remember_head();
        Ok(())
    }

    /// A block that was gone back to. Where history has another one in its place, the log goes over to that branch later,
    /// or the datadir is damaged; till then all that is known of it is what the record says.
    fn ancestor(&mut self, to: Rewind) -> Result<Arc<SealedBlock>, OpenError> {
        let Rewind { number, hash } = to;
        if let Some(recent) = self.blocks.by_number(number) {
            return Ok(Arc::clone(&recent.block));
        }
        if let Some(stored) = self.history.block(number)?.filter(|block| block.hash == hash) {
            return Ok(Arc::new(stored));
        }
        self.conflict
            .get_or_insert((number, OpenError::UnknownBase { number, hash }));
        let header = Header {
            number,
            state_root: self.assembly.trie().root()?,
            ..Header::default()
        };
        let body = BlockBody::default();
        Ok(Arc::new(SealedBlock {
            hash,
            ..SealedBlock::seal(Block { header, body }, Vec::new(), Vec::new())
        }))
    }

    /// Every record continues the block before it or opens the next one.
    fn check_place(&self, mini_block: &SealedMiniBlock) -> Result<(), OpenError> {
        let header = mini_block.header();
        let reason = match self.assembly.block() {
            Some(_) if header.rewind.is_some() => "it goes back while a block is open",
            None if let Some(to) = header.rewind => {
                let known = self.blocks.hash_of(to.number);
                if known.is_none_or(|hash| hash == to.hash) && to.number < self.head.number() {
                    return Ok(());
                }
                "it goes back to a block that is no ancestor"
            }
            Some(open) if header.environment != open.environment => "its block has another environment",
            Some(open) if header.position != open.position => "it does not continue its block",
            None if header.environment.number != self.head.number() + 1 => {
                "its block does not follow the head"
            }
            None if header.position.mini_block_index != 0 => "it is not the first of its block",
            _ if header.close.is_some()
                && header.block_parent_hash.or_else(|| self.assembly.parent_hash())
                    != Some(self.head.hash) =>
            {
                "its block does not have the head as parent"
            }
            _ if !self.says_accesses(mini_block) => "it does not say what it touched",
            _ => return Ok(()),
        };
        Err(OpenError::Misplaced {
            number: mini_block.number(),
            reason,
        })
    }

    /// Whether a record has all of what the header of its block needs from Amsterdam on.
    fn says_accesses(&self, mini_block: &SealedMiniBlock) -> bool {
        let header = mini_block.header();
        let closed = header.close.as_ref().and_then(|close| close.amsterdam);
        let whole = header.position.mini_block_index == 0 && closed.is_some();
        let spec = &self.spec;
        !spec.is_amsterdam_active_at_timestamp(header.environment.timestamp)
            || whole
            || mini_block.body().amsterdam.is_some()
    }

    fn close(&mut self) -> Result<(), OpenError> {
        let finished = self.assembly.finish(&self.spec, self.state.sequence())?;
        let number = finished.block.number();
        self.store(&finished)?;
        self.head_state = published(&self.state)?;
        self.head = Arc::clone(&finished.block);
        finished
            .mini_blocks
            .iter()
            .for_each(|mini_block| self.transactions.insert(mini_block));
        drop(self.blocks.insert(finished));
        let dropped = self.blocks.shrink(number);
        dropped
            .iter()
            .for_each(|mini_block| self.transactions.remove(mini_block));
        Ok(())
    }

    /// Gives history a block that it does not have. One that it has another of in its place is kept from it: the log
    /// goes over to that branch later, or the datadir is damaged.
    fn store(&mut self, finished: &FinishedBlock) -> Result<(), OpenError> {
        let (number, found) = (finished.block.number(), finished.block.hash);
        match self.history.hash_by_number(number)? {
            Some(expected) if expected != found => {
                self.conflict.get_or_insert((
                    number,
                    OpenError::BlockHash {
                        number,
                        expected,
                        found,
                    },
                ));
            }
            None if self.conflict.is_none() => {
                let BlockChanges { reverts, codes } = changes_of(&self.head_state, &finished.mini_blocks)?;
                self.history.append(&[BlockRecord {
                    block: Arc::clone(&finished.block),
                    last_mini_block: finished.last_mini_block(),
                    reverts,
                    codes,
                }])?;
            }
            _ => {}
        }
        Ok(())
    }

    fn check_root(&self) -> Result<(), OpenError> {
        let (found, expected) = (self.assembly.trie().root()?, self.head.header.state_root);
        if found == expected {
            return Ok(());
        }
        Err(OpenError::StateRoot {
            number: self.head.number(),
            expected,
            found,
        })
    }

    /// The log must reach at least as far as history does: history is written from it.
    ///
    /// Only a power loss under [`Durability::Async`] may have taken the last records from a log whose blocks history
    /// had already on the disk; they go from history too, which is the loss that policy states.
    fn check_reached(&mut self, config: &ChainConfig) -> Result<(), OpenError> {
        if let Some((_, error)) = self.conflict.take() {
            return Err(error);
        }
        let stored = self.history.head()?.map_or(0, |head| head.number);
        let reached = self.head.number();
        if reached >= stored {
            return Ok(());
        }
        let may_be_lost = matches!(config.log.durability, Durability::Async(_))
            && reached + ASYNC_LOSS_BLOCKS_MAX >= stored;
        if may_be_lost && reached > 0 {
            tracing::warn!(target: "chain::recovery", reached, stored, "blocks lost with the unsynced end of the log");
            self.history.unwind_to(reached)?;
            return Ok(());
        }
        Err(OpenError::LogBehindHistory {
            history: stored,
            log: reached,
            dir: config.dir.clone(),
        })
    }

    /// Fills in the hashes of the head's ancestors that were not replayed.
    fn remember_ancestors(&mut self) -> Result<(), OpenError> {
        let head = self.head.number();
        for number in head.saturating_sub(HASHES_KEPT as u64)..head {
            if self.blocks.hash_of(number).is_none()
                && let Some(hash) = self.history.hash_by_number(number)?
            {
                self.blocks.remember(number, hash, None);
            }
        }
        Ok(())
    }

    fn remember_head(&mut self) {
        let dropped = self.blocks.insert(crate::FinishedBlock {
            block: Arc::clone(&self.head),
            trie: self.assembly.trie().clone(),
            mini_blocks: Vec::new(),
            version: self.state.sequence(),
        });
        debug_assert!(dropped.is_empty(), "the head is the first block");
    }

    fn into_opened(
        self,
        config: &ChainConfig,
        log: Log,
        checkpoints: Checkpoints,
    ) -> Result<Opened, OpenError> {
        let Self {
            spec,
            history,
            state,
            head_state,
            assembly,
            head,
            tip,
            blocks,
            transactions,
            log_bytes,
            ..
        } = self;
        let open = assembly.block().cloned().map(Arc::new);
        for mini_block in open.iter().flat_map(|open| &open.mini_blocks) {
            transactions.insert(mini_block);
        }
        let view = View {
            head,
            closing: Vec::new(),
            open,
            state: state.published(),
            mini_block: tip.0,
        };
        let shared = Shared::new(SharedParts {
            spec,
            state,
            history: Arc::new(history),
            log,
            checkpoints,
            view,
            blocks,
            transactions,
            checkpoint_log_bytes: config.checkpoint_log_bytes,
            execution: config.execution.clone(),
        });
        let chain = Chain {
            shared: Arc::new(shared),
        };
        let driver = Driver::new(chain.clone(), head_state, log_bytes).map_err(OpenError::Thread)?;
        let tip = Tip {
            mini_block: tip.0,
            mini_block_hash: tip.1,
            time_us: tip.2,
            assembly,
        };
        Ok(Opened { chain, driver, tip })
    }
}

/// Loads the newest checkpoint that is whole. An older one is kept for the case that the newest is damaged.
fn load_newest_checkpoint(
    config: &ChainConfig,
    history: &History,
    checkpoints: &Checkpoints,
) -> Result<Option<Base>, OpenError> {
    let mut damage = None;
    for number in checkpoints.list()? {
        match load_base(config, history, checkpoints, number) {
            Ok(base) => return Ok(Some(base)),
            Err(OpenError::Checkpoint(error)) => {
                tracing::warn!(target: "chain::recovery", %error, "checkpoint is damaged, trying the one before");
                damage.get_or_insert(error);
            }
            Err(other) => return Err(other),
        }
    }
    damage.map_or(Ok(None), |error| Err(error.into()))
}

fn load_base(
    config: &ChainConfig,
    history: &History,
    checkpoints: &Checkpoints,
    number: MiniBlockNumber,
) -> Result<Base, OpenError> {
    let reader = checkpoints.read(number)?;
    let meta = reader.meta();
    let state = State::new(config.state)?;
    let totals = reader.totals();
    let entries = |count| usize::try_from(count).unwrap_or(usize::MAX);
    state.reserve(entries(totals.accounts), entries(totals.slots))?;
    load_checkpoint(&reader, &state)?;
    let trie = trie_of(&state)?;
    let (number, hash) = (meta.block_number, meta.block_hash);
    let (head, conflict) = match history.block(number)?.filter(|block| block.hash == hash) {
        Some(block) => (block, None),
        // It was taken back since: the log says so later, and then what else was in the block is of no interest.
        None => (
            checkpoint_head(meta).ok_or(OpenError::UnknownBase { number, hash })?,
            Some((number, OpenError::UnknownBase { number, hash })),
        ),
    };
    let tip = (meta.mini_block, meta.mini_block_hash, checkpoint_time_us(meta));
    Ok(Base {
        state,
        trie,
        head: Arc::new(head),
        conflict,
        tip,
    })
}

/// The trie of the published version, built on all cores: nothing else goes on yet.
fn trie_of(state: &State) -> Result<StateTrie, OpenError> {
    let pool = rayon::ThreadPoolBuilder::new()
        .thread_name(|number| format!("chain-trie-{number}"))
        .build()
        .map_err(|error| OpenError::Thread(std::io::Error::other(error)))?;
    let forest = Forest::new(FOREST_BYTES_MAX)?;
    Ok(StateTrie::of_snapshot(&pool, &forest, &published(state)?)?)
}

/// The published version, pinned: tries are of it, and the block after it is looked up in it, however much is written
/// meanwhile.
fn published(state: &State) -> Result<Snapshot, VersionGone> {
    state.pin(state.published_sequence())
}

fn commit(state: &State, changes: &[AccountChange]) {
    state
        .commit(&ReadSet::new(), changes)
        .expect("an unconditional commit has no conflict");
    // Old values are kept until they are older than the published version.
    state.publish(state.sequence());
}
