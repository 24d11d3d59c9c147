//! HTTP and WebSocket servers, the JWT port, and starting and stopping all of them with IPC.

pub(crate) mod connection;
mod jwt;
mod tcp;

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};

use jsonrpsee::{
    core::middleware::RpcServiceBuilder,
    server::{IdProvider, ServerHandle, StopHandle, stop_channel},
    types::SubscriptionId,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tower::Layer;

use crate::{
    NamespaceSelection, RpcModules,
    config::{RpcServerConfig, ServerLimits, TcpConfig},
    ipc::{self, IpcError, IpcServer},
    middleware::{
        batch::BatchLayer,
        metered::{CallMetrics, MeteredLayer},
    },
};
use tcp::{Protocols, TcpServer};

/// Why the servers did not start. Nothing is left listening.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not allowed.
    #[error("cannot listen on {address} for {server}: {source}")]
    Bind {
        /// Which server.
        server: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// HTTP and WebSocket share an address but not their namespaces.
    #[error("HTTP and WS share a port but serve different namespaces: {http} and {ws}")]
    NamespacesDiffer {
        /// Of HTTP.
        http: NamespaceSelection,
        /// Of WebSocket.
        ws: NamespaceSelection,
    },
    /// HTTP and WebSocket share an address but not their allowed origins.
    #[error("HTTP and WS share a port but allow different origins: {http} and {ws}")]
    OriginsDiffer {
        /// Of HTTP.
        http: String,
        /// Of WebSocket.
        ws: String,
    },
    /// An allowed origin is not a header value.
    #[error("invalid CORS origin `{0}`")]
    InvalidOrigin(String),
    /// The IPC socket cannot be opened.
    #[error(transparent)]
    Ipc(#[from] IpcError),
}

/// The running servers. Dropping it stops them without waiting; [`Self::stop`] waits.
#[derive(Debug)]
pub struct RpcServers {
    http: Option<SocketAddr>,
    ws: Option<SocketAddr>,
    auth: Option<SocketAddr>,
    ipc: Option<PathBuf>,
    handle: ServerHandle,
    limits: ServerLimits,
}

impl RpcServers {
    /// Binds every configured address, then serves. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing is served then.
    pub async fn start(config: RpcServerConfig, modules: RpcModules) -> Result<Self, StartError> {
        let (stop, handle) = stop_channel();
        let shared = Shared {
            connections: Arc::new(Semaphore::new(config.limits.max_connections as usize)),
            ids: HexIds,
            limits: config.limits,
            stop,
        };
        let mut servers = Self {
            http: None,
            ws: None,
            auth: None,
            ipc: None,
            handle,
            limits: config.limits,
        };
        // Everything is bound before anything is served, so that a failure leaves nothing behind.
        let mut ready = Vec::new();
        for (listen, protocols) in tcp_listeners(&config)? {
            let server = TcpServer::new(
                &shared,
                &listen,
                config.public_secret,
                modules.select(&listen.namespaces),
            )?;
            let listener = bind(&listen, protocols.name()).await?;
            let address = listener.1;
            if protocols.http() {
                servers.http = Some(address);
            }
            if protocols.ws() {
                servers.ws = Some(address);
            }
            ready.push((server, listener.0, protocols));
        }
        if let Some(auth) = &config.auth {
            let listen = TcpConfig::new(auth.address);
            let own = Shared {
                connections: Arc::new(Semaphore::new(config.limits.max_connections as usize)),
                ..shared.clone()
            };
            let server = TcpServer::new(&own, &listen, Some(auth.secret), modules.auth())?;
            let (listener, address) = bind(&listen, "auth").await?;
            servers.auth = Some(address);
            ready.push((server, listener, Protocols::Both));
        }
        if let Some(ipc) = &config.ipc {
            let listener = ipc::bind(ipc)?;
            servers.ipc = Some(ipc.path.clone());
            serve_ipc(&shared, &modules, listener, ipc.path.clone());
        }
        for (server, listener, protocols) in ready {
            tokio::spawn(server.serve(listener, protocols));
        }
        Ok(servers)
    }

    /// Bound address of HTTP.
    #[must_use]
    pub const fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Bound address of WebSocket.
    #[must_use]
    pub const fn ws(&self) -> Option<SocketAddr> {
        self.ws
    }

    /// Bound address of the JWT port.
    #[must_use]
    pub const fn auth(&self) -> Option<SocketAddr> {
        self.auth
    }

    /// Path of the IPC socket.
    #[must_use]
    pub fn ipc(&self) -> Option<&std::path::Path> {
        self.ipc.as_deref()
    }

    /// Stops accepting, lets calls in flight end for [`ServerLimits::stop_grace`], then returns.
    pub async fn stop(self) {
        let Ok(()) = self.handle.stop() else { return };
        if tokio::time::timeout(self.limits.stop_grace, self.handle.stopped())
            .await
            .is_err()
        {
            tracing::warn!("RPC calls were still in flight when the servers stopped");
        }
    }
}

/// What all servers share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) ids: HexIds,
    pub(crate) limits: ServerLimits,
    pub(crate) stop: StopHandle,
}

async fn bind(config: &TcpConfig, server: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let error = |source| StartError::Bind {
        server,
        address: config.address,
        source,
    };
    let listener = TcpListener::bind(config.address).await.map_err(error)?;
    let address = listener.local_addr().map_err(error)?;
    Ok((listener, address))
}

/// The public listeners: one for HTTP and WebSocket together if they share an address.
fn tcp_listeners(config: &RpcServerConfig) -> Result<Vec<(TcpConfig, Protocols)>, StartError> {
    let (http, ws) = (config.http.clone(), config.ws.clone());
    match (http, ws) {
        (Some(http), Some(ws)) if http.address == ws.address && http.address.port() != 0 => {
            if http.namespaces != ws.namespaces {
                return Err(StartError::NamespacesDiffer {
                    http: http.namespaces,
                    ws: ws.namespaces,
                });
            }
            let cors = match (http.cors, ws.cors) {
                (Some(http), Some(ws)) if http != ws => return Err(StartError::OriginsDiffer { http, ws }),
                (http, ws) => http.or(ws),
            };
            let shared = TcpConfig {
                address: http.address,
                namespaces: http.namespaces,
                cors,
            };
            Ok(vec![(shared, Protocols::Both)])
        }
        (http, ws) => Ok(http
            .map(|http| (http, Protocols::Http))
            .into_iter()
            .chain(ws.map(|ws| (ws, Protocols::Ws)))
            .collect()),
    }
}

fn serve_ipc(shared: &Shared, modules: &RpcModules, listener: tokio::net::UnixListener, path: PathBuf) {
    let transport = modules.select(&NamespaceSelection::all());
    let metrics = CallMetrics::new(&transport.methods);
    let batch = BatchLayer::new(
        transport.submit,
        metrics.clone(),
        shared.limits.max_response_bytes as usize,
    );
    let server = IpcServer {
        methods: transport.methods,
        limits: shared.limits,
        connections: shared.connections.clone(),
        ids: Arc::new(shared.ids),
        path,
    };
    let wrap = move |context| batch.layer(MeteredLayer(metrics.clone()).layer(context));
    tokio::spawn(ipc::serve(server, listener, shared.stop.clone(), wrap));
}

/// Subscription ids as reth gives them: 128 random bits as a quantity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        // Each hasher has its own key from the system's randomness, so its empty hash is a number nobody can guess.
        let word = || u128::from(RandomState::new().build_hasher().finish());
        format!("{:#x}", word() << 64 | word()).into()
    }
}

