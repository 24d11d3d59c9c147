//! Transactions and receipts by hash and by place.

use std::sync::Arc;

use alloy_eips::{BlockId, BlockNumberOrTag, eip2718::Encodable2718};
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth::{Index, TransactionReceipt};
use jsonrpsee::{core::RpcResult as Answer, proc_macros::rpc};
use rapid_chain::TransactionAt;

use super::context::{BlockRef, EthContext};
use crate::{
    convert::{self, RpcTransaction},
    error::RpcResult,
};

/// Transaction queries.
#[rpc(server, namespace = "eth")]
pub trait EthTransactions {
    /// A transaction, published or pooled.
    #[method(name = "getTransactionByHash")]
    fn transaction_by_hash(&self, hash: B256) -> Answer<Option<RpcTransaction>>;

    /// Its EIP-2718 encoding.
    #[method(name = "getRawTransactionByHash")]
    fn raw_transaction_by_hash(&self, hash: B256) -> Answer<Option<Bytes>>;

    /// A transaction by its place.
    #[method(name = "getTransactionByBlockHashAndIndex")]
    async fn transaction_by_block_hash(&self, hash: B256, index: Index) -> Answer<Option<RpcTransaction>>;

    /// A transaction by its place.
    #[method(name = "getTransactionByBlockNumberAndIndex")]
    async fn transaction_by_block_number(
        &self,
        number: BlockNumberOrTag,
        index: Index,
    ) -> Answer<Option<RpcTransaction>>;

    /// Its EIP-2718 encoding.
    #[method(name = "getRawTransactionByBlockHashAndIndex")]
    async fn raw_transaction_by_block_hash(&self, hash: B256, index: Index) -> Answer<Option<Bytes>>;

    /// Its EIP-2718 encoding.
    #[method(name = "getRawTransactionByBlockNumberAndIndex")]
    async fn raw_transaction_by_block_number(
        &self,
        number: BlockNumberOrTag,
        index: Index,
    ) -> Answer<Option<Bytes>>;

    /// The receipt of a published transaction. Before its block is sealed, `blockHash` is zero.
    #[method(name = "getTransactionReceipt")]
    fn transaction_receipt(&self, hash: B256) -> Answer<Option<TransactionReceipt>>;
}

/// Answers [`EthTransactionsServer`].
#[derive(Clone, Debug)]
pub(crate) struct TransactionMethods(pub(crate) Arc<EthContext>);

impl TransactionMethods {
    fn by_hash(&self, hash: B256) -> RpcResult<Option<RpcTransaction>> {
        // The pool first: what it forgets in between is published by then.
        let pooled = self.0.pool.get(&hash);
        if let Some(included) = self.0.chain.transaction(hash)? {
            return Ok(Some(convert::included_transaction(included)));
        }
        Ok(pooled.map(|pooled| convert::pooled_transaction(&pooled)))
    }

    fn raw_by_hash(&self, hash: B256) -> RpcResult<Option<Bytes>> {
        if let Some(pooled) = self.0.pool.get(&hash) {
            return Ok(Some(pooled.encoded().clone()));
        }
        Ok(self.0.chain.transaction(hash)?.map(|included| encoded(&included)))
    }

    fn receipt(&self, hash: B256) -> RpcResult<Option<TransactionReceipt>> {
        let included = self.0.chain.transaction(hash)?;
        Ok(included.map(|included| convert::included_receipt(included, self.0.chain.spec())))
    }

    async fn at(&self, id: BlockId, index: Index) -> RpcResult<Option<TransactionAt>> {
        let found = self.0.heavy(move |context, _| {
            Ok(match context.block_ref(id)? {
                Some(BlockRef::Sealed(block)) => TransactionAt::in_block(&block, index.0),
                Some(BlockRef::Open(open)) => context
                    .chain
                    .transaction_by_index(open.number(), index.0 as u64)?,
                None => None,
            })
        });
        found.await
    }
}

fn encoded(included: &TransactionAt) -> Bytes {
    included.transaction.encoded_2718().into()
}

#[jsonrpsee::core::async_trait]
impl EthTransactionsServer for TransactionMethods {
    fn transaction_by_hash(&self, hash: B256) -> Answer<Option<RpcTransaction>> {
        Ok(self.by_hash(hash)?)
    }

    fn raw_transaction_by_hash(&self, hash: B256) -> Answer<Option<Bytes>> {
        Ok(self.raw_by_hash(hash)?)
    }

    async fn transaction_by_block_hash(&self, hash: B256, index: Index) -> Answer<Option<RpcTransaction>> {
        Ok(self
            .at(hash.into(), index)
            .await?
            .map(convert::included_transaction))
    }

    async fn transaction_by_block_number(
        &self,
        number: BlockNumberOrTag,
        index: Index,
    ) -> Answer<Option<RpcTransaction>> {
        Ok(self
            .at(number.into(), index)
            .await?
            .map(convert::included_transaction))
    }

    async fn raw_transaction_by_block_hash(&self, hash: B256, index: Index) -> Answer<Option<Bytes>> {
        Ok(self.at(hash.into(), index).await?.as_ref().map(encoded))
    }

    async fn raw_transaction_by_block_number(
        &self,
        number: BlockNumberOrTag,
        index: Index,
    ) -> Answer<Option<Bytes>> {
        Ok(self.at(number.into(), index).await?.as_ref().map(encoded))
    }

    fn transaction_receipt(&self, hash: B256) -> Answer<Option<TransactionReceipt>> {
        Ok(self.receipt(hash)?)
    }
}
