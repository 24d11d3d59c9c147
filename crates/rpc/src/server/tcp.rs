//! One TCP listener: connections with deadlines, CORS, tokens, then jsonrpsee.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use alloy_rpc_types_engine::JwtSecret;
use http::{HeaderValue, Method, header};
use jsonrpsee::{
    Methods,
    core::BoxError,
    server::{
        BatchRequestConfig, HttpResponse, PingConfig, ServerBuilder, ServerConfig, StopHandle, TowerService,
        TowerServiceBuilder, serve_with_graceful_shutdown, ws,
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower::{
    Service, ServiceBuilder,
    layer::util::{Identity, Stack},
    util::Either,
};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{
    CallLayers, Shared, StartError, call_layers,
    connection::{Connection, ConnectionSwitch, Deadlines},
    jwt::JwtLayer,
};
use crate::{
    config::{ServerLimits, TcpConfig},
    middleware::{
        batch::BatchLayer,
        metered::{CallMetrics, MeteredLayer},
    },
    modules::TransportMethods,
};

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocols {
    Http,
    Ws,
    Both,
}

impl Protocols {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Ws => "ws",
            Self::Both => "http+ws",
        }
    }

    pub(crate) const fn http(self) -> bool {
        matches!(self, Self::Http | Self::Both)
    }

    pub(crate) const fn ws(self) -> bool {
        matches!(self, Self::Ws | Self::Both)
    }
}

/// The answer to a connection beyond the bound; sent without reading the request.
const TOO_MANY_CONNECTIONS: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: text/plain\r\n\
    connection: close\r\ncontent-length: 46\r\n\r\nToo many connections. Please try again later.\n";

type RpcMiddleware = Stack<MeteredLayer, Stack<BatchLayer, Identity>>;
type HttpMiddleware = Stack<Either<JwtLayer, Identity>, Stack<Either<CorsLayer, Identity>, Identity>>;

/// Everything that the connections of one listener share.
pub(crate) struct TcpServer {
    methods: Methods,
    layers: CallLayers,
    http: ServiceBuilder<HttpMiddleware>,
    connections: Arc<Semaphore>,
    ids: super::HexIds,
    limits: ServerLimits,
    stop: StopHandle,
}

impl TcpServer {
    pub(crate) fn new(
        shared: &Shared,
        listen: &TcpConfig,
        secret: Option<JwtSecret>,
        transport: TransportMethods,
    ) -> Result<Self, StartError> {
        let metrics = CallMetrics::new(&transport.methods);
        let max_response_bytes = shared.limits.max_response_bytes as usize;
        let batch = BatchLayer::new(transport.submit, metrics.clone(), max_response_bytes);
        let cors = listen.cors.as_deref().map(cors).transpose()?;
        Ok(Self {
            methods: transport.methods,
            layers: call_layers(batch, metrics),
            // CORS comes first: a browser's preflight carries no token.
            http: ServiceBuilder::new()
                .option_layer(cors)
                .option_layer(secret.map(JwtLayer::new)),
            connections: shared.connections.clone(),
            ids: shared.ids,
            limits: shared.limits,
            stop: shared.stop.clone(),
        })
    }

