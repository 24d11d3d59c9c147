//! HTTP/1.1 with keep-alive.

use super::Endpoint;
use eyre::{WrapErr, bail};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A keep-alive connection to one endpoint.
#[derive(Debug)]
pub(crate) struct HttpConnection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    path: String,
}

impl HttpConnection {
    /// Connects; the socket is driven by a task that ends with the connection.
    ///
    /// # Errors
    /// If nobody listens there or the endpoint is no HTTP endpoint.
    pub(crate) async fn open(endpoint: &Endpoint) -> eyre::Result<Self> {
        let Endpoint::Http { authority, path, .. } = endpoint else {
            bail!("{endpoint} is not HTTP")
        };
        let stream = TcpStream::connect(authority)
            .await
            .wrap_err_with(|| format!("connecting to {authority}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // A failure also fails the request that is waiting, which reports it.
            let _ = connection.await;
        });
        Ok(Self {
            sender,
            host: HeaderValue::from_str(authority)?,
            path: path.clone(),
        })
    }

    /// Posts `body` as JSON.
    ///
    /// # Errors
    /// On a broken connection and on any status other than 200.
    pub(crate) async fn exchange(&mut self, body: Bytes) -> eyre::Result<Bytes> {
        let request = Request::post(self.path.as_str())
            .header(HOST, self.host.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Full::new(body))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        if status != StatusCode::OK {
            bail!("HTTP status {status}");
        }
        Ok(answer)
    }
}
