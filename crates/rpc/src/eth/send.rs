//! Submitting transactions, and waiting for their receipts.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth::TransactionReceipt;
use jsonrpsee::{core::RpcResult as Answer, proc_macros::rpc, types::ErrorObjectOwned};
use rapid_pool::{Origin, PoolError, PooledTransaction, RECOVERY_CHUNK};
use serde::{Deserialize, Deserializer};
use tokio::sync::Semaphore;

use super::context::EthContext;
use crate::{
    convert,
    error::{RpcError, RpcResult},
    middleware::batch::{SubmitAnswers, SubmitRaw},
};

/// How long `realtime_sendRawTransaction` waits.
const REALTIME_TIMEOUT: Duration = Duration::from_secs(10);

/// Submission.
#[rpc(server, namespace = "eth")]
pub trait EthSend {
    /// Submits a signed transaction; answers its hash.
    #[method(name = "sendRawTransaction")]
    async fn send_raw(&self, transaction: Bytes) -> Answer<B256>;

    /// Submits a signed transaction and answers its receipt (EIP-7966).
    #[method(name = "sendRawTransactionSync")]
    async fn send_raw_sync(
        &self,
        transaction: Bytes,
        timeout: Option<Milliseconds>,
    ) -> Answer<TransactionReceipt>;
}

/// Submission in the dialect of realtime chains.
#[rpc(server, namespace = "realtime")]
pub trait RealtimeSend {
    /// Submits a signed transaction and answers its receipt, or an error after 10 seconds.
    #[method(name = "sendRawTransaction")]
    async fn realtime_send_raw(&self, transaction: Bytes) -> Answer<TransactionReceipt>;
}

/// A time in milliseconds: a number, or a hexadecimal quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Milliseconds(pub(crate) u64);

impl<'de> Deserialize<'de> for Milliseconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        alloy_serde::quantity::deserialize(deserializer).map(Self)
    }
}

/// Answers [`EthSendServer`] and [`RealtimeSendServer`], and takes the raw transactions of batches.
#[derive(Clone, Debug)]
pub(crate) struct SendMethods {
    context: Arc<EthContext>,
    /// Synchronous sends that may wait at a time.
    waiting: Arc<Semaphore>,
}

impl SendMethods {
    pub(crate) fn new(context: Arc<EthContext>) -> Self {
        let waiting = Arc::new(Semaphore::new(context.config.sync_sends_max));
        Self { context, waiting }
    }

    /// Decodes, recovers and submits on the calling task: a hop to another thread costs more than the signature.
    fn submit(&self, raw: Bytes) -> RpcResult<B256> {
        let _announced = self.context.pool.ingress();
        let transaction = self.context.pool.decode_bytes_and_recover(raw)?;
        self.context.submit(transaction)
    }

    async fn submit_and_wait(&self, raw: Bytes, timeout: Duration) -> RpcResult<TransactionReceipt> {
        let _place = self.waiting.try_acquire().map_err(|_| RpcError::Busy)?;
        let announced = self.context.pool.ingress();
        let transaction = self.context.pool.decode_bytes_and_recover(raw)?;
        self.context.check_ready(&transaction)?;
        let hash = transaction.hash();
        // Before it is submitted: it may be executed and published before `submit` returns.
        let waiter = self.context.chain.wait_for(hash);
        self.context.submit(transaction)?;
        drop(announced);
        let published = match self.context.chain.transaction(hash)? {
            Some(published) => published,
            None => match tokio::time::timeout(timeout, waiter).await {
                Ok(Some(included)) => self.context.chain.locate(&included),
                Ok(None) => return Err(RpcError::Internal("the node is shutting down".to_owned())),
                Err(_) => return Err(RpcError::SyncTimeout { hash, timeout }),
            },
        };
        Ok(convert::included_receipt(published, self.context.chain.spec()))
    }

    fn sync_timeout(&self, requested: Option<Milliseconds>) -> Duration {
        let max = self.context.config.sync_timeout;
        match requested {
            Some(Milliseconds(0)) | None => max,
            Some(Milliseconds(requested)) => Duration::from_millis(requested).min(max),
        }
    }
}

