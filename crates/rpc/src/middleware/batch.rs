//! Answers the entries of a batch, submitting raw transactions together.
//!
//! jsonrpsee answers entry after entry. A batch of a hundred `eth_sendRawTransaction` then recovers a hundred
//! signatures one after another on one thread. Here every run of them goes to [`SubmitRaw`] at once, which recovers
//! over several workers and submits in order. Entries between the runs are answered between them, so that a batch
//! still means its entries in order.

use std::{borrow::Cow, future::Future, pin::Pin, sync::Arc, time::Instant};

use alloy_primitives::{B256, Bytes};
use jsonrpsee::{
    BatchResponseBuilder, MethodResponse, ResponsePayload,
    core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification, RpcServiceT},
    types::{ErrorObjectOwned, Params, Request},
};
use tower::Layer;

use super::metered::CallMetrics;

const SEND_RAW: &str = "eth_sendRawTransaction";

/// Answers to the transactions of a batch, in order.
pub type SubmitAnswers = Pin<Box<dyn Future<Output = Vec<Result<B256, ErrorObjectOwned>>> + Send>>;

/// Takes encoded signed transactions into the pool.
pub trait SubmitRaw: Send + Sync + 'static {
    /// Recovers all senders together, then submits in order. One answer per transaction, in order.
    fn submit_all(self: Arc<Self>, transactions: Vec<Bytes>) -> SubmitAnswers;
}

/// Wraps a service so that its batches are answered here.
#[derive(Clone)]
pub(crate) struct BatchLayer {
    /// `None` where the transport does not serve `eth_sendRawTransaction`.
    submit: Option<Arc<dyn SubmitRaw>>,
    metrics: CallMetrics,
    max_response_bytes: usize,
}

impl BatchLayer {
    pub(crate) fn new(
        submit: Option<Arc<dyn SubmitRaw>>,
        metrics: CallMetrics,
        max_response_bytes: usize,
    ) -> Self {
        Self {
            submit,
            metrics,
            max_response_bytes,
        }
    }
}

impl<S> Layer<S> for BatchLayer {
    type Service = BatchService<S>;

    fn layer(&self, inner: S) -> BatchService<S> {
        BatchService {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service of [`BatchLayer`].
#[derive(Clone)]
pub(crate) struct BatchService<S> {
    inner: S,
    layer: BatchLayer,
}

impl<S> RpcServiceT for BatchService<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Send
        + Sync
        + Clone
        + 'static,
{
    type MethodResponse = MethodResponse;
    type BatchResponse = MethodResponse;
    type NotificationResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.call(request)
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.clone();
        async move {
            let mut answers = Answers::new(service.layer.max_response_bytes);
            let mut run = Run::default();
            for entry in batch {
                let entry = match service.take_into_run(entry, &mut run) {
                    None => continue,
                    Some(entry) => entry,
                };
                if let Err(too_big) = service.finish_run(&mut run, &mut answers).await {
                    return too_big;
                }
                if let Err(too_big) = service.answer_one(entry, &mut answers).await {
                    return too_big;
                }
            }
            match service.finish_run(&mut run, &mut answers).await {
                Ok(()) => answers.finish(),
                Err(too_big) => too_big,
            }
        }
    }

    fn notification<'a>(&self, n: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(n)
    }
}

/// Consecutive raw transactions of a batch with the ids of their requests.
#[derive(Default)]
struct Run<'a> {
    requests: Vec<Request<'a>>,
    transactions: Vec<Bytes>,
}

struct Answers {
    builder: BatchResponseBuilder,
    got_notification: bool,
}

impl Answers {
    fn new(max_response_bytes: usize) -> Self {
        Self {
            builder: BatchResponseBuilder::new_with_limit(max_response_bytes),
            got_notification: false,
        }
    }

    fn finish(self) -> MethodResponse {
        if self.builder.is_empty() && self.got_notification {
            MethodResponse::notification()
        } else {
            MethodResponse::from_batch(self.builder.finish())
        }
    }
}

type Entry<'a> = Result<BatchEntry<'a>, BatchEntryErr<'a>>;

