//! Dispatches calls of one IPC connection to the registered methods.
//!
//! jsonrpsee's own service can only be made by its HTTP server; this one does the same with its public parts, so the
//! layers around it are those of the other transports.

use std::{borrow::Cow, future::Future, sync::Arc};

use jsonrpsee::{
    BatchResponseBuilder, BoundedSubscriptions, ConnectionId, MethodCallback, MethodResponse, MethodSink,
    Methods, SubscriptionState,
    core::{
        middleware::{Batch, BatchEntry, BatchEntryErr, Notification, RpcServiceT},
        server::helpers::prepare_error,
    },
    server::{BatchRequestConfig, IdProvider},
    types::{
        ErrorCode, ErrorObject, Extensions, Id, InvalidRequest, Params, Request,
        error::{
            BATCHES_NOT_SUPPORTED_CODE, BATCHES_NOT_SUPPORTED_MSG, reject_too_big_batch_request,
            reject_too_many_subscriptions,
        },
    },
};
use serde_json::value::RawValue;

/// What the calls of one connection share.
#[derive(Clone, Debug)]
pub(crate) struct CallContext {
    pub(crate) methods: Methods,
    pub(crate) connection: ConnectionId,
    pub(crate) subscriptions: BoundedSubscriptions,
    pub(crate) ids: Arc<dyn IdProvider>,
    /// Where subscriptions send; the writer of the connection reads it.
    pub(crate) sink: MethodSink,
    pub(crate) max_response_bytes: usize,
    /// Given to every call.
    pub(crate) extensions: Extensions,
}

#[cfg(test)]
impl CallContext {
    pub(crate) fn for_test(methods: Methods) -> Self {
        Self {
            methods,
            connection: ConnectionId(0),
            subscriptions: BoundedSubscriptions::new(1),
            ids: Arc::new(jsonrpsee::server::RandomIntegerIdProvider),
            sink: MethodSink::new(tokio::sync::mpsc::channel(1).0),
            max_response_bytes: 1 << 20,
            extensions: Extensions::new(),
        }
    }
}

impl CallContext {
    async fn dispatch(self, request: Request<'_>) -> MethodResponse {
        let Request {
            id, method, params, ..
        } = request;
        let extensions = self.extensions;
        let params = Params::new(params.as_ref().map(|params| params.get()));
        match self.methods.method(&method) {
            None => MethodResponse::error(id, ErrorCode::MethodNotFound),
            Some(MethodCallback::Sync(callback)) => callback(id, params, self.max_response_bytes, extensions),
            Some(MethodCallback::Async(callback)) => {
                let (id, params) = (id.into_owned(), params.into_owned());
                callback(id, params, self.connection, self.max_response_bytes, extensions).await
            }
            Some(MethodCallback::Unsubscription(callback)) => {
                callback(id, params, self.connection, self.max_response_bytes, extensions)
            }
            Some(MethodCallback::Subscription(callback)) => {
                let Some(subscription_permit) = self.subscriptions.acquire() else {
                    return MethodResponse::error(
                        id,
                        reject_too_many_subscriptions(self.subscriptions.max()),
                    );
                };
                let state = SubscriptionState {
                    conn_id: self.connection,
                    id_provider: &*self.ids,
                    subscription_permit,
                };
                callback(id, params, self.sink, state, extensions).await
            }
        }
    }
}

impl RpcServiceT for CallContext {
    type MethodResponse = MethodResponse;
    type BatchResponse = MethodResponse;
    type NotificationResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.clone().dispatch(request)
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let context = self.clone();
        async move {
            let mut answers = BatchResponseBuilder::new_with_limit(context.max_response_bytes);
            for entry in batch {
                let response = match entry {
                    Ok(BatchEntry::Call(request)) => context.clone().dispatch(request).await,
                    Ok(BatchEntry::Notification(_)) => continue,
                    Err(invalid) => {
                        let (error, id) = invalid.into_parts();
                        MethodResponse::error(id, error)
                    }
                };
                if let Err(too_big) = answers.append(response) {
                    return too_big;
                }
            }
            MethodResponse::from_batch(answers.finish())
        }
    }

    fn notification<'a>(&self, _: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        std::future::ready(MethodResponse::notification())
    }
}

type RawNotification<'a> = Option<Cow<'a, RawValue>>;

/// Answers one message, a call or a batch. `None` if there is nothing to send: a notification, or a subscription
/// whose answer went through the sink.
pub(crate) async fn answer_message<S>(
    service: &S,
    message: &[u8],
    batches: BatchRequestConfig,
) -> Option<Box<RawValue>>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Sync,
{
    let response = match message.trim_ascii_start().first() {
        Some(b'[') => answer_batch(service, message, batches).await,
        _ => answer_call(service, message).await,
    };
    if !response.is_method_call() && !response.is_batch() {
        return None;
    }
    let (json, notify, _) = response.into_parts();
    if let Some(notify) = notify {
        notify.notify(true);
    }
    Some(json)
}

async fn answer_call<S>(service: &S, message: &[u8]) -> MethodResponse
where
    S: RpcServiceT<MethodResponse = MethodResponse, NotificationResponse = MethodResponse> + Sync,
{
    if let Ok(request) = serde_json::from_slice::<Request<'_>>(message) {
        service.call(request).await
    } else if let Ok(notification) = serde_json::from_slice::<Notification<'_>>(message) {
        service.notification(notification).await
    } else {
        let (id, code) = prepare_error(message);
        MethodResponse::error(id, code)
    }
}

async fn answer_batch<S>(service: &S, message: &[u8], batches: BatchRequestConfig) -> MethodResponse
where
    S: RpcServiceT<BatchResponse = MethodResponse> + Sync,
{
    let max_entries = match batches {
        BatchRequestConfig::Disabled => {
            let error = ErrorObject::borrowed(BATCHES_NOT_SUPPORTED_CODE, BATCHES_NOT_SUPPORTED_MSG, None);
            return MethodResponse::error(Id::Null, error);
        }
        BatchRequestConfig::Limit(limit) => limit as usize,
        BatchRequestConfig::Unlimited => usize::MAX,
    };
    let Ok(entries) = serde_json::from_slice::<Vec<&RawValue>>(message) else {
        return MethodResponse::error(Id::Null, ErrorCode::ParseError);
    };
    if entries.len() > max_entries {
        return MethodResponse::error(Id::Null, reject_too_big_batch_request(max_entries));
    }
    service
        .batch(Batch::from(
            entries
                .into_iter()
                .map(|entry| batch_entry(entry.get()))
                .collect(),
        ))
        .await
}

fn batch_entry(entry: &str) -> Result<BatchEntry<'_>, BatchEntryErr<'_>> {
    if let Ok(request) = serde_json::from_str::<Request<'_>>(entry) {
        return Ok(BatchEntry::Call(request));
    }
    if let Ok(notification) =
        serde_json::from_str::<jsonrpsee::types::Notification<'_, RawNotification<'_>>>(entry)
    {
        return Ok(BatchEntry::Notification(notification));
    }
    let id = serde_json::from_str::<InvalidRequest<'_>>(entry).map_or(Id::Null, |invalid| invalid.id);
    Err(BatchEntryErr::new(id, ErrorCode::InvalidRequest.into()))
}
