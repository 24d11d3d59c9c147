//! `txpool`: what waits in the pool.

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U64};
use jsonrpsee::{core::RpcResult as Answer, proc_macros::rpc};
use rapid_pool::PooledTransaction;
use serde::Serialize;

use crate::{
    convert::{self, RpcTransaction},
    eth::context::EthContext,
};

/// By checksummed sender, then by decimal nonce.
pub(crate) type BySender<T> = BTreeMap<String, BTreeMap<String, T>>;

/// Counts of `txpool_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    /// Executable transactions.
    pub(crate) pending: U64,
    /// Transactions that wait for a nonce, for balance or for a lower base fee.
    pub(crate) queued: U64,
}

/// The two halves of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Halves<T> {
    /// Executable transactions.
    pub(crate) pending: T,
    /// Transactions that wait for a nonce, for balance or for a lower base fee.
    pub(crate) queued: T,
}

/// Pool queries.
#[rpc(server, namespace = "txpool")]
pub trait Txpool {
    /// Counts.
    #[method(name = "status")]
    fn status(&self) -> Answer<Status>;

    /// All transactions.
    #[method(name = "content")]
    async fn content(&self) -> Answer<Halves<BySender<RpcTransaction>>>;

    /// The transactions of one sender, by decimal nonce.
    #[method(name = "contentFrom")]
    fn content_from(&self, from: Address) -> Answer<Halves<BTreeMap<String, RpcTransaction>>>;

    /// All transactions, one line each.
    #[method(name = "inspect")]
    async fn inspect(&self) -> Answer<Halves<BySender<String>>>;
}

/// Answers [`TxpoolServer`].
#[derive(Clone, Debug)]
pub(crate) struct TxpoolMethods(pub(crate) Arc<EthContext>);

#[jsonrpsee::core::async_trait]
impl TxpoolServer for TxpoolMethods {
    fn status(&self) -> Answer<Status> {
        let status = self.0.pool.status();
        Ok(Status {
            pending: U64::from(status.pending),
            queued: U64::from(status.queued),
        })
    }

    async fn content(&self) -> Answer<Halves<BySender<RpcTransaction>>> {
        Ok(self
            .0
            .heavy(|context, _| Ok(context.pooled_by_sender(convert::pooled_transaction)))
            .await?)
    }

    fn content_from(&self, from: Address) -> Answer<Halves<BTreeMap<String, RpcTransaction>>> {
        let content = self.0.pool.content_of(&from);
        let by_nonce = |transactions: &[Arc<PooledTransaction>]| {
            let entry = |pooled: &Arc<PooledTransaction>| {
                (pooled.nonce().to_string(), convert::pooled_transaction(pooled))
            };
            transactions.iter().map(entry).collect()
        };
        Ok(Halves {
            pending: by_nonce(&content.pending),
            queued: by_nonce(&content.queued),
        })
    }

    async fn inspect(&self) -> Answer<Halves<BySender<String>>> {
        Ok(self
            .0
            .heavy(|context, _| Ok(context.pooled_by_sender(summary)))
            .await?)
    }
}

impl EthContext {
    fn pooled_by_sender<T>(&self, describe: impl Fn(&PooledTransaction) -> T) -> Halves<BySender<T>> {
        let content = self.pool.content();
        let by_sender = |transactions: &[Arc<PooledTransaction>]| {
            let mut by_sender = BySender::new();
            for pooled in transactions {
                let sender = by_sender
                    .entry(pooled.sender().to_checksum(None))
                    .or_insert_with(BTreeMap::new);
                sender.insert(pooled.nonce().to_string(), describe(pooled));
            }
            by_sender
        };
        Halves {
            pending: by_sender(&content.pending),
            queued: by_sender(&content.queued),
        }
    }
}

/// `<to>: <value> wei + <gas> gas × <fee cap> wei`, as in geth and reth.
fn summary(pooled: &PooledTransaction) -> String {
    let transaction = pooled.transaction();
    let to = transaction
        .to()
        .map_or_else(|| "contract creation".to_owned(), |to| to.to_checksum(None));
    let (value, gas, price) = (
        transaction.value(),
        transaction.gas_limit(),
        transaction.max_fee_per_gas(),
    );
    format!("{to}: {value} wei + {gas} gas \u{d7} {price} wei")
}
