//! Blocks, headers, and the receipts of a block.

use std::sync::Arc;

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, U256};
use alloy_rpc_types_eth::{Header, Index, TransactionReceipt};
use jsonrpsee::{core::RpcResult as Answer, proc_macros::rpc};

use super::context::{BlockRef, EthContext};
use crate::{
    convert::{self, Place, RpcBlock, TransactionDetail},
    error::RpcResult,
};

/// Block queries.
#[rpc(server, namespace = "eth")]
pub trait EthBlocks {
    /// Number of the newest sealed block.
    #[method(name = "blockNumber")]
    fn block_number(&self) -> Answer<U256>;

    /// A sealed block.
    #[method(name = "getBlockByHash")]
    async fn block_by_hash(&self, hash: B256, full: bool) -> Answer<Option<RpcBlock>>;

    /// A block; `latest` is the newest sealed one, `pending` the open one.
    #[method(name = "getBlockByNumber")]
    async fn block_by_number(&self, number: BlockNumberOrTag, full: bool) -> Answer<Option<RpcBlock>>;

    /// A sealed block's header.
    #[method(name = "getHeaderByHash")]
    async fn header_by_hash(&self, hash: B256) -> Answer<Option<Header>>;

    /// A block's header.
    #[method(name = "getHeaderByNumber")]
    async fn header_by_number(&self, number: BlockNumberOrTag) -> Answer<Option<Header>>;

    /// Number of transactions.
    #[method(name = "getBlockTransactionCountByHash")]
    async fn transaction_count_by_hash(&self, hash: B256) -> Answer<Option<U256>>;

    /// Number of transactions.
    #[method(name = "getBlockTransactionCountByNumber")]
    async fn transaction_count_by_number(&self, number: BlockNumberOrTag) -> Answer<Option<U256>>;

    /// All receipts of a block.
    #[method(name = "getBlockReceipts")]
    async fn block_receipts(&self, block: BlockId) -> Answer<Option<Vec<TransactionReceipt>>>;

    /// Number of ommers: none since the merge.
    #[method(name = "getUncleCountByBlockHash")]
    async fn uncle_count_by_hash(&self, hash: B256) -> Answer<Option<U256>>;

    /// Number of ommers: none since the merge.
    #[method(name = "getUncleCountByBlockNumber")]
    async fn uncle_count_by_number(&self, number: BlockNumberOrTag) -> Answer<Option<U256>>;

    /// An ommer.
    #[method(name = "getUncleByBlockHashAndIndex")]
    async fn uncle_by_hash(&self, hash: B256, index: Index) -> Answer<Option<RpcBlock>>;

    /// An ommer.
    #[method(name = "getUncleByBlockNumberAndIndex")]
    async fn uncle_by_number(&self, number: BlockNumberOrTag, index: Index) -> Answer<Option<RpcBlock>>;
}

/// Answers [`EthBlocksServer`].
#[derive(Clone, Debug)]
pub(crate) struct BlockMethods(pub(crate) Arc<EthContext>);

