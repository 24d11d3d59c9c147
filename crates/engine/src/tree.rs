//! What the engine does with a request: the order of the checks, and what is remembered between requests.

use std::time::Instant;

use alloy_primitives::B256;
use alloy_rpc_types_engine::{ForkchoiceState, ForkchoiceUpdated, PayloadStatus};
use rapid_chain::{Chain, ChainError, ImportError, Importer};
use rapid_primitives::SealedBlock;
use tokio::sync::broadcast;

use crate::{
    BlockAt, EngineError, EngineEvent, Forkchoice, ForkchoiceUpdate, NewPayload,
    attributes::check_attributes,
    error::is_fatal,
    forkchoice::Points,
    orphans::{Orphan, Orphans},
    pool_follower::PoolFollower,
    status::{Refusal, invalid, latest_valid_hash, syncing, valid},
};

/// Follows the consensus client on one thread.
#[derive(Debug)]
pub(crate) struct EngineTree {
    importer: Importer,
    forkchoice: Forkchoice,
    pool: PoolFollower,
    events: broadcast::Sender<EngineEvent>,
    orphans: Orphans,
    /// Blocks whose waiting children may be connected now.
    arrived: Vec<B256>,
    /// A fork choice whose head is not known yet: it is taken when the head arrives.
    awaited: Option<ForkchoiceState>,
    /// Set when nothing may be announced any more.
    failure: Option<ChainError>,
}

/// A block's ancestors, as far as it takes to tell which blocks are among them.
#[derive(Debug)]
struct Lineage {
    /// The block and its ancestors that are not canonical.
    branch: Vec<BlockAt>,
    /// Number of the newest canonical block among them: those below are canonical too.
    canonical: u64,
}

impl EngineTree {
    pub(crate) fn new(
        importer: Importer,
        forkchoice: Forkchoice,
        pool: PoolFollower,
        events: broadcast::Sender<EngineEvent>,
    ) -> Self {
        Self {
            importer,
            forkchoice,
            pool,
            events,
            orphans: Orphans::default(),
            arrived: Vec::new(),
            awaited: None,
            failure: None,
        }
    }

    /// Ends it; everything canonical is durable on return.
    ///
    /// # Errors
    /// [`ChainError`] if something could not be made durable.
    pub(crate) fn finish(self) -> Result<(), ChainError> {
        self.importer.finish()
    }

    /// The failure after which nothing may be announced any more.
    pub(crate) const fn take_failure(&mut self) -> Option<ChainError> {
        self.failure.take()
    }

    /// Checks a payload, and executes it if its parent is known.
    ///
    /// # Errors
    /// [`EngineError`] if nothing can be said of it.
    pub(crate) fn new_payload(&mut self, payload: NewPayload) -> Result<PayloadStatus, EngineError> {
        payload.check_version(self.chain().spec())?;
        let (number, hash) = (payload.number(), payload.hash());
        self.tell(EngineEvent::PayloadReceived { number, hash });
        match payload.into_block() {
            Ok(block) => self.insert(block),
            Err(error) => {
                let reason = error.to_string();
                self.tell_invalid(number, hash, &reason);
                Ok(invalid(reason, None))
            }
        }
    }

    /// Makes a block the head, and sets the safe and the finalized block; then checks the attributes.
    ///
    /// # Errors
    /// [`EngineError`].
    pub(crate) fn forkchoice_updated(
        &mut self,
        update: &ForkchoiceUpdate,
    ) -> Result<ForkchoiceUpdated, EngineError> {
        let status = self.choose(update.state)?;
        if status.is_valid()
            && let Some(attributes) = &update.attributes
        {
            let head = self.importer.block(update.state.head_block_hash)?;
            let timestamp = head.map_or(0, |head| head.header.timestamp);
            check_attributes(self.chain().spec(), update.version, attributes, timestamp)?;
            tracing::warn!(
                target: "engine::tree",
                timestamp = attributes.timestamp,
                "The consensus client asks for a payload, which this node does not build"
            );
        }
        Ok(ForkchoiceUpdated::new(status))
    }

