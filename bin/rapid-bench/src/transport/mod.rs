//! One connection to a JSON-RPC endpoint: a prepared body goes out, the answer's bytes come back.
//!
//! One request is outstanding per connection, over HTTP (keep-alive) and over WebSocket alike, so that both are
//! measured the same way; more requests in flight means more connections.

mod endpoint;
mod http;
mod ws;

pub(crate) use endpoint::Endpoint;

use http::HttpConnection;
use hyper::body::Bytes;
use ws::WsConnection;

/// A connection that sends one request at a time.
#[derive(Debug)]
pub(crate) enum Connection {
    /// HTTP/1.1 with keep-alive.
    Http(HttpConnection),
    /// WebSocket text messages.
    Ws(Box<WsConnection>),
}

impl Connection {
    /// Connects to `endpoint`.
    ///
    /// # Errors
    /// If the endpoint does not accept the connection or the handshake.
    pub(crate) async fn open(endpoint: &Endpoint) -> eyre::Result<Self> {
        match endpoint {
            Endpoint::Http { .. } => Ok(Self::Http(HttpConnection::open(endpoint).await?)),
            Endpoint::Ws { url, .. } => Ok(Self::Ws(Box::new(WsConnection::open(url).await?))),
        }
    }

    /// Sends `body` and waits for the answer.
    ///
    /// # Errors
    /// On a broken connection or an HTTP status other than 200; the connection must then be opened again.
    pub(crate) async fn exchange(&mut self, body: Bytes) -> eyre::Result<Bytes> {
        match self {
            Self::Http(connection) => connection.exchange(body).await,
            Self::Ws(connection) => connection.exchange(body).await,
        }
    }
}