impl BlockMethods {
    /// Reads a block and converts it; beside the runtime, since old blocks come from disk and blocks may be large.
    async fn with_block<T, F>(&self, id: BlockId, convert: F) -> RpcResult<Option<T>>
    where
        F: FnOnce(&EthContext, &BlockRef) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.0
            .heavy(move |context, _| Ok(context.block_ref(id)?.map(|block| convert(context, &block))))
            .await
    }

    async fn block(&self, id: BlockId, detail: TransactionDetail) -> RpcResult<Option<RpcBlock>> {
        // The newest block is asked for all the time and is in memory; without its transactions it is small.
        if detail == TransactionDetail::Hashes && id == BlockId::latest() {
            return Ok(Some(convert::block(&self.0.chain.view().head, detail)));
        }
        self.with_block(id, move |_, block| match block {
            BlockRef::Sealed(block) => convert::block(block, detail),
            BlockRef::Open(open) => convert::open_block(open, detail),
        })
        .await
    }

    async fn header(&self, id: BlockId) -> RpcResult<Option<Header>> {
        self.with_block(id, |_, block| match block {
            BlockRef::Sealed(block) => convert::header(block),
            BlockRef::Open(open) => convert::open_block(open, TransactionDetail::Hashes).header,
        })
        .await
    }

    async fn transaction_count(&self, id: BlockId) -> RpcResult<Option<U256>> {
        self.with_block(id, |_, block| {
            U256::from(match block {
                BlockRef::Sealed(block) => block.body.transactions.len() as u64,
                BlockRef::Open(open) => open.position.transaction_index,
            })
        })
        .await
    }

    async fn uncle_count(&self, id: BlockId) -> RpcResult<Option<U256>> {
        self.with_block(id, |_, block| {
            U256::from(match block {
                BlockRef::Sealed(block) => block.body.ommers.len(),
                BlockRef::Open(_) => 0,
            })
        })
        .await
    }

    async fn uncle(&self, id: BlockId, index: Index) -> RpcResult<Option<RpcBlock>> {
        let uncle = self.with_block(id, move |_, block| match block {
            BlockRef::Sealed(block) => block
                .body
                .ommers
                .get(index.0)
                .map(|header| RpcBlock::uncle_from_header(header.clone())),
            BlockRef::Open(_) => None,
        });
        Ok(uncle.await?.flatten())
    }
}

impl EthContext {
    fn receipts_of(&self, block: &BlockRef) -> Vec<TransactionReceipt> {
        let spec = self.chain.spec();
        match block {
            BlockRef::Open(open) => convert::open_block_receipts(open, spec),
            BlockRef::Sealed(block) => {
                let start = (Place::first_of_block(block), 0);
                convert::receipts(
                    &block.body.transactions,
                    &block.senders,
                    &block.receipts,
                    start,
                    spec,
                )
            }
        }
    }
}

#[jsonrpsee::core::async_trait]
impl EthBlocksServer for BlockMethods {
    fn block_number(&self) -> Answer<U256> {
        Ok(U256::from(self.0.chain.view().head.number()))
    }

    async fn block_by_hash(&self, hash: B256, full: bool) -> Answer<Option<RpcBlock>> {
        Ok(self.block(hash.into(), full.into()).await?)
    }

    async fn block_by_number(&self, number: BlockNumberOrTag, full: bool) -> Answer<Option<RpcBlock>> {
        Ok(self.block(number.into(), full.into()).await?)
    }

    async fn header_by_hash(&self, hash: B256) -> Answer<Option<Header>> {
        Ok(self.header(hash.into()).await?)
    }

    async fn header_by_number(&self, number: BlockNumberOrTag) -> Answer<Option<Header>> {
        Ok(self.header(number.into()).await?)
    }

    async fn transaction_count_by_hash(&self, hash: B256) -> Answer<Option<U256>> {
        Ok(self.transaction_count(hash.into()).await?)
    }

    async fn transaction_count_by_number(&self, number: BlockNumberOrTag) -> Answer<Option<U256>> {
        Ok(self.transaction_count(number.into()).await?)
    }

    async fn block_receipts(&self, block: BlockId) -> Answer<Option<Vec<TransactionReceipt>>> {
        Ok(self.with_block(block, EthContext::receipts_of).await?)
    }

    async fn uncle_count_by_hash(&self, hash: B256) -> Answer<Option<U256>> {
        Ok(self.uncle_count(hash.into()).await?)
    }

    async fn uncle_count_by_number(&self, number: BlockNumberOrTag) -> Answer<Option<U256>> {
        Ok(self.uncle_count(number.into()).await?)
    }

    async fn uncle_by_hash(&self, hash: B256, index: Index) -> Answer<Option<RpcBlock>> {
        Ok(self.uncle(hash.into(), index).await?)
    }

    async fn uncle_by_number(&self, number: BlockNumberOrTag, index: Index) -> Answer<Option<RpcBlock>> {
        Ok(self.uncle(number.into(), index).await?)
    }
}
