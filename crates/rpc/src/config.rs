//! What the servers listen on and how much they accept.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use alloy_rpc_types_engine::JwtSecret;

use crate::NamespaceSelection;

/// Bounds of every server. The defaults are reth's where reth has one.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Open connections over HTTP, WebSocket and IPC together; a further one is answered 429 and closed. The JWT port
    /// has the same bound of its own, so that the public cannot lock out a consensus client.
    pub max_connections: u32,
    /// Bytes of one request (a batch is one request).
    pub max_request_bytes: u32,
    /// Bytes of one response (a batch has one response).
    pub max_response_bytes: u32,
    /// Entries of a batch.
    pub max_batch_entries: u32,
    /// Subscriptions of one connection.
    pub max_subscriptions_per_connection: u32,
    /// Messages that wait for one WebSocket or IPC connection before its calls and subscriptions wait too.
    pub message_buffer_messages: u32,
    /// Requests of one IPC connection that run at a time; its reader waits beyond that.
    pub max_concurrent_ipc_requests: usize,
    /// How long a peer may refuse to take bytes before it is closed.
    pub write_stall: Duration,
    /// How long a peer may send nothing before it is closed. WebSocket clients answer pings, which counts.
    pub read_idle: Duration,
    /// Interval of WebSocket pings.
    pub ping_interval: Duration,
    /// How long stopping waits for calls in flight.
    pub stop_grace: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            max_connections: 500,
            max_request_bytes: 15 * 1024 * 1024,
            max_response_bytes: 160 * 1024 * 1024,
            max_batch_entries: 10_000,
            max_subscriptions_per_connection: 1024,
            // A response may be 160 MB: what waits for one slow reader has to stay a small multiple of it.
            message_buffer_messages: 32,
            max_concurrent_ipc_requests: 64,
            write_stall: Duration::from_secs(20),
            read_idle: Duration::from_secs(120),
            ping_interval: Duration::from_secs(30),
            stop_grace: Duration::from_secs(5),
        }
    }
}

/// A TCP listener: HTTP or WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpConfig {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// Namespaces to serve.
    pub namespaces: NamespaceSelection,
    /// Allowed origins: `*`, or a comma-separated list. `None` sends no CORS headers.
    pub cors: Option<String>,
}

impl TcpConfig {
    /// The standard namespaces, no CORS.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            namespaces: NamespaceSelection::standard(),
            cors: None,
        }
    }
}

/// The IPC socket. It serves every namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpcConfig {
    /// Path of the socket file.
    pub path: PathBuf,
    /// Mode of the socket file; `None` leaves what the process's mask gives.
    pub permissions: Option<u32>,
}

/// The JWT port.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// Key that callers sign their tokens with.
    pub secret: JwtSecret,
}

/// Everything [`crate::RpcServers::start`] needs besides the methods. Nothing is served by default.
#[derive(Clone, Debug, Default)]
pub struct RpcServerConfig {
    /// HTTP.
    pub http: Option<TcpConfig>,
    /// WebSocket; may share the address of HTTP if namespaces and CORS agree.
    pub ws: Option<TcpConfig>,
    /// IPC.
    pub ipc: Option<IpcConfig>,
    /// The JWT port, HTTP and WebSocket.
    pub auth: Option<AuthConfig>,
    /// Key that protects public HTTP and WebSocket too.
    pub public_secret: Option<JwtSecret>,
    /// Bounds.
    pub limits: ServerLimits,
}
