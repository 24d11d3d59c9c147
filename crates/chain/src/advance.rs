//! Making blocks canonical: the one step in which the head moves, forward, back, or back and forward.
//!
//! Its order is what a crash at any point relies on: first everything is in the log and may be announced, then it is
//! in the state and out of history, then it is published, together.

use std::sync::Arc;

use rapid_primitives::{
    AccountChange, CommitSequence, DiffBuilder, MiniBlock, MiniBlockBody, MiniBlockHeader, Rewind,
    SealedBlock, SealedMiniBlock,
};
use rapid_state::{Draft, ReadSet, StateView};
use rapid_trie::StateTrie;

use crate::{
    BlockAssembly, Chain, ChainError, ChainEvent, Driver, FinishedBlock, Tip, View, background::HandOver,
    execute::ExecutedBlock, record::now_us,
};

/// How the head moves.
#[derive(Debug)]
pub(crate) struct Advance {
    /// Back to an ancestor first.
    pub(crate) take_back: Option<TakeBack>,
    /// Then forward, block by block.
    pub(crate) extensions: Vec<Extension>,
    /// The trie of the head before.
    pub(crate) trie: StateTrie,
}

/// Blocks that stop being canonical.
#[derive(Debug)]
pub(crate) struct TakeBack {
    /// The head after it.
    head: Arc<SealedBlock>,
    /// Its trie, which is of [`draft`](Self::draft).
    trie: StateTrie,
    /// The state after the head, on that of now.
    draft: Draft,
    mini_block: Arc<SealedMiniBlock>,
    /// Oldest first.
    removed: Vec<Arc<SealedBlock>>,
}

/// A block that becomes canonical.
#[derive(Debug)]
pub(crate) struct Extension {
    pub(crate) mini_block: Arc<SealedMiniBlock>,
    pub(crate) executed: ExecutedBlock,
}

/// The state and the trie after a canonical block, to execute children of it.
#[derive(Debug)]
pub(crate) struct BuildBase {
    pub(crate) draft: Draft,
    pub(crate) trie: StateTrie,
}

impl TakeBack {
    /// Prepares to make `head`, a canonical block, the head again.
    ///
    /// # Errors
    /// [`ChainError::StateUnavailable`] if history does not keep the state after it.
    pub(crate) fn to(
        chain: &Chain,
        head: Arc<SealedBlock>,
        removed: Vec<Arc<SealedBlock>>,
        tip: &Tip,
    ) -> Result<Self, ChainError> {
        let newest = removed.last().map_or(head.number(), |block| block.number());
        let changes = chain.changes_back(newest, head.number())?;
        let (trie, draft) = state_after(tip.assembly.trie(), &changes, &head)?;
        let mut diff = DiffBuilder::new();
        diff.push(0, &changes);
        let header = MiniBlockHeader {
            number: tip.mini_block.next(),
            parent_hash: tip.mini_block_hash,
            time_us: now_us().max(tip.time_us + 1),
            rewind: Some(Rewind {
                number: head.number(),
                hash: head.hash,
            }),
            ..MiniBlockHeader::default()
        };
        let body = MiniBlockBody {
            diff: diff.finish(),
            ..MiniBlockBody::default()
        };
        Ok(Self {
            mini_block: Arc::new(MiniBlock { header, body }.seal()),
            head,
            trie,
            draft,
            removed,
        })
    }

    /// Where the chain goes on after it.
    pub(crate) fn tip_after(&self) -> Tip {
        Tip::after(&self.mini_block, BlockAssembly::after(self.trie.clone()))
    }
}

/// An older state as changes to a newer one, and its trie, which is of that draft. That its root is the block's is
/// checked before anything is built on it.
///
/// It holds the newer state as that one's trie does, which pins it: for what is done with soon.
pub(crate) fn state_after(
    newest: &StateTrie,
    changes: &[AccountChange],
    block: &SealedBlock,
) -> Result<(StateTrie, Draft), ChainError> {
    let draft = match newest.state() {
        StateView::Snapshot(snapshot) => Draft::begin(snapshot.clone()),
        StateView::Draft(draft) => Draft::begin_on(draft),
    };
    state_after_on(draft, newest, changes, block)
}