/// The layers around the calls of a TCP transport.
pub(crate) type CallLayers = RpcServiceBuilder<
    tower::layer::util::Stack<
        MeteredLayer,
        tower::layer::util::Stack<BatchLayer, tower::layer::util::Identity>,
    >,
>;

pub(crate) fn call_layers(batch: BatchLayer, metrics: CallMetrics) -> CallLayers {
    // The first layer is the outermost: the batch layer sends each entry through the metered one.
    RpcServiceBuilder::new().layer(batch).layer(MeteredLayer(metrics))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(http: &str, ws: &str) -> RpcServerConfig {
        RpcServerConfig {
            http: Some(TcpConfig::new(http.parse().unwrap())),
            ws: Some(TcpConfig::new(ws.parse().unwrap())),
            ..RpcServerConfig::default()
        }
    }

    #[test]
    fn one_listener_serves_both_on_one_address() {
        let listeners = tcp_listeners(&config("127.0.0.1:8545", "127.0.0.1:8545")).unwrap();
        assert_eq!(listeners.len(), 1);
        assert_eq!(listeners[0].1, Protocols::Both);
        assert_eq!(
            tcp_listeners(&config("127.0.0.1:8545", "127.0.0.1:8546"))
                .unwrap()
                .len(),
            2
        );
        assert_eq!(
            tcp_listeners(&config("127.0.0.1:0", "127.0.0.1:0"))
                .unwrap()
                .len(),
            2
        );
    }

    #[test]
    fn a_shared_address_needs_the_same_namespaces_and_origins() {
        let mut shared = config("127.0.0.1:8545", "127.0.0.1:8545");
        shared.ws.as_mut().unwrap().namespaces = NamespaceSelection::all();
        assert!(matches!(
            tcp_listeners(&shared),
            Err(StartError::NamespacesDiffer { .. })
        ));
        let mut shared = config("127.0.0.1:8545", "127.0.0.1:8545");
        shared.http.as_mut().unwrap().cors = Some("*".into());
        assert_eq!(tcp_listeners(&shared).unwrap()[0].0.cors.as_deref(), Some("*"));
        shared.ws.as_mut().unwrap().cors = Some("https://example.org".into());
        assert!(matches!(
            tcp_listeners(&shared),
            Err(StartError::OriginsDiffer { .. })
        ));
    }

    #[test]
    fn subscription_ids_are_quantities() {
        let SubscriptionId::Str(id) = HexIds.next_id() else {
            panic!("not a string")
        };
        assert!(id.starts_with("0x") && !id.starts_with("0x0"));
        assert_ne!(HexIds.next_id(), HexIds.next_id());
    }
}
