//! Counts and times calls per method, under reth's metric names.

use std::{collections::HashMap, future::Future, sync::Arc, time::Instant};

use jsonrpsee::{
    MethodResponse, Methods,
    core::middleware::{Batch, Notification, RpcServiceT},
    types::Request,
};
use metrics::{Counter, Histogram};
use tower::Layer;

/// Metrics of the methods of one transport. Unknown methods share one entry, so callers cannot make up labels.
#[derive(Clone)]
pub(crate) struct CallMetrics {
    methods: Arc<HashMap<&'static str, MethodMetrics>>,
    unknown: MethodMetrics,
}

#[derive(Clone)]
struct MethodMetrics {
    started: Counter,
    successful: Counter,
    failed: Counter,
    time: Histogram,
}

impl MethodMetrics {
    fn new(method: &'static str) -> Self {
        Self {
            started: metrics::counter!("reth_rpc_server_calls_started_total", "method" => method),
            successful: metrics::counter!("reth_rpc_server_calls_successful_total", "method" => method),
            failed: metrics::counter!("reth_rpc_server_calls_failed_total", "method" => method),
            time: metrics::histogram!("reth_rpc_server_calls_time_seconds", "method" => method),
        }
    }
}

impl CallMetrics {
    pub(crate) fn new(methods: &Methods) -> Self {
        let methods = methods
            .method_names()
            .map(|name| (name, MethodMetrics::new(name)))
            .collect();
        Self {
            methods: Arc::new(methods),
            unknown: MethodMetrics::new("unknown"),
        }
    }

    /// Notes a call that began at `started` and has just ended.
    pub(crate) fn record(&self, method: &str, started: Instant, success: bool) {
        let metrics = self.methods.get(method).unwrap_or(&self.unknown);
        metrics.started.increment(1);
        if success {
            &metrics.successful
        } else {
            &metrics.failed
        }
        .increment(1);
        metrics.time.record(started.elapsed().as_secs_f64());
    }
}

/// Wraps a service with [`CallMetrics`]. Batches are not unrolled here: the batch layer sends each entry through.
#[derive(Clone)]
pub(crate) struct MeteredLayer(pub(crate) CallMetrics);

impl<S> Layer<S> for MeteredLayer {
    type Service = Metered<S>;

    fn layer(&self, inner: S) -> Metered<S> {
        Metered {
            inner,
            metrics: self.0.clone(),
        }
    }
}

/// The service of [`MeteredLayer`].
#[derive(Clone)]
pub(crate) struct Metered<S> {
    inner: S,
    metrics: CallMetrics,
}

impl<S> RpcServiceT for Metered<S>
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
        let started = Instant::now();
        let metrics = self.metrics.clone();
        // The request is gone when the call ends; the name of a registered method is not.
        let method = metrics
            .methods
            .get_key_value(request.method.as_ref())
            .map_or("unknown", |(name, _)| *name);
        let response = self.inner.call(request);
        async move {
            let response = response.await;
            metrics.record(method, started, response.is_success());
            response
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.batch(batch)
    }

    fn notification<'a>(&self, n: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(n)
    }
}
