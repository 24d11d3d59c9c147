//! What all `eth` methods share: the chain, the pool, the bounds, and the meaning of block tags.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy_eips::{BlockId, BlockNumberOrTag, RpcBlockHash};
use alloy_primitives::B256;
use rapid_chain::{Chain, ChainError, OpenBlock, PastReadError, StateAt, View};
use rapid_engine::{EngineHandle, Forkchoice};
use rapid_evm::environment_of_header;
use rapid_pool::{HeadInfo, Pool, Recovery};
use rapid_primitives::{BlockEnvironment, SealedBlock};

use super::{
    config::{EthConfig, LatestState},
    signer::DevSigners,
};
use crate::{
    error::{RpcError, RpcResult},
    gate::Gate,
};

/// The parts of the node that the methods answer from.
#[derive(Clone, Debug)]
pub struct EthParts {
    /// The chain.
    pub chain: Chain,
    /// The pool.
    pub pool: Pool,
    /// Recovers the senders of batches.
    pub recovery: Arc<Recovery>,
    /// Drives the chain as a consensus client says; `None` if the node drives it by itself.
    pub engine: Option<EngineHandle>,
    /// Keys of a development chain; empty otherwise.
    pub signers: DevSigners,
    /// Bounds and choices.
    pub config: EthConfig,
}

/// Shared by all method families.
#[derive(Debug)]
pub(crate) struct EthContext {
    pub(crate) chain: Chain,
    pub(crate) pool: Pool,
    pub(crate) recovery: Arc<Recovery>,
    pub(crate) engine: Option<EngineHandle>,
    pub(crate) signers: DevSigners,
    pub(crate) config: EthConfig,
    pub(crate) gate: Gate,
}

/// The block a query is about.
#[derive(Clone, Debug)]
pub(crate) enum BlockRef {
    /// A sealed block.
    Sealed(Arc<SealedBlock>),
    /// The newest block that is not sealed.
    Open(Arc<OpenBlock>),
}

/// A state with the environment in which calls on it run.
#[derive(Debug)]
pub(crate) struct SimulationBase {
    pub(crate) state: StateAt,
    pub(crate) environment: BlockEnvironment,
}

impl EthContext {
    pub(crate) fn new(parts: EthParts) -> Self {
        let EthParts {
            chain,
            pool,
            recovery,
            engine,
            signers,
            config,
        } = parts;
        let gate = Gate::new(
            config.heavy_calls_max,
            config.heavy_calls_waiting_max,
            config.call_timeout,
        );
        Self {
            chain,
            pool,
            recovery,
            engine,
            signers,
            config,
            gate,
        }
    }

    /// The sealed block behind a tag or number, for queries about sealed history. `pending` is the newest sealed one.
    ///
    /// `None` if there is no such block (yet).
    pub(crate) fn sealed_number(&self, tag: BlockNumberOrTag) -> Option<u64> {
        let head = self.chain.view().head.number();
        match tag {
            BlockNumberOrTag::Latest | BlockNumberOrTag::Pending => Some(head),
            BlockNumberOrTag::Finalized => self.finalized_number(head),
            BlockNumberOrTag::Safe => self.safe_number(head),
            BlockNumberOrTag::Earliest => Some(0),
            BlockNumberOrTag::Number(number) => (number <= head).then_some(number),
        }
    }

    /// What the consensus client says is finalized; without one, what is as deep as configured.
    fn finalized_number(&self, head: u64) -> Option<u64> {
        match self.forkchoice() {
            Some(forkchoice) => Some(forkchoice.finalized()?.number),
            None => head.checked_sub(self.config.finality_depth),
        }
    }

    /// What the consensus client says is safe; without one, what is half as deep as the finalized block.
    fn safe_number(&self, head: u64) -> Option<u64> {
        match self.forkchoice() {
            Some(forkchoice) => Some(forkchoice.safe()?.number),
            None => head.checked_sub(self.config.finality_depth.div_ceil(2)),
        }
    }

    fn forkchoice(&self) -> Option<&Forkchoice> {
        self.engine.as_ref().map(EngineHandle::forkchoice)
    }

    /// The block a block query is about; `None` if there is none.
    pub(crate) fn block_ref(&self, id: BlockId) -> RpcResult<Option<BlockRef>> {
        match id {
            BlockId::Hash(RpcBlockHash { block_hash, .. }) => {
                Ok(self.chain.block_by_hash(block_hash)?.map(BlockRef::Sealed))
            }
            BlockId::Number(BlockNumberOrTag::Latest) => {
                Ok(Some(BlockRef::Sealed(self.chain.view().head.clone())))
            }
            BlockId::Number(BlockNumberOrTag::Pending) => {
                let view = self.chain.view();
                Ok(Some(match view.newest_unsealed() {
                    Some(open) => BlockRef::Open(open.clone()),
                    // Between blocks the newest sealed one is all there is.
                    None => BlockRef::Sealed(view.head.clone()),
                }))
            }
            BlockId::Number(tag) => match self.sealed_number(tag) {
                Some(number) => Ok(self.chain.block_by_number(number)?.map(BlockRef::Sealed)),
                None => Ok(None),
            },
        }
    }