impl EthContext {
    /// Submits a local transaction.
    pub(crate) fn submit(&self, transaction: PooledTransaction) -> RpcResult<B256> {
        let view = self.chain.view();
        let head = self.pool_head(&view)?;
        Ok(self.pool.submit(Origin::Local, transaction, &view.state, &head)?)
    }

    /// Whether a transaction could run as soon as it is submitted; what cannot, must not enter the pool for a
    /// synchronous send (EIP-7966).
    fn check_ready(&self, transaction: &PooledTransaction) -> RpcResult<()> {
        let expected = self.nonce_at(&transaction.sender(), Some(alloy_eips::BlockId::pending()))?;
        if transaction.nonce() > expected {
            return Err(RpcError::SyncNonceGap { expected });
        }
        let base_fee = self.pool_head(&self.chain.view())?.base_fee;
        if transaction.fee_cap() < u128::from(base_fee) {
            return Err(RpcError::SyncNotReady {
                hash: transaction.hash(),
                reason: format!(
                    "max fee per gas {} is below the base fee {base_fee}",
                    transaction.fee_cap()
                ),
            });
        }
        Ok(())
    }
}

#[jsonrpsee::core::async_trait]
impl EthSendServer for SendMethods {
    async fn send_raw(&self, transaction: Bytes) -> Answer<B256> {
        Ok(self.submit(transaction)?)
    }

    async fn send_raw_sync(
        &self,
        transaction: Bytes,
        timeout: Option<Milliseconds>,
    ) -> Answer<TransactionReceipt> {
        Ok(self
            .submit_and_wait(transaction, self.sync_timeout(timeout))
            .await?)
    }
}

#[jsonrpsee::core::async_trait]
impl RealtimeSendServer for SendMethods {
    async fn realtime_send_raw(&self, transaction: Bytes) -> Answer<TransactionReceipt> {
        let timeout = REALTIME_TIMEOUT.min(self.context.config.sync_timeout);
        match self.submit_and_wait(transaction, timeout).await {
            Err(RpcError::SyncTimeout { .. }) => Err(RpcError::RealtimeExpired.into()),
            result => Ok(result?),
        }
    }
}

impl SubmitRaw for SendMethods {
    fn submit_all(self: Arc<Self>, transactions: Vec<Bytes>) -> SubmitAnswers {
        let short = transactions.len() <= RECOVERY_CHUNK;
        let work = move || {
            let _announced = self.context.pool.ingress();
            let answers = self.context.submit_batch(transactions);
            answers
                .into_iter()
                .map(|answer| answer.map_err(|error| RpcError::from(error).into()))
                .collect()
        };
        if short {
            // One thread recovers it anyway.
            return Box::pin(std::future::ready(work()));
        }
        Box::pin(run_batch(work))
    }
}

impl EthContext {
    fn submit_batch(&self, raw: Vec<Bytes>) -> Vec<Result<B256, PoolError>> {
        let count = raw.len();
        let recovered = match self.recovery.recover_batch(raw) {
            Ok(recovered) => recovered,
            Err(busy) => return vec![Err(busy); count],
        };
        let mut answers = Vec::with_capacity(count);
        let mut valid = Vec::with_capacity(count);
        for result in recovered {
            match result {
                Ok(transaction) => {
                    // Replaced below, in order, by what the pool says.
                    answers.push(Ok(transaction.hash()));
                    valid.push(transaction);
                }
                Err(error) => answers.push(Err(error)),
            }
        }
        let view = self.chain.view();
        let head = match self.pool_head(&view) {
            Ok(head) => head,
            Err(error) => return vec![Err(PoolError::StateUnavailable(error.to_string())); count],
        };
        let mut submitted = self
            .pool
            .submit_batch(Origin::Local, valid, &view.state, &head)
            .into_iter();
        for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
            *answer = submitted.next().expect("the pool answers every transaction");
        }
        answers
    }
}

type BatchAnswers = Vec<Result<B256, ErrorObjectOwned>>;

/// Recovery of a long batch takes milliseconds and waits for its workers, so it runs beside the runtime.
async fn run_batch(work: impl FnOnce() -> BatchAnswers + Send + 'static) -> BatchAnswers {
    match tokio::task::spawn_blocking(work).await {
        Ok(answers) => answers,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