    /// What a request leaves to do once it is answered: connects blocks that waited for one that arrived, and takes the
    /// fork choice that waited for its head.
    pub(crate) fn settle(&mut self) {
        while let Some(parent) = self.arrived.pop() {
            for child in self.orphans.take_children(parent) {
                let hash = child.hash;
                if let Err(error) = self.insert(child) {
                    tracing::warn!(target: "engine::tree", %hash, ?error, "A waiting block could not be connected");
                }
            }
        }
        let Some(state) = self.awaited else { return };
        let head_known = self.importer.block(state.head_block_hash);
        if matches!(head_known, Ok(Some(_)))
            && let Err(error) = self.choose(state)
        {
            tracing::warn!(target: "engine::tree", ?state, ?error, "The awaited head was not taken");
        }
    }

    // ---- blocks

    /// Hands a block to the chain, or keeps it until its parent is there.
    fn insert(&mut self, orphan: Orphan) -> Result<PayloadStatus, EngineError> {
        let (hash, block) = (orphan.hash, &orphan.block);
        if self.importer.block(hash)?.is_some() {
            return Ok(valid(hash));
        }
        let (number, parent) = (block.header.number, block.header.parent_hash);
        if self.must_wait(hash, parent)? {
            self.orphans.insert(orphan);
            return Ok(syncing());
        }
        let started = Instant::now();
        let hint = orphan.hint();
        match self.importer.insert_hinted(orphan.block, hint) {
            Ok(block) => {
                let elapsed = started.elapsed();
                let follows_head = parent == self.chain().view().head.hash;
                self.tell(match follows_head {
                    true => EngineEvent::CanonicalBlockAdded { block, elapsed },
                    false => EngineEvent::ForkBlockAdded { block, elapsed },
                });
                self.arrived.push(hash);
                Ok(valid(hash))
            }
            Err(error) => match Refusal::of(error, parent) {
                Refusal::NotReady => Ok(syncing()),
                Refusal::Invalid { reason, last_valid } => {
                    // The header was made from the body, so the body condemns it as well.
                    self.importer.condemn(hash, last_valid);
                    self.arrived.push(hash);
                    self.tell_invalid(number, hash, &reason);
                    Ok(invalid(reason, self.latest_valid(last_valid)?))
                }
                Refusal::Failed(error) => Err(error.into()),
            },
        }
    }

    /// Whether nothing is known of a block's parent, and nothing bad of the block.
    fn must_wait(&self, hash: B256, parent: B256) -> Result<bool, ChainError> {
        let is_invalid = |hash| self.importer.last_valid_ancestor(hash).is_some();
        Ok(!is_invalid(hash) && !is_invalid(parent) && self.importer.block(parent)?.is_none())
    }

    fn latest_valid(&self, ancestor: B256) -> Result<Option<B256>, ChainError> {
        let block = self.importer.block(ancestor)?;
        Ok(latest_valid_hash(
            block.as_deref().map(|block| (block.hash, &block.header)),
        ))
    }

    // ---- heads

    fn choose(&mut self, state: ForkchoiceState) -> Result<PayloadStatus, EngineError> {
        self.awaited = None;
        let head = state.head_block_hash;
        if head.is_zero() {
            return Err(EngineError::InvalidForkchoiceState);
        }
        if let Some(last_valid) = self.importer.last_valid_ancestor(head) {
            self.tell(EngineEvent::ForkchoiceInvalid(state));
            let reason = "links to previously rejected block".to_owned();
            return Ok(invalid(reason, self.latest_valid(last_valid)?));
        }
        let Some(block) = self.importer.block(head)? else {
            self.awaited = Some(state);
            self.tell(EngineEvent::ForkchoiceSyncing(state));
            return Ok(syncing());
        };
        self.take(state, &block)?;
        Ok(valid(head))
    }