impl<S> BatchService<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Send
        + Sync
        + Clone
        + 'static,
{
    /// Adds a raw transaction to the run; gives back every other entry.
    fn take_into_run<'a>(&self, entry: Entry<'a>, run: &mut Run<'a>) -> Option<Entry<'a>> {
        if self.layer.submit.is_some()
            && let Ok(BatchEntry::Call(request)) = &entry
            && request.method == SEND_RAW
            && let Some(transaction) = raw_transaction(request)
            && let Ok(BatchEntry::Call(request)) = entry
        {
            run.transactions.push(transaction);
            run.requests.push(request);
            return None;
        }
        Some(entry)
    }

    async fn finish_run(&self, run: &mut Run<'_>, answers: &mut Answers) -> Result<(), MethodResponse> {
        let Run {
            requests,
            transactions,
        } = std::mem::take(run);
        let Some(submit) = self.layer.submit.clone().filter(|_| !requests.is_empty()) else {
            return Ok(());
        };
        let started = Instant::now();
        metrics::histogram!("rapid_reth_rpc_batch_transactions").record(transactions.len() as f64);
        let results = submit.submit_all(transactions).await;
        for (request, result) in requests.into_iter().zip(results) {
            let Request { id, extensions, .. } = request;
            self.layer.metrics.record(SEND_RAW, started, result.is_ok());
            let response = match result {
                Ok(hash) => MethodResponse::response(
                    id,
                    ResponsePayload::success(hash),
                    self.layer.max_response_bytes,
                ),
                Err(error) => MethodResponse::error(id, error),
            };
            answers.builder.append(response.with_extensions(extensions))?;
        }
        Ok(())
    }

    async fn answer_one(&self, entry: Entry<'_>, answers: &mut Answers) -> Result<(), MethodResponse> {
        match entry {
            Ok(BatchEntry::Call(request)) => {
                let response = self.inner.call(request).await;
                answers.builder.append(response)
            }
            Ok(BatchEntry::Notification(notification)) => {
                answers.got_notification = true;
                self.inner.notification(notification).await;
                Ok(())
            }
            Err(invalid) => {
                let (error, id) = invalid.into_parts();
                answers.builder.append(MethodResponse::error(id, error))
            }
        }
    }
}

/// The one parameter; `None` leaves the entry to the method itself, which words the error.
fn raw_transaction(request: &Request<'_>) -> Option<Bytes> {
    let params = request.params.as_ref().map(Cow::as_ref)?;
    Params::new(Some(params.get())).one().ok()
}

#[cfg(test)]
mod tests {
    use jsonrpsee::{
        Methods, RpcModule, core::middleware::RpcServiceBuilder, server::BatchRequestConfig, types::ErrorCode,
    };
    use parking_lot::Mutex;

    use super::*;
    use crate::ipc::{CallContext, answer_message};

    /// Notes the runs it was given; a transaction of one zero byte fails.
    #[derive(Default)]
    struct Recorder(Mutex<Vec<Vec<Bytes>>>);

    impl SubmitRaw for Recorder {
        fn submit_all(self: Arc<Self>, transactions: Vec<Bytes>) -> SubmitAnswers {
            let answers = transactions
                .iter()
                .map(|raw| match raw.as_ref() {
                    [0] => Err(ErrorObjectOwned::owned(-32000, "nonce too low", None::<()>)),
                    raw => Ok(B256::left_padding_from(raw)),
                })
                .collect();
            self.0.lock().push(transactions);
            Box::pin(std::future::ready(answers))
        }
    }

    fn module() -> RpcModule<()> {
        let mut module = RpcModule::new(());
        module
            .register_method::<Result<String, ErrorObjectOwned>, _>("eth_chainId", |_, _, _| {
                Ok("0x539".into())
            })
            .unwrap();
        module
            .register_method::<Result<String, ErrorObjectOwned>, _>(SEND_RAW, |_, _, _| {
                Err(ErrorCode::InvalidParams.into())
            })
            .unwrap();
        module
    }

    async fn answer(recorder: &Arc<Recorder>, batch: &str) -> serde_json::Value {
        let methods = Methods::from(module());
        let layer = BatchLayer::new(
            Some(recorder.clone() as Arc<dyn SubmitRaw>),
            CallMetrics::new(&methods),
            1 << 20,
        );
        let service = RpcServiceBuilder::new()
            .layer(layer)
            .service(CallContext::for_test(methods));
        let response = answer_message(&service, batch.as_bytes(), BatchRequestConfig::Limit(100)).await;
        serde_json::from_str(response.unwrap().get()).unwrap()
    }

    #[tokio::test]
    async fn runs_are_submitted_together_and_every_entry_is_answered_in_place() {
        let recorder = Arc::new(Recorder::default());
        let batch = r#"[
            {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x01"]},
            {"jsonrpc":"2.0","id":2,"method":"eth_sendRawTransaction","params":["0x00"]},
            {"jsonrpc":"2.0","id":"c","method":"eth_chainId"},
            7,
            {"jsonrpc":"2.0","id":3,"method":"eth_sendRawTransaction","params":["0x02"]},
            {"jsonrpc":"2.0","id":4,"method":"eth_sendRawTransaction","params":["nothex"]}
        ]"#;
        let answers = answer(&recorder, batch).await;
        let runs: Vec<Vec<Bytes>> = recorder.0.lock().clone();
        assert_eq!(
            runs,
            [vec![Bytes::from([1]), Bytes::from([0])], vec![Bytes::from([2])]]
        );
        let codes: Vec<_> = answers
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a["error"]["code"].as_i64())
            .collect();
        assert_eq!(
            codes,
            [None, Some(-32000), None, Some(-32600), None, Some(-32602)]
        );
        assert_eq!(
            answers[0]["result"],
            serde_json::json!(B256::left_padding_from(&[1]))
        );
        assert_eq!(answers[2]["result"], "0x539");
        assert_eq!(answers[4]["id"], 3);
    }

    #[tokio::test]
    async fn an_empty_batch_is_invalid_and_nothing_is_submitted() {
        let recorder = Arc::new(Recorder::default());
        assert_eq!(answer(&recorder, "[]").await["error"]["code"], -32600);
        assert!(recorder.0.lock().is_empty());
    }
}