fn state_after_on(
    mut draft: Draft,
    newest: &StateTrie,
    changes: &[AccountChange],
    block: &SealedBlock,
) -> Result<(StateTrie, Draft), ChainError> {
    draft.apply(changes)?;
    let mut trie = newest.clone();
    trie.apply(draft.clone().into(), changes)?;
    expect_root(&trie, block)?;
    Ok((trie, draft))
}

fn expect_root(trie: &StateTrie, block: &SealedBlock) -> Result<(), ChainError> {
    let (found, expected) = (trie.root()?, block.header.state_root);
    if found == expected {
        return Ok(());
    }
    Err(ChainError::PastRoot {
        number: block.number(),
        expected,
        found,
    })
}

impl Chain {
    /// What children of a canonical block below the head are executed on.
    ///
    /// # Errors
    /// [`ChainError::StateUnavailable`] if history does not keep the state after it.
    pub(crate) fn base_to_build_on(
        &self,
        block: &SealedBlock,
        newest: &StateTrie,
    ) -> Result<BuildBase, ChainError> {
        let view = self.view();
        let changes = self.changes_back(view.head.number(), block.number())?;
        // Not pinned, since the tree may keep it for many blocks: when it is overrun, it is made again.
        let draft = Draft::begin(view.state.clone());
        let (trie, past) = state_after_on(draft, newest, &changes, block)?;
        Ok(BuildBase {
            draft: Draft::begin_on(&past),
            trie,
        })
    }
}

impl Driver {
    /// Moves the head. Everything is durable under the log's policy and published on return. Returns the trie of the head.
    ///
    /// # Errors
    /// [`ChainError::DiskNearlyFull`] or [`ChainError::MemoryNearlyFull`] before anything was written. After any other, the log or history failed: nothing
    /// may be announced any more, and a restart finds the head where the log says.
    pub(crate) fn advance(&self, advance: Advance) -> Result<StateTrie, ChainError> {
        let Advance {
            take_back,
            extensions,
            mut trie,
        } = advance;
        self.check_room()?;
        self.write(take_back.as_ref(), &extensions)?;
        let state = self.chain().state();
        let mut next = Vec::with_capacity(extensions.len());
        let mut finished = Vec::with_capacity(extensions.len() + 1);
        if let Some(take_back) = &take_back {
            let version = take_back.draft.adopt(state)?;
            trie = take_back.trie.clone();
            trie.apply(state.pin(version)?.into(), &[])?;
            self.chain().shared.note_reorganisation();
            self.chain().shared.history.unwind_to(take_back.head.number())?;
            self.background().take_back(state.pin(version)?);
            finished.push(FinishedBlock {
                block: Arc::clone(&take_back.head),
                trie: trie.clone(),
                mini_blocks: Vec::new(),
                version,
            });
        }
        for Extension { mini_block, executed } in extensions {
            let version;
            (version, trie) = self.adopt(&executed, trie)?;
            let block = FinishedBlock {
                version,
                block: executed.block,
                trie: trie.clone(),
                mini_blocks: vec![mini_block],
            };
            next.push(HandOver::of(&block, state)?);
            finished.push(block);
        }
        self.publish_move(take_back, finished);
        next.into_iter()
            .try_for_each(|next| self.background().hand_over(next))?;
        Ok(trie)
    }

    /// Writes all records and waits once until they may be announced.
    fn write(&self, take_back: Option<&TakeBack>, extensions: &[Extension]) -> Result<(), ChainError> {
        let records = take_back
            .map(|take_back| &take_back.mini_block)
            .into_iter()
            .chain(extensions.iter().map(|extension| &extension.mini_block));
        let mut last = None;
        for record in records {
            self.append(record)?;
            last = Some(record.number());
        }
        last.map_or(Ok(()), |last| self.wait_announceable(last))
    }