    /// Takes a fork choice whose head is valid: as a whole, or not at all.
    fn take(&mut self, state: ForkchoiceState, head: &SealedBlock) -> Result<(), EngineError> {
        let lineage = self.lineage(head)?;
        let points = self.points(state, &lineage)?;
        let finalized = self.forkchoice.points().finalized;
        let below_finalized = finalized.is_some_and(|finalized| lineage.canonical < finalized.number);
        match (lineage.branch.is_empty(), below_finalized) {
            (true, true) => {
                self.tell(EngineEvent::ForkchoiceUpdated(state));
                return Ok(());
            }
            // The head stays where it is: what is above is valid and may be chosen again.
            (true, false) => {}
            (false, true) => return Err(EngineError::TooDeepReorg),
            (false, false) => self.set_head(head.hash)?,
        }
        self.forkchoice.publish(points);
        self.tell(EngineEvent::ForkchoiceUpdated(state));
        Ok(())
    }

    /// The safe and the finalized block of a fork choice. Zero leaves what was said before, unless the head leaves the
    /// branch it is on.
    fn points(&self, state: ForkchoiceState, lineage: &Lineage) -> Result<Points, EngineError> {
        let before = self.forkchoice.points();
        Ok(Points {
            safe: self.point(state.safe_block_hash, before.safe, lineage)?,
            finalized: self.point(state.finalized_block_hash, before.finalized, lineage)?,
        })
    }

    fn point(
        &self,
        hash: B256,
        before: Option<BlockAt>,
        lineage: &Lineage,
    ) -> Result<Option<BlockAt>, EngineError> {
        if hash.is_zero() {
            return match before {
                Some(block) if !lineage.branch.is_empty() => Ok(self.is_on(lineage, block)?.then_some(block)),
                before => Ok(before),
            };
        }
        let block = self.importer.block(hash)?;
        let block = block.ok_or(EngineError::InvalidForkchoiceState)?;
        let block = BlockAt {
            number: block.number(),
            hash,
        };
        match self.is_on(lineage, block)? {
            true => Ok(Some(block)),
            false => Err(EngineError::InvalidForkchoiceState),
        }
    }

    fn lineage(&self, head: &SealedBlock) -> Result<Lineage, ChainError> {
        let mut branch = Vec::new();
        let mut next = (head.number(), head.hash, head.header.parent_hash);
        loop {
            let (number, hash, parent) = next;
            if self.chain().block_hash(number)? == Some(hash) {
                return Ok(Lineage {
                    branch,
                    canonical: number,
                });
            }
            branch.push(BlockAt { number, hash });
            let block = self.importer.block(parent)?;
            let block = block.ok_or(ChainError::UnknownHash(parent))?;
            next = (block.number(), block.hash, block.header.parent_hash);
        }
    }

    fn is_on(&self, lineage: &Lineage, block: BlockAt) -> Result<bool, ChainError> {
        if block.number > lineage.canonical {
            return Ok(lineage.branch.contains(&block));
        }
        Ok(self.chain().block_hash(block.number)? == Some(block.hash))
    }

    fn set_head(&mut self, head: B256) -> Result<(), EngineError> {
        let started = Instant::now();
        let change = self.importer.set_head(head).map_err(|error| match error {
            ImportError::Chain(ChainError::StateUnavailable(_)) => EngineError::TooDeepReorg,
            ImportError::Chain(error) => {
                let answer = EngineError::Internal(error.to_string());
                if is_fatal(&error) {
                    self.failure = Some(error);
                }
                answer
            }
            error => error.into(),
        })?;
        let elapsed = started.elapsed();
        self.pool.follow();
        self.tell(EngineEvent::CanonicalChainCommitted {
            head: self.chain().view().head.clone(),
            removed: change.removed.len(),
            elapsed,
        });
        Ok(())
    }

    // ---- telling

    const fn chain(&self) -> &Chain {
        self.importer.chain()
    }

    fn tell_invalid(&self, number: u64, hash: B256, reason: &str) {
        let reason = reason.to_owned();
        self.tell(EngineEvent::InvalidBlock { number, hash, reason });
    }

    /// Without listeners there is nobody to tell.
    fn tell(&self, event: EngineEvent) {
        let _ = self.events.send(event);
    }
}
