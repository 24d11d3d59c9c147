//! Opening a datadir: checkpoint, then the tail of the log, without executing anything.
//!
//! What comes out is what was announced before: the same head, the same open block with the same receipts, the same
//! state, whose root is compared with the last sealed block's.

use std::sync::Arc;

use alloy_primitives::B256;
use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use rapid_chainspec::ChainSpec;
use rapid_history::{BlockRecord, ChainIdentity, ChangeRecording, History, HistoryConfig};
use rapid_log::{Checkpoints, Durability, FileStorage, Log, Recovery};
use rapid_primitives::{AccountChange, MiniBlockNumber, SealedBlock, SealedMiniBlock};
use rapid_state::{ReadSet, State};
use rapid_trie::StateTrie;
use tokio::sync::broadcast;

use crate::{
    BlockAssembly, Chain, ChainConfig, Driver, EVENT_QUEUE_LEN, OpenError, View,
    chain::Shared,
    checkpoint::{checkpoint_time_us, load_checkpoint},
    genesis::{genesis_allocation, genesis_block},
    recent::{RecentBlocks, RecentTransactions},
};

/// Blocks that a power loss can take at most under an asynchronous policy: one per mini-block of its window, and room.
const ASYNC_LOSS_BLOCKS_MAX: u64 = 64;
/// Hashes of blocks before the head that `BLOCKHASH` may ask for.
const BLOCK_HASH_WINDOW: u64 = 256;

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
        // Blocks come without what they changed as yet: recorded as such, past state would be read wrong.
        let history_config = HistoryConfig {
            changes: ChangeRecording::Skip,
            ..HistoryConfig::new(identity)
        };
        let history = History::open(&config.dir.join("history"), &history_config)?;
        let storage = Arc::new(FileStorage);
        let checkpoints = Checkpoints::open(&config.dir.join("checkpoints"), storage.clone())?;
        let (log, recovery) = Log::open(&config.dir.join("log"), config.log.clone(), storage)?;
        let mut replay = Replay::begin(spec, config, history, &checkpoints)?;
        replay.run(&recovery)?;
        replay.check_reached(config)?;
        replay.into_opened(config, log, checkpoints)
    }
}

/// The recovery in progress.
struct Replay {
    spec: Arc<ChainSpec>,
    history: History,
    history_head: u64,
    state: State,
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
            codes: Vec::new(),
        }])?;
        let history_head = history.head()?.map_or(0, |head| head.number);
        let Base {
            state,
            trie,
            head,
            tip,
        } = match load_newest_checkpoint(config, &history, checkpoints)? {
            Some(base) => base,
            None => {
                let state = State::new(config.state);
                let trie = load_genesis(&spec, &state);
                Base {
                    state,
                    trie,
                    head: genesis,
                    tip: (MiniBlockNumber(0), B256::ZERO, 0),
                }
            }
        };
        let mut blocks = RecentBlocks::default();
        let oldest = head.number().saturating_sub(BLOCK_HASH_WINDOW);
        for number in oldest..head.number() {
            if let Some(hash) = history.hash_by_number(number)? {
                blocks.remember(number, hash, None);
            }
        }
        let transactions = RecentTransactions::default();
        let mut replay = Self {
            spec,
            history,
            history_head,
            state,
            assembly: BlockAssembly::after(trie),
            head,
            tip,
            blocks,
            transactions,
            log_bytes: 0,
        };
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
        let closes = mini_block.closes_block();
        self.assembly.push_with(mini_block, &changes);
        if closes { self.close() } else { Ok(()) }
    }

    /// Every record continues the block before it or opens the next one.
    fn check_place(&self, mini_block: &SealedMiniBlock) -> Result<(), OpenError> {
        let header = mini_block.header();
        let reason = match self.assembly.block() {
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
            _ => return Ok(()),
        };
        Err(OpenError::Misplaced {
            number: mini_block.number(),
            reason,
        })
    }

    fn close(&mut self) -> Result<(), OpenError> {
        let finished = self.assembly.finish(&self.spec, self.state.sequence());
        let number = finished.block.number();
        match self.history.hash_by_number(number)? {
            Some(expected) if expected != finished.block.hash => {
                return Err(OpenError::BlockHash {
                    number,
                    expected,
                    found: finished.block.hash,
                });
            }
            Some(_) => {}
            None => self.history.append(&[BlockRecord {
                block: Arc::clone(&finished.block),
                last_mini_block: finished.last_mini_block(),
                reverts: Arc::default(),
                codes: Vec::new(),
            }])?,
        }
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

    fn check_root(&self) -> Result<(), OpenError> {
        let (found, expected) = (self.assembly.trie().root(), self.head.header.state_root);
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
    fn check_reached(&self, config: &ChainConfig) -> Result<(), OpenError> {
        let (reached, stored) = (self.head.number(), self.history_head);
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
        let shared = Shared {
            spec,
            state,
            history: Arc::new(history),
            log,
            checkpoints,
            view: ArcSwap::from_pointee(view),
            view_update: Mutex::new(()),
            blocks: RwLock::new(blocks),
            transactions,
            waiters: Arc::default(),
            events: broadcast::channel(EVENT_QUEUE_LEN).0,
            checkpoint_log_bytes: config.checkpoint_log_bytes,
        };
        let chain = Chain {
            shared: Arc::new(shared),
        };
        let driver = Driver::new(chain.clone(), log_bytes).map_err(OpenError::Thread)?;
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
    let state = State::new(config.state);
    let trie = load_checkpoint(&reader, &state)?;
    let head = history
        .block(meta.block_number)?
        .filter(|block| block.hash == meta.block_hash);
    let head = head.ok_or(OpenError::CheckpointWithoutBlock {
        number: meta.block_number,
        hash: meta.block_hash,
    })?;
    let tip = (meta.mini_block, meta.mini_block_hash, checkpoint_time_us(meta));
    Ok(Base {
        state,
        trie,
        head: Arc::new(head),
        tip,
    })
}

fn load_genesis(spec: &ChainSpec, state: &State) -> StateTrie {
    let allocation = genesis_allocation(spec);
    commit(state, &allocation);
    let mut trie = StateTrie::default();
    trie.apply(&allocation);
    trie
}

fn commit(state: &State, changes: &[AccountChange]) {
    state
        .commit(&ReadSet::new(), changes)
        .expect("an unconditional commit has no conflict");
    // Old values are kept until they are older than the published version.
    state.publish(state.sequence());
}
