//! A block producer in the smallest form: executes what the pool has, when the test says so.

use std::sync::Arc;

use alloy_primitives::B256;
use rapid_chain::{BlockAssembly, Chain, ChainConfig, Driver};
use rapid_chainspec::ChainSpec;
use rapid_evm::{BlockExecutor, StateDb};
use rapid_pool::{HeadInfo, Pool, PoolConfig, ReadyQueue};
use rapid_primitives::{
    BlockClose, BlockPosition, DiffBuilder, MiniBlock, MiniBlockBody, MiniBlockHeader, MiniBlockNumber,
};
use rapid_state::{Draft, ReadSet};

/// Whether a mini-block is the last of its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Open,
    Close,
}

pub(crate) struct Producer {
    pub(crate) chain: Chain,
    pub(crate) pool: Pool,
    driver: Driver,
    queue: ReadyQueue,
    assembly: BlockAssembly,
    last: (MiniBlockNumber, B256, u64),
    open: Option<OpenBlock>,
}

struct OpenBlock {
    executor: BlockExecutor<Draft, Chain>,
    position: BlockPosition,
}

impl Producer {
    /// A development chain at its genesis.
    pub(crate) fn new(dir: &std::path::Path) -> Self {
        let opened = Chain::open(Arc::new(ChainSpec::dev()), &ChainConfig::new(dir.to_owned())).unwrap();
        let chain = opened.chain;
        let pool = Pool::new(PoolConfig::new(chain.spec().chain_id()), &head(&chain));
        let queue = pool.ready_queue().unwrap();
        let last = (
            opened.tip.mini_block,
            opened.tip.mini_block_hash,
            opened.tip.time_us,
        );
        Self {
            chain,
            pool,
            driver: opened.driver,
            queue,
            assembly: opened.tip.assembly,
            last,
            open: None,
        }
    }

    /// Executes everything that is ready, publishes it, and seals the block if told so.
    pub(crate) fn mini_block(&mut self, end: End) {
        let view = self.chain.view();
        let mut diff = DiffBuilder::new();
        let mut open = self.open.take().unwrap_or_else(|| self.open_block(&mut diff));
        let mut body = MiniBlockBody::default();
        while let Some(pooled) = self.queue.pop() {
            let executed = open
                .executor
                .execute(pooled.transaction(), pooled.sender())
                .unwrap();
            let index = open.position.transaction_index + body.transactions.len() as u64 + 1;
            diff.push(u32::try_from(index).unwrap(), &executed.changes);
            body.transactions.push(pooled.transaction().clone());
            body.senders.push(pooled.sender());
            body.receipts.push(executed.receipt);
        }
        let close = (end == End::Close).then(|| {
            let ended = open.executor.finish(Some(&[]), &[]).unwrap();
            let index = open.position.transaction_index + body.transactions.len() as u64 + 1;
            diff.push(u32::try_from(index).unwrap(), &ended.changes);
            BlockClose {
                withdrawals: Some(Vec::new()),
                requests: ended.requests,
                ..BlockClose::default()
            }
        });
        body.diff = diff.finish();
        let header = MiniBlockHeader {
            number: self.last.0.next(),
            parent_hash: self.last.1,
            time_us: self.last.2 + 1,
            environment: open.executor.environment().clone(),
            block_parent_hash: Some(view.head.hash),
            position: open.position,
            close,
            rewind: None,
            body_hash: B256::ZERO,
        };
        let sealed = Arc::new(MiniBlock { header, body }.seal());
        self.last = (sealed.number(), sealed.hash(), sealed.header().time_us);
        let changes = sealed.body().diff.collapse();
        let version = self.chain.state().commit(&ReadSet::new(), &changes).unwrap();
        self.driver.append(&sealed).unwrap();
        self.driver.wait_announceable(sealed.number()).unwrap();
        self.driver.publish(&sealed, version);
        self.pool.on_mini_block(&sealed);
        let after = self.chain.state().published();
        self.assembly.push(sealed.clone(), after).unwrap();
        if end == End::Close {
            let finished = self.assembly.finish(self.chain.spec(), version).unwrap();
            self.driver.seal(finished).unwrap();
            self.pool.on_head(&head(&self.chain));
        } else {
            self.open = Some(OpenBlock {
                position: sealed.position_after(),
                ..open
            });
        }
    }

    fn open_block(&self, diff: &mut DiffBuilder) -> OpenBlock {
        let view = self.chain.view();
        let environment = self.chain.simulation_environment(&view, now()).unwrap();
        let database = StateDb::new(Draft::begin(view.state.clone()), self.chain.clone());
        let spec = self.chain.spec().clone();
        let mut executor = BlockExecutor::new(spec, environment, database, self.chain.compiler());
        diff.push(0, &executor.begin().unwrap());
        diff.push(0, &executor.store_parent_hash(view.head.hash).unwrap());
        OpenBlock {
            executor,
            position: BlockPosition::default(),
        }
    }
}

fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn head(chain: &Chain) -> HeadInfo {
    let environment = chain.simulation_environment(&chain.view(), now()).unwrap();
    HeadInfo {
        number: environment.number,
        timestamp: environment.timestamp,
        base_fee: environment.base_fee_per_gas.unwrap(),
        gas_limit: environment.gas_limit,
        spec: alloy_evm::spec_by_timestamp_and_block_number(
            &**chain.spec(),
            environment.timestamp,
            environment.number,
        ),
    }
}
