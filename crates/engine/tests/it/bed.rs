//! An engine with a pool, and what a consensus client does to it.

use std::sync::Arc;

use alloy_primitives::B256;
use alloy_rpc_types_engine::{
    ForkchoiceState, ForkchoiceUpdated, PayloadAttributes, PayloadStatus, PayloadStatusEnum,
};
use rapid_chain::{Chain, ExecutionMode};
use rapid_chainspec::ChainSpec;
use rapid_engine::{Engine, EngineError, ForkchoiceUpdate, ForkchoiceVersion, NewPayload};
use rapid_pool::{HeadInfo, Pool, PoolConfig};
use rapid_primitives::Block;
use tokio::runtime::Runtime;

use crate::maker::{hash, new_payload, open};

pub(crate) struct Bed {
    pub(crate) chain: Chain,
    pub(crate) pool: Pool,
    pub(crate) engine: Engine,
    runtime: Runtime,
    _directory: tempfile::TempDir,
}

/// A status without the wording of its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Valid(B256),
    Invalid(Option<B256>),
    Syncing,
}

impl From<PayloadStatus> for Status {
    fn from(status: PayloadStatus) -> Self {
        match (status.status, status.latest_valid_hash) {
            (PayloadStatusEnum::Valid, Some(hash)) => Self::Valid(hash),
            (PayloadStatusEnum::Invalid { .. }, hash) => Self::Invalid(hash),
            (PayloadStatusEnum::Syncing, None) => Self::Syncing,
            other => panic!("{other:?}"),
        }
    }
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self::on(Arc::new(ChainSpec::dev()), ExecutionMode::Sequential)
    }

    /// Of another chain, whose blocks are executed in this way.
    pub(crate) fn on(spec: Arc<ChainSpec>, execution: ExecutionMode) -> Self {
        let (opened, directory) = open(spec, execution);
        let chain = opened.chain.clone();
        let environment = chain.simulation_environment(&chain.view(), 0).unwrap();
        let head = HeadInfo::of(chain.spec(), &environment);
        let pool = Pool::new(PoolConfig::new(chain.spec().chain_id()), &head);
        Self {
            engine: Engine::start(opened, pool.clone()).unwrap(),
            chain,
            pool,
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            _directory: directory,
        }
    }

    pub(crate) fn try_payload(&self, payload: NewPayload) -> Result<PayloadStatus, EngineError> {
        self.runtime.block_on(self.engine.handle().new_payload(payload))
    }

    pub(crate) fn payload(&self, payload: NewPayload) -> Status {
        self.try_payload(payload).unwrap().into()
    }

    /// Sends a block as `engine_newPayloadV4`.
    pub(crate) fn send(&self, block: &Block) -> Status {
        self.payload(new_payload(block))
    }

    /// Sends blocks that must be valid.
    pub(crate) fn send_valid(&self, blocks: &[Block]) {
        for block in blocks {
            assert_eq!(self.send(block), Status::Valid(hash(block)));
        }
    }

    pub(crate) fn try_choose(
        &self,
        state: ForkchoiceState,
        attributes: Option<PayloadAttributes>,
    ) -> Result<ForkchoiceUpdated, EngineError> {
        let update = ForkchoiceUpdate {
            version: ForkchoiceVersion::V3,
            state,
            attributes,
        };
        self.runtime
            .block_on(self.engine.handle().forkchoice_updated(update))
    }

    /// Makes a block the head; safe and finalized stay.
    pub(crate) fn choose(&self, head: B256) -> Status {
        self.choose_all(head, B256::ZERO, B256::ZERO).unwrap()
    }

    pub(crate) fn choose_all(&self, head: B256, safe: B256, finalized: B256) -> Result<Status, EngineError> {
        let state = ForkchoiceState {
            head_block_hash: head,
            safe_block_hash: safe,
            finalized_block_hash: finalized,
        };
        let updated = self.try_choose(state, None)?;
        assert_eq!(updated.payload_id, None);
        Ok(updated.payload_status.into())
    }

    pub(crate) fn head(&self) -> B256 {
        self.chain.view().head.hash
    }

    /// The safe and the finalized block.
    pub(crate) fn points(&self) -> [Option<B256>; 2] {
        let forkchoice = self.engine.handle().forkchoice();
        [forkchoice.safe(), forkchoice.finalized()].map(|block| block.map(|block| block.hash))
    }
}
