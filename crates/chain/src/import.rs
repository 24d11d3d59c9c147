//! Blocks made elsewhere: checked, executed on their parents, and made canonical as a whole or not at all. One path for
//! files, streams and consensus clients.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use rapid_executor::{BlockHint, HintVerdict};
use rapid_primitives::{Block, Header, SealedBlock};
use rapid_state::Draft;
use rapid_trie::TrieError;

use crate::{
    BlockAssembly, Chain, ChainError, Driver, ImportError, ImportWork, Opened, RecoveredBlock, Stopwatch,
    Tip,
    advance::{Advance, BuildBase, Extension, TakeBack},
    checked::{recover_senders, verify_body_alone, verify_header_alone, verify_header_on_parent},
    execute::{AncestorHashes, ExecutedBlock, Execution, ParentState, execute_block, run},
    invalid::InvalidBlocks,
    ommers::verify_ommers_of,
    record::record_of,
    tree::{BlockTree, TreeBlock},
};

/// What an imported block was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportSummary {
    /// The block, now the head.
    pub block: Arc<SealedBlock>,
}

/// How the canonical chain changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadChange {
    /// Blocks that are not canonical any more, oldest first.
    pub removed: Vec<Arc<SealedBlock>>,
    /// Blocks that are canonical now, oldest first.
    pub added: Vec<Arc<SealedBlock>>,
}

/// Takes blocks in, and decides with [`set_head`](Self::set_head) which of them are canonical. Each canonical block
/// becomes one mini-block in the log that opens and closes it, so a restart recovers imported and produced blocks
/// alike.
#[derive(Debug)]
pub struct Importer {
    driver: Driver,
    tip: Tip,
    tree: BlockTree,
    invalid: InvalidBlocks,
    work: ImportWork,
}

/// What a block is and where it belongs.
#[derive(Clone, Copy)]
struct Link {
    number: u64,
    hash: B256,
    parent: B256,
}

/// Where a block is.
enum Place {
    Canonical(Arc<SealedBlock>),
    Tree(Arc<SealedBlock>),
}

impl Link {
    const fn of(header: &Header, hash: B256) -> Self {
        Self {
            number: header.number,
            hash,
            parent: header.parent_hash,
        }
    }
}

impl Place {
    fn into_block(self) -> Arc<SealedBlock> {
        match self {
            Self::Canonical(block) | Self::Tree(block) => block,
        }
    }
}

impl Importer {
    /// Takes over an opened chain.
    ///
    /// # Errors
    /// [`ImportError::OpenBlock`] if a sequencer left a block open.
    pub fn new(opened: Opened) -> Result<Self, ImportError> {
        let Opened { driver, tip, .. } = opened;
        match tip.assembly.block() {
            Some(open) => Err(ImportError::OpenBlock(open.number())),
            None => Ok(Self {
                driver,
                tip,
                tree: BlockTree::default(),
                invalid: InvalidBlocks::default(),
                work: ImportWork::default(),
            }),
        }
    }