    /// The driver is the only writer, so a draft on the head is adopted, and its trie with it. One on a state that was
    /// gone back to has its changes written instead, which is the same; but the storages that it made are not those that
    /// come of that, so the trie is made of its parent's.
    fn adopt(
        &self,
        executed: &ExecutedBlock,
        parent: StateTrie,
    ) -> Result<(CommitSequence, StateTrie), ChainError> {
        let state = self.chain().state();
        if let Ok(version) = executed.draft.adopt(state) {
            let mut trie = executed.trie.clone();
            // From here on it is of the version that the draft became.
            trie.apply(state.pin(version)?.into(), &[])?;
            return Ok((version, trie));
        }
        let changes = executed.diff.collapse();
        let committed = state.commit(&ReadSet::new(), &changes);
        let version = committed.expect("an unconditional commit has no conflict");
        let mut trie = parent;
        trie.apply(state.pin(version)?.into(), &changes)?;
        expect_root(&trie, &executed.block)?;
        Ok((version, trie))
    }

    /// One view for all of it: no reader sees the head on its way.
    fn publish_move(&self, take_back: Option<TakeBack>, finished: Vec<FinishedBlock>) {
        let shared = &self.chain().shared;
        let Some(newest) = finished.last() else { return };
        let (head, version) = (Arc::clone(&newest.block), newest.version);
        let mini_blocks: Vec<_> = finished
            .iter()
            .flat_map(|block| block.mini_blocks.clone())
            .collect();
        let blocks: Vec<_> = finished
            .iter()
            .filter(|block| !block.mini_blocks.is_empty())
            .map(|block| Arc::clone(&block.block))
            .collect();
        let mut dropped_tries = Vec::new();
        let dropped;
        {
            let _one_at_a_time = shared.view_update.lock();
            shared.state.publish(version);
            let mut recent = shared.blocks.write();
            dropped = take_back
                .as_ref()
                .map(|take_back| recent.take_back(take_back.head.number()))
                .unwrap_or_default();
            for mini_block in &dropped {
                shared.transactions.remove(mini_block);
            }
            for mini_block in &mini_blocks {
                shared.transactions.insert(mini_block);
            }
            for block in finished {
                dropped_tries.extend(recent.insert(block));
            }
            drop(recent);
            shared.view.store(Arc::new(View {
                head,
                closing: Vec::new(),
                open: None,
                state: shared.state.published(),
                mini_block: newest_number(&mini_blocks, take_back.as_ref()),
            }));
        }
        drop(dropped_tries);
        mini_blocks
            .iter()
            .for_each(|mini_block| shared.waiters.wake(mini_block));
        self.tell(take_back, mini_blocks, blocks);
    }

    fn tell(
        &self,
        take_back: Option<TakeBack>,
        mini_blocks: Vec<Arc<SealedMiniBlock>>,
        blocks: Vec<Arc<SealedBlock>>,
    ) {
        // Without subscribers there is nobody to tell.
        let events = &self.chain().shared.events;
        if let Some(TakeBack { head, removed, .. }) = take_back {
            let _ = events.send(ChainEvent::TakenBack { removed, head });
        }
        for (mini_block, block) in mini_blocks.into_iter().zip(blocks) {
            let _ = events.send(ChainEvent::MiniBlock(mini_block));
            let _ = events.send(ChainEvent::Block(block));
        }
    }
}

fn newest_number(
    mini_blocks: &[Arc<SealedMiniBlock>],
    take_back: Option<&TakeBack>,
) -> rapid_primitives::MiniBlockNumber {
    let newest = mini_blocks
        .last()
        .or(take_back.map(|take_back| &take_back.mini_block));
    newest.map_or_else(Default::default, |mini_block| mini_block.number())
}

impl Tip {
    pub(crate) fn after(mini_block: &SealedMiniBlock, assembly: BlockAssembly) -> Self {
        Self {
            mini_block: mini_block.number(),
            mini_block_hash: mini_block.hash(),
            time_us: mini_block.header().time_us,
            assembly,
        }
    }
}