    /// Accepts connections until stopped.
    pub(crate) async fn serve(self, listener: TcpListener, protocols: Protocols) {
        let builder = self.service_builder(protocols);
        let stopped = self.stop.clone().shutdown();
        tokio::pin!(stopped);
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::debug!(%error, "cannot accept a connection");
                        // Out of file descriptors: trying again at once would only burn a core.
                        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                        continue;
                    }
                },
                () = &mut stopped => return,
            };
            let Ok(permit) = self.connections.clone().try_acquire_owned() else {
                metrics::counter!("rapid_reth_rpc_refused_connections_total", "transport" => protocols.name())
                    .increment(1);
                // The socket's own buffer takes it or the peer is unlucky; nobody waits.
                let _refused = stream.try_write(TOO_MANY_CONNECTIONS);
                continue;
            };
            if let Err(error) = self.spawn_connection(&builder, stream, permit) {
                tracing::debug!(%error, "cannot set up a connection");
            }
        }
    }

    fn service_builder(&self, protocols: Protocols) -> TowerServiceBuilder<RpcMiddleware, HttpMiddleware> {
        let limits = &self.limits;
        let config = ServerConfig::builder()
            .max_connections(limits.max_connections)
            .max_request_body_size(limits.max_request_bytes)
            .max_response_body_size(limits.max_response_bytes)
            .max_subscriptions_per_connection(limits.max_subscriptions_per_connection)
            .set_message_buffer_capacity(limits.message_buffer_messages)
            .set_batch_request_config(BatchRequestConfig::Limit(limits.max_batch_entries))
            .enable_ws_ping(
                PingConfig::new()
                    .ping_interval(limits.ping_interval)
                    .inactive_limit(limits.read_idle),
            )
            .set_id_provider(self.ids);
        let config = match protocols {
            Protocols::Http => config.http_only(),
            Protocols::Ws => config.ws_only(),
            Protocols::Both => config,
        };
        ServerBuilder::default()
            .set_config(config.build())
            .set_http_middleware(self.http.clone())
            .set_rpc_middleware(self.layers.clone())
            .to_service_builder()
    }

    fn spawn_connection(
        &self,
        builder: &TowerServiceBuilder<RpcMiddleware, HttpMiddleware>,
        stream: TcpStream,
        permit: OwnedSemaphorePermit,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let deadlines = Deadlines {
            write_stall: self.limits.write_stall,
            read_idle: Some(self.limits.read_idle),
        };
        let connection = Connection::new(stream, deadlines);
        let switch = connection.switch();
        // A WebSocket lives on after its HTTP connection was handed over; the permit has to live as long.
        let permit = Arc::new(permit);
        let service = ConnectionService {
            inner: builder.clone().build(self.methods.clone(), self.stop.clone()),
            switch,
            permit: permit.clone(),
        };
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let session = Session::open("http", permit);
            if let Err(error) = serve_with_graceful_shutdown(connection, service, stop.shutdown()).await {
                tracing::trace!(%error, "connection ended");
            }
            drop(session);
        });
        Ok(())
    }
}

/// Answers the requests of one connection.
#[derive(Clone)]
struct ConnectionService {
    inner: TowerService<RpcMiddleware, HttpMiddleware>,
    switch: ConnectionSwitch,
    permit: Arc<OwnedSemaphorePermit>,
}

impl<B> Service<http::Request<B>> for ConnectionService
where
    TowerService<RpcMiddleware, HttpMiddleware>:
        Service<http::Request<B>, Response = HttpResponse, Error = BoxError, Future: Send + 'static>,
{
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        request.extensions_mut().insert(self.switch.clone());
        let mut inner = self.inner.clone();
        if ws::is_upgrade_request(&request) {
            let session = Session::open("ws", self.permit.clone());
            let closed = inner.on_session_closed();
            tokio::spawn(async move {
                closed.await;
                drop(session);
            });
        }
        let started = Instant::now();
        let response = inner.call(request);
        Box::pin(async move {
            let response = response.await;
            metrics::histogram!("reth_rpc_server_connections_request_time_seconds")
                .record(started.elapsed().as_secs_f64());
            response
        })
    }
}

/// Counts an open connection and keeps its permit.
struct Session {
    transport: &'static str,
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Session {
    fn open(transport: &'static str, permit: Arc<OwnedSemaphorePermit>) -> Self {
        metrics::counter!("reth_rpc_server_connections_connections_opened_total", "transport" => transport)
            .increment(1);
        Self {
            transport,
            _permit: permit,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        metrics::counter!("reth_rpc_server_connections_connections_closed_total", "transport" => self.transport)
            .increment(1);
    }
}

fn cors(origins: &str) -> Result<CorsLayer, StartError> {
    let origin = match origins.trim() {
        "*" => AllowOrigin::any(),
        list => {
            let origins = list.split(',').map(str::trim).map(|origin| {
                // A wildcard among others would silently allow all of them.
                let valid = (origin != "*")
                    .then(|| origin.parse::<HeaderValue>().ok())
                    .flatten();
                valid.ok_or_else(|| StartError::InvalidOrigin(origin.to_owned()))
            });
            AllowOrigin::list(origins.collect::<Result<Vec<_>, _>>()?)
        }
    };
    Ok(CorsLayer::new()
        .allow_methods([Method::GET, Method::POST])
        .allow_origin(origin)
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION]))
}
