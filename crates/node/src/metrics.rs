//! The Prometheus recorder and its listener.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http_body_util::Full;
use hyper::{Response, body::Bytes, header::CONTENT_TYPE, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::MissedTickBehavior,
};

use crate::process_metrics;

/// Quantiles of every summary: those that reth's dashboards select on.
const QUANTILES: [f64; 7] = [0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0];

/// How often summaries are drained even if nobody scrapes, so that their samples do not pile up in memory.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Scrapers served at once. Further ones wait in the kernel's backlog until one is done.
const CONNECTIONS_MAX: usize = 16;

/// How long one connection may last; a scraper that keeps it open longer connects again.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(60);

/// The text exposition format's media type.
const EXPOSITION: &str = "text/plain; version=0.0.4";

/// Why metrics cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Another recorder was installed in this process.
    #[error("another metrics recorder is installed in this process")]
    RecorderTaken,
    /// The address cannot be bound.
    #[error("the metrics server cannot listen on {address}: {source}; choose another address with --metrics")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

/// The process-wide recorder: everything the `metrics` macros are told, as Prometheus text.
#[derive(Clone, Debug)]
pub struct MetricsRecorder {
    handle: PrometheusHandle,
}

impl MetricsRecorder {
    /// Installs the recorder, or returns the one installed before.
    ///
    /// # Errors
    /// [`MetricsError::RecorderTaken`] when the process has a recorder that is not this one.
    pub fn install() -> Result<Self, MetricsError> {
        static INSTALLED: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
        INSTALLED
            .get_or_init(|| {
                PrometheusBuilder::new()
                    .set_quantiles(&QUANTILES)
                    .expect("the list of quantiles is not empty")
                    .install_recorder()
                    .ok()
            })
            .clone()
            .map(|handle| Self { handle })
            .ok_or(MetricsError::RecorderTaken)
    }

    /// The exposition text, with the process's own metrics brought up to date.
    #[must_use]
    pub fn render(&self) -> String {
        process_metrics::record();
        self.handle.render()
    }

    /// Drains the summaries for ever. Runs whether or not a listener is configured.
    pub(crate) async fn upkeep(self) {
        let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.handle.run_upkeep();
        }
    }
}

/// The scrape endpoint. Any path and method answers with the exposition text.
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
    recorder: MetricsRecorder,
}

impl MetricsServer {
    /// Binds the address; port 0 lets the system choose.
    ///
    /// # Errors
    /// [`MetricsError::Bind`].
    pub async fn bind(address: SocketAddr, recorder: MetricsRecorder) -> Result<Self, MetricsError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| MetricsError::Bind { address, source })?;
        Ok(Self { listener, recorder })
    }

    /// The bound address.
    ///
    /// # Panics
    /// Never in practice: a bound socket has an address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("a bound socket has an address")
    }

    /// Serves until the future is dropped, which also closes every connection.
    pub async fn serve(self) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let slot = slots
                .clone()
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            while connections.try_join_next().is_some() {}
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let recorder = self.recorder.clone();
                    connections.spawn(async move {
                        answer(stream, recorder).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    // Out of descriptors, most likely: accepting again at once would spin.
                    tracing::warn!(target: "reth::cli", %error, "Metrics server cannot accept a connection");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

async fn answer(stream: TcpStream, recorder: MetricsRecorder) {
    let service = service_fn(move |_request| {
        let text = recorder.render();
        async move {
            let body = Full::new(Bytes::from(text));
            let response = Response::builder().header(CONTENT_TYPE, EXPOSITION).body(body);
            Ok::<_, Infallible>(response.expect("a constant header is valid"))
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A scraper that took too long is cut off without a word: it will come again.
    if let Ok(Err(error)) = tokio::time::timeout(CONNECTION_TIME_MAX, connection).await {
        tracing::debug!(target: "reth::cli", %error, "Metrics connection failed");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn scrape(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn any_path_answers_and_summaries_have_the_dashboards_quantiles() {
        let recorder = MetricsRecorder::install().unwrap();
        metrics::histogram!("rapid_reth_node_test_seconds").record(0.25);
        let server = MetricsServer::bind(([127, 0, 0, 1], 0).into(), recorder)
            .await
            .unwrap();
        let address = server.address();
        let serving = tokio::spawn(server.serve());
        for path in ["/", "/metrics", "/some/where"] {
            let answer = scrape(address, path).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(
                answer.contains("rapid_reth_node_test_seconds{quantile=\"0.99\"}"),
                "{answer}"
            );
            assert!(answer.contains("reth_process_resident_memory_bytes"), "{answer}");
        }
        serving.abort();
    }

    #[tokio::test]
    async fn a_taken_address_is_named_with_its_flag() {
        let recorder = MetricsRecorder::install().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = MetricsServer::bind(address, recorder)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&address.to_string()) && error.contains("--metrics"),
            "{error}"
        );
    }
}
