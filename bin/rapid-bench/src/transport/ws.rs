//! WebSocket text messages.

use eyre::{OptionExt, WrapErr, bail};
use futures_util::{SinkExt, StreamExt};
use hyper::body::Bytes;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, Utf8Bytes, protocol::WebSocketConfig},
};

/// Largest message taken: a full batch of receipts, or one subscription event of a full mini-block.
const MESSAGE_LEN_MAX: usize = 256 << 20;

/// A WebSocket connection to one endpoint.
#[derive(Debug)]
pub(crate) struct WsConnection {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl WsConnection {
    /// Connects without Nagle's delay.
    ///
    /// # Errors
    /// If nobody listens there or the handshake fails.
    pub(crate) async fn open(url: &str) -> eyre::Result<Self> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_LEN_MAX))
            .max_frame_size(Some(MESSAGE_LEN_MAX));
        let (stream, _) = connect_async_with_config(url, Some(config), true)
            .await
            .wrap_err_with(|| format!("connecting to {url}"))?;
        Ok(Self { stream })
    }

    /// Sends one message and waits for the next one.
    ///
    /// # Errors
    /// If the connection breaks or the endpoint closes it.
    pub(crate) async fn exchange(&mut self, body: Bytes) -> eyre::Result<Bytes> {
        let text = Utf8Bytes::try_from(body).wrap_err("request body is not UTF-8")?;
        self.stream.send(Message::Text(text)).await?;
        self.next().await
    }

    /// Waits for the next text or binary message; pings are answered on the way.
    ///
    /// # Errors
    /// If the connection breaks or the endpoint closes it.
    async fn next(&mut self) -> eyre::Result<Bytes> {
        loop {
            match self.stream.next().await.ok_or_eyre("connection closed")?? {
                Message::Text(text) => return Ok(text.into()),
                Message::Binary(bytes) => return Ok(bytes),
                Message::Close(frame) => bail!("closed by the endpoint: {frame:?}"),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}