    /// The chain imported into.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        self.driver.chain()
    }

    /// Checks, executes and adopts the next block.
    ///
    /// # Errors
    /// [`ImportError`]; then nothing of the block is left behind and the head is what it was.
    pub fn import(&mut self, block: Block) -> Result<ImportSummary, ImportError> {
        let senders = recover_senders(self.chain().spec(), &block)?;
        self.import_with_senders(block, senders)
    }

    /// [`import`](Self::import), for who has recovered the senders already.
    ///
    /// # Errors
    /// As [`import`](Self::import).
    pub fn import_with_senders(
        &mut self,
        block: Block,
        senders: Vec<Address>,
    ) -> Result<ImportSummary, ImportError> {
        let block = self.insert_with(block, None, |_| Ok(senders))?;
        self.set_head(block.hash)?;
        Ok(ImportSummary { block })
    }

    /// Checks a block and executes it on its parent, which may be any block that is canonical or was inserted before.
    /// The head stays as it is. A block that is known already is not executed again.
    ///
    /// # Errors
    /// [`ImportError`]; then nothing of the block is left behind, but the memory that it is invalid, if it is.
    pub fn insert(&mut self, block: Block) -> Result<Arc<SealedBlock>, ImportError> {
        self.insert_hinted(block, None)
    }

    /// [`insert`](Self::insert), for who has a hint of what the block writes: a true one makes execution faster
    /// ([`ExecutionMode::Parallel`](crate::ExecutionMode)), a false one changes nothing else.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn insert_hinted(
        &mut self,
        block: Block,
        hint: Option<BlockHint>,
    ) -> Result<Arc<SealedBlock>, ImportError> {
        let chain = self.chain().clone();
        self.insert_with(block, hint, |block| recover_senders(chain.spec(), block))
    }

    /// Executes a block on its known parent, one transaction after the other, and keeps nothing but what a true hint of it
    /// says. What the header says of the execution is not looked at.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn hint_of(&mut self, block: &Block) -> Result<BlockHint, ImportError> {
        let senders = recover_senders(self.chain().spec(), block)?;
        let link = Link::of(&block.header, block.header.hash_slow());
        if self.block(link.parent)?.is_none() {
            return Err(self.unknown_parent(link));
        }
        let parent = self.parent_state(link.parent)?;
        Ok(run(self.chain(), &parent, block, &senders)?.into_hint())
    }

    /// [`insert`](Self::insert), for who has checked the block and recovered its senders already.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn insert_recovered(&mut self, recovered: RecoveredBlock) -> Result<Arc<SealedBlock>, ImportError> {
        let RecoveredBlock { block, hash, senders } = recovered;
        let link = Link::of(&block.header, hash);
        self.insert_on_parent(link, None, |this, parent| {
            let spec = this.chain().spec();
            verify_header_on_parent(spec, &block.header, parent)?;
            verify_ommers_of(spec, &block, |hash| this.block(hash))?;
            Ok((block, senders))
        })
    }

    /// Makes a block the head that is canonical or was inserted, and all between it and the canonical chain with it.
    /// Everything is durable and published together on return.
    ///
    /// # Errors
    /// [`ImportError`]; the head is what it was.
    pub fn set_head(&mut self, hash: B256) -> Result<HeadChange, ImportError> {
        let watch = Stopwatch::start();
        let moved = self.move_head(hash);
        self.work.commit += watch.stop();
        moved
    }

    fn move_head(&mut self, hash: B256) -> Result<HeadChange, ImportError> {
        let (ancestor, added) = self.branch_to(hash)?;
        let head = self.chain().view().head.number();
        self.ensure_executed(&added)?;
        let removed = self.canonical_blocks(ancestor.number() + 1, head)?;
        let mut tip = self.tip.clone();
        let take_back = if removed.is_empty() {
            None
        } else {
            // History must not be given blocks that it is about to lose.
            self.driver.await_history()?;
            let take_back = TakeBack::to(self.chain(), ancestor, removed.clone(), &tip)?;
            tip = take_back.tip_after();
            Some(take_back)
        };
        let mut extensions = Vec::with_capacity(added.len());
        for block in &added {
            let executed = self.executed(&block.hash)?.clone();
            let mini_block = Arc::new(record_of(self.chain().spec(), &executed, &tip).seal());
            tip = Tip::after(&mini_block, BlockAssembly::after(executed.trie.clone()));
            extensions.push(Extension { mini_block, executed });
        }
        let trie = self.driver.advance(Advance {
            take_back,
            extensions,
            trie: self.tip.assembly.trie().clone(),
        })?;
        self.tip = Tip {
            assembly: BlockAssembly::after(trie),
            ..tip
        };
        for block in &added {
            self.tree.remove(&block.hash);
        }
        for block in &removed {
            self.tree.insert(TreeBlock::Valid(Arc::clone(block)));
        }
        self.tree.forget_below(self.chain().view().head.number());
        Ok(HeadChange { removed, added })
    }

    /// Takes canonical blocks back until block `number` is the head.
    ///
    /// # Errors
    /// [`ImportError`]; the head is what it was.
    pub fn unwind_to(&mut self, number: u64) -> Result<HeadChange, ImportError> {
        let hash = self.chain().block_hash(number)?;
        self.set_head(hash.ok_or(ChainError::UnknownBlock(number))?)
    }

    /// A block that is canonical or was inserted.
    ///
    /// # Errors
    /// [`ChainError::History`].
    pub fn block(&self, hash: B256) -> Result<Option<Arc<SealedBlock>>, ChainError> {
        Ok(self.find(hash)?.map(Place::into_block))
    }

    /// The nearest valid ancestor of a block that was found invalid, if it is remembered.
    #[must_use]
    pub fn last_valid_ancestor(&self, invalid: B256) -> Option<B256> {
        self.invalid.last_valid_ancestor(&invalid)
    }

    /// Waits until history has every canonical block.
    ///
    /// # Errors
    /// [`ChainError::HistoryStopped`].
    pub fn await_history(&self) -> Result<(), ChainError> {
        self.driver.await_history()
    }

    /// What was done so far, and the time it took.
    #[must_use]
    pub fn work(&self) -> ImportWork {
        ImportWork {
            history: self.driver.background().effort(),
            ..self.work
        }
    }

    /// Remembers a block as invalid. For who made the header from the body: to [`insert`](Self::insert) a body that
    /// breaks a rule says nothing of the header, which may belong to another one.
    pub fn condemn(&mut self, hash: B256, last_valid_ancestor: B256) {
        self.invalid.insert(hash, last_valid_ancestor);
    }

    /// Ends the import; everything imported is durable on return.
    ///
    /// # Errors
    /// [`ChainError`] if something could not be made durable.
    pub fn finish(self) -> Result<(), ChainError> {
        self.driver.shutdown()
    }

    // ---- taking in

    fn insert_with(
        &mut self,
        block: Block,
        hint: Option<BlockHint>,
        senders: impl FnOnce(&Block) -> Result<Vec<Address>, ImportError>,
    ) -> Result<Arc<SealedBlock>, ImportError> {
        let link = Link::of(&block.header, block.header.hash_slow());
        self.insert_on_parent(link, hint, |this, parent| {
            let spec = this.chain().spec();
            // Cheap rules first.
            verify_header_alone(spec, &block.header)?;
            verify_header_on_parent(spec, &block.header, parent)?;
            verify_body_alone(spec, &block)?;
            verify_ommers_of(spec, &block, |hash| this.block(hash))?;
            let senders = senders(&block)?;
            Ok((block, senders))
        })
    }

    /// Finds the parent of a block that is not known yet, has the block made ready, and executes it.
    fn insert_on_parent(
        &mut self,
        link: Link,
        hint: Option<BlockHint>,
        ready: impl FnOnce(&Self, &Header) -> Result<(Block, Vec<Address>), ImportError>,
    ) -> Result<Arc<SealedBlock>, ImportError> {
        let Link { number, hash, parent } = link;
        if let Some(known) = self.block(hash)? {
            return Ok(known);
        }
        for known in [hash, parent] {
            if let Some(last_valid) = self.invalid.last_valid_ancestor(&known) {
                self.invalid.insert(hash, last_valid);
                return Err(ImportError::InvalidAncestor { number, last_valid });
            }
        }
        let watch = Stopwatch::start();
        let root_before = self.work.root;
        let parent_block = self.block(parent)?.ok_or_else(|| self.unknown_parent(link))?;
        self.driver.check_memory()?;
        let inserted = ready(self, &parent_block.header)
            .and_then(|(block, senders)| self.execute(block, senders, hint))
            .inspect_err(|error| {
                if error.condemns_header() {
                    self.invalid.insert(hash, parent);
                }
            });
        self.work.execution += watch.stop() - (self.work.root - root_before);
        inserted
    }

    fn unknown_parent(&self, link: Link) -> ImportError {
        let head = Arc::clone(&self.chain().view().head);
        ImportError::UnknownParent {
            number: link.number,
            parent: link.parent,
            head_number: head.number(),
            head: head.hash,
        }
    }

    /// Executes a block on its known parent and keeps it in the tree.
    fn execute(
        &mut self,
        block: Block,
        senders: Vec<Address>,
        hint: Option<BlockHint>,
    ) -> Result<Arc<SealedBlock>, ImportError> {
        let execution = match self.execute_on_parent(&block, &senders, hint) {
            Err(ImportError::Chain(
                ChainError::VersionGone(_) | ChainError::Trie(TrieError::VersionGone),
            )) => {
                // So much was written since that drafts lost what is below them. From the chain they can be had anew.
                self.tree.forget_states();
                self.execute_on_parent(&block, &senders, None)?
            }
            result => result?,
        };
        self.work.root += execution.root_effort;
        self.work.changes += execution.changed_accounts;
        self.work.hinted_blocks += u64::from(execution.hint.is_some());
        self.work.proven_hints += u64::from(execution.hint == Some(HintVerdict::Proven));
        let executed = execution.of(block, senders);
        let block = Arc::clone(&executed.block);
        self.tree.insert(TreeBlock::Executed(Box::new(executed)));
        Ok(block)
    }

    fn execute_on_parent(
        &mut self,
        block: &Block,
        senders: &[Address],
        hint: Option<BlockHint>,
    ) -> Result<Execution, ImportError> {
        let parent = self.parent_state(block.header.parent_hash)?;
        execute_block(self.chain(), &parent, block, senders, hint)
    }

    /// What children of a known block are executed on.
    fn parent_state(&mut self, hash: B256) -> Result<ParentState, ImportError> {
        let chain = self.chain().clone();
        if hash == chain.view().head.hash {
            return Ok(ParentState {
                draft: Draft::begin(chain.view().state.clone()),
                trie: self.tip.assembly.trie().clone(),
                ancestors: AncestorHashes::canonical(chain),
            });
        }
        let (ancestor, branch) = self.branch_to(hash)?;
        if branch.is_empty() {
            // What was changed since is asked of history, which may be some blocks behind the head.
            self.driver.await_history()?;
            let BuildBase { draft, trie } = chain.base_to_build_on(&ancestor, self.tip.assembly.trie())?;
            let ancestors = AncestorHashes::canonical(chain);
            return Ok(ParentState {
                draft,
                trie,
                ancestors,
            });
        }
        self.ensure_executed(&branch)?;
        let parent = self.executed(&hash)?;
        Ok(ParentState {
            draft: Draft::begin_on(&parent.draft),
            trie: parent.trie.clone(),
            ancestors: AncestorHashes {
                chain,
                side: branch.iter().map(|block| (block.number(), block.hash)).collect(),
            },
        })
    }

    fn executed(&self, hash: &B256) -> Result<&ExecutedBlock, ChainError> {
        match self.tree.get(hash) {
            Some(TreeBlock::Executed(executed)) => Ok(executed),
            _ => Err(ChainError::UnknownHash(*hash)),
        }
    }

    /// Executes those blocks of a branch again, oldest first, whose states are not there any more.
    fn ensure_executed(&mut self, branch: &[Arc<SealedBlock>]) -> Result<(), ImportError> {
        for block in branch {
            if let Some(TreeBlock::Valid(_)) = self.tree.get(&block.hash) {
                self.execute(block.to_block(), block.senders.clone(), None)?;
            }
        }
        Ok(())
    }

    // ---- looking up

    fn find(&self, hash: B256) -> Result<Option<Place>, ChainError> {
        if let Some(block) = self.tree.get(&hash) {
            return Ok(Some(Place::Tree(Arc::clone(block.block()))));
        }
        Ok(self.chain().block_by_hash(hash)?.map(Place::Canonical))
    }

    /// The blocks from the canonical chain to a block, oldest first, and the canonical block they begin on.
    fn branch_to(&self, hash: B256) -> Result<(Arc<SealedBlock>, Vec<Arc<SealedBlock>>), ChainError> {
        let mut branch = Vec::new();
        let mut next = hash;
        loop {
            match self.find(next)?.ok_or(ChainError::UnknownHash(next))? {
                Place::Canonical(ancestor) => {
                    branch.reverse();
                    return Ok((ancestor, branch));
                }
                Place::Tree(block) => {
                    next = block.header.parent_hash;
                    branch.push(block);
                }
            }
        }
    }

    fn canonical_blocks(&self, from: u64, to: u64) -> Result<Vec<Arc<SealedBlock>>, ChainError> {
        (from..=to)
            .map(|number| {
                let block = self.chain().block_by_number(number)?;
                block.ok_or(ChainError::UnknownBlock(number))
            })
            .collect()
    }
}