    /// The sealed block a query is about.
    ///
    /// # Errors
    /// [`RpcError::BlockNotFound`].
    pub(crate) fn sealed_block(&self, id: BlockId) -> RpcResult<Arc<SealedBlock>> {
        let number = match id {
            BlockId::Hash(hash) => {
                let block = self.chain.block_by_hash(hash.block_hash)?;
                return block.ok_or_else(|| not_found(id));
            }
            BlockId::Number(tag) => self.sealed_number(tag).ok_or_else(|| not_found(id))?,
        };
        self.chain.block_by_number(number)?.ok_or_else(|| not_found(id))
    }

    /// The state a state query is about. The answer of `latest` depends on [`LatestState`].
    pub(crate) fn state(&self, id: Option<BlockId>) -> RpcResult<StateAt> {
        let id = id.unwrap_or_default();
        let view = self.chain.view();
        if self.is_newest(&view, id) {
            return Ok(view.state.clone().into());
        }
        Ok(self.chain.state_at(self.state_number(id)?)?)
    }

    /// State and environment for a call. On a sealed block calls run as its last transaction would; on the newest
    /// state in the open block, or in the one that would open now.
    pub(crate) fn simulation(&self, id: Option<BlockId>) -> RpcResult<SimulationBase> {
        let id = id.unwrap_or_default();
        let view = self.chain.view();
        if self.is_newest(&view, id) {
            let environment = self.chain.simulation_environment(&view, now_seconds())?;
            return Ok(SimulationBase {
                state: view.state.clone().into(),
                environment,
            });
        }
        let block = self.sealed_block(id)?;
        let state = self.chain.state_at(block.number())?;
        Ok(SimulationBase {
            state,
            environment: environment_of_header(&block.header),
        })
    }

    /// What the pool has to know of the open block.
    pub(crate) fn pool_head(&self, view: &View) -> Result<HeadInfo, ChainError> {
        let environment = self.chain.simulation_environment(view, now_seconds())?;
        Ok(HeadInfo {
            number: environment.number,
            timestamp: environment.timestamp,
            base_fee: environment.base_fee_per_gas.unwrap_or_default(),
            gas_limit: environment.gas_limit,
            spec: alloy_evm::spec_by_timestamp_and_block_number(
                &**self.chain.spec(),
                environment.timestamp,
                environment.number,
            ),
        })
    }

    /// Runs an expensive call with the context on a blocking thread.
    pub(crate) async fn heavy<T, F>(self: &Arc<Self>, call: F) -> RpcResult<T>
    where
        F: FnOnce(&Self, crate::gate::Deadline) -> RpcResult<T> + Send + 'static,
        T: Send + 'static,
    {
        let context = self.clone();
        self.gate.run(move |deadline| call(&context, deadline)).await
    }

    fn is_newest(&self, view: &View, id: BlockId) -> bool {
        match id {
            BlockId::Number(BlockNumberOrTag::Pending) => true,
            BlockId::Number(BlockNumberOrTag::Latest) => self.config.latest == LatestState::Newest,
            // The number of a receipt whose block is not sealed yet.
            BlockId::Number(BlockNumberOrTag::Number(number)) => {
                view.newest_unsealed().is_some_and(|open| open.number() == number)
            }
            _ => false,
        }
    }

    fn state_number(&self, id: BlockId) -> RpcResult<u64> {
        match id {
            BlockId::Hash(hash) => {
                let block = self.chain.block_by_hash(hash.block_hash)?;
                block.map(|block| block.number()).ok_or_else(|| not_found(id))
            }
            BlockId::Number(tag) => self.sealed_number(tag).ok_or_else(|| not_found(id)),
        }
    }
}

/// Seconds since the epoch.
pub(crate) fn now_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// No block answers to the id.
pub(crate) fn not_found(id: BlockId) -> RpcError {
    RpcError::BlockNotFound(match id {
        BlockId::Hash(hash) => format!("hash {}", hash.block_hash),
        BlockId::Number(BlockNumberOrTag::Number(number)) => format!("{number:#x}"),
        BlockId::Number(tag) => tag.to_string(),
    })
}

/// No block has the hash.
pub(crate) fn hash_not_found(hash: B256) -> RpcError {
    not_found(hash.into())
}

impl From<ChainError> for RpcError {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::UnknownBlock(number) => Self::BlockNotFound(format!("{number:#x}")),
            ChainError::UnknownHash(hash) => hash_not_found(hash),
            ChainError::StateUnavailable(_) | ChainError::VersionGone(_) => Self::Pruned(error.to_string()),
            error => Self::internal(error),
        }
    }
}

impl From<PastReadError> for RpcError {
    fn from(error: PastReadError) -> Self {
        match error {
            PastReadError::History(error) => Self::internal(error),
            error => Self::Pruned(error.to_string()),
        }
    }
}
