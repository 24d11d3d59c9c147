//! Typed JSON-RPC for everything outside the timed part: set-up, block counting, checks.

use crate::transport::{Connection, Endpoint};
use alloy_primitives::{Address, B256, U64};
use eyre::{OptionExt, WrapErr, bail};
use serde::Deserialize;
use serde_json::{Value, json};

/// Requests per batch outside the timed part. Every node in use takes 100.
const BATCH_LEN: usize = 100;

/// JSON-RPC code of an unknown method.
const METHOD_NOT_FOUND: i64 = -32601;

/// A connection that speaks in methods and values.
#[derive(Debug)]
pub(crate) struct RpcClient {
    connection: Connection,
}

/// The part of a block that counting needs.
#[derive(Debug, Deserialize)]
pub(crate) struct BlockSummary {
    /// Seconds since the epoch.
    pub(crate) timestamp: U64,
    /// Hashes of the block's transactions, in order.
    pub(crate) transactions: Vec<B256>,
}

/// The part of a receipt that set-up checks.
#[derive(Debug, Deserialize)]
pub(crate) struct ReceiptSummary {
    /// 1 for success.
    pub(crate) status: U64,
}

#[derive(Debug, Deserialize)]
struct Answer {
    id: Option<usize>,
    #[serde(default)]
    result: Value,
    error: Option<AnswerError>,
}

/// The error object of an answer.
#[derive(Debug, Deserialize)]
pub(crate) struct AnswerError {
    /// JSON-RPC code.
    pub(crate) code: i64,
    /// Message for people.
    pub(crate) message: String,
}

impl RpcClient {
    /// Connects to `endpoint`.
    ///
    /// # Errors
    /// If the endpoint does not accept the connection.
    pub(crate) async fn open(endpoint: &Endpoint) -> eyre::Result<Self> {
        Ok(Self {
            connection: Connection::open(endpoint).await?,
        })
    }

    /// Calls `method` and returns its result or its error object.
    async fn ask(&mut self, method: &str, params: Value) -> eyre::Result<Result<Value, AnswerError>> {
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": method, "params": params}).to_string();
        let answer = self
            .connection
            .exchange(body.into())
            .await
            .wrap_err_with(|| method.to_owned())?;
        let answer: Answer =
            serde_json::from_slice(&answer).wrap_err_with(|| format!("answer to {method}"))?;
        Ok(answer.error.map_or(Ok(answer.result), Err))
    }

    /// Calls `method`.
    ///
    /// # Errors
    /// On a broken connection, an error object, or a result of another shape.
    pub(crate) async fn call<T: for<'a> Deserialize<'a>>(
        &mut self,
        method: &str,
        params: Value,
    ) -> eyre::Result<T> {
        match self.ask(method, params).await? {
            Ok(result) => serde_json::from_value(result).wrap_err_with(|| format!("result of {method}")),
            Err(error) => bail!("{method}: {} ({})", error.message, error.code),
        }
    }

    /// Calls `method` once per element of `params`, in batches, and returns results or errors in the same order.
    ///
    /// # Errors
    /// On a broken connection or an answer that is not a complete batch.
    pub(crate) async fn call_each<T: for<'a> Deserialize<'a>>(
        &mut self,
        method: &str,
        params: &[Value],
    ) -> eyre::Result<Vec<Result<T, AnswerError>>> {
        let mut results = Vec::with_capacity(params.len());
        for chunk in params.chunks(BATCH_LEN) {
            let batch: Vec<_> = chunk
                .iter()
                .enumerate()
                .map(|(id, params)| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
                .collect();
            let body = Value::Array(batch).to_string();
            let answer = self.connection.exchange(body.into()).await?;
            let mut answers: Vec<Answer> =
                serde_json::from_slice(&answer).wrap_err_with(|| format!("batch answer to {method}"))?;
            answers.sort_by_key(|answer| answer.id);
            if answers.len() != chunk.len() {
                bail!("{} answers to {} calls of {method}", answers.len(), chunk.len());
            }
            for answer in answers {
                results.push(match answer.error {
                    Some(error) => Err(error),
                    None => Ok(serde_json::from_value(answer.result)
                        .wrap_err_with(|| format!("result of {method}"))?),
                });
            }
        }
        Ok(results)
    }

    /// Whether the endpoint knows `method`; it is called with a parameter that it must refuse.
    ///
    /// # Errors
    /// On a broken connection.
    pub(crate) async fn knows(&mut self, method: &str) -> eyre::Result<bool> {
        let answer = self.ask(method, json!(["0x00"])).await?;
        Ok(!matches!(
            answer,
            Err(AnswerError {
                code: METHOD_NOT_FOUND,
                ..
            })
        ))
    }

    /// Number of the newest block.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) async fn block_number(&mut self) -> eyre::Result<u64> {
        Ok(self.call::<U64>("eth_blockNumber", json!([])).await?.to())
    }

    /// How many transactions block `number` has.
    ///
    /// # Errors
    /// As [`Self::call`], and if there is no such block.
    pub(crate) async fn transaction_count(&mut self, number: u64) -> eyre::Result<u64> {
        let count: Option<U64> = self
            .call("eth_getBlockTransactionCountByNumber", json!([U64::from(number)]))
            .await?;
        Ok(count.ok_or_eyre("block disappeared")?.to())
    }

    /// Block `number` with transaction hashes.
    ///
    /// # Errors
    /// As [`Self::call`], and if there is no such block.
    pub(crate) async fn block(&mut self, number: u64) -> eyre::Result<BlockSummary> {
        let block: Option<BlockSummary> = self
            .call("eth_getBlockByNumber", json!([U64::from(number), false]))
            .await?;
        block.ok_or_eyre("block disappeared")
    }

    /// Nonces of `accounts` at the head, in order.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) async fn nonces(&mut self, accounts: &[Address]) -> eyre::Result<Vec<u64>> {
        let params: Vec<_> = accounts
            .iter()
            .map(|account| json!([account, "latest"]))
            .collect();
        self.call_each::<U64>("eth_getTransactionCount", &params)
            .await?
            .into_iter()
            .map(|nonce| match nonce {
                Ok(nonce) => Ok(nonce.to()),
                Err(error) => bail!("eth_getTransactionCount: {}", error.message),
            })
            .collect()
    }
}
