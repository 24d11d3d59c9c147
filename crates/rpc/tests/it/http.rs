//! Requests as a client that is not jsonrpsee makes them.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Posts a body; answers status and body.
pub(crate) async fn post(address: SocketAddr, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    // A server may answer and close before it has read everything.
    let _sent = stream.write_all(request.as_bytes()).await;
    let mut response = Vec::new();
    let _received = stream.read_to_end(&mut response).await;
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Posts one JSON-RPC message; answers the response.
pub(crate) async fn rpc(address: SocketAddr, message: Value) -> Value {
    let (status, body) = post(address, "", &message.to_string()).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Calls a method; answers the result.
pub(crate) async fn call(address: SocketAddr, method: &str, params: Value) -> Value {
    let mut response = request(address, method, params).await;
    assert!(response.get("error").is_none(), "{method}: {response}");
    response["result"].take()
}

/// Calls a method that fails; answers the error.
pub(crate) async fn fail(address: SocketAddr, method: &str, params: Value) -> Value {
    let mut response = request(address, method, params).await;
    assert!(response.get("error").is_some(), "{method}: {response}");
    response["error"].take()
}

async fn request(address: SocketAddr, method: &str, params: Value) -> Value {
    rpc(
        address,
        serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}),
    )
    .await
}

/// A WebSocket client that reads nothing but what it is told to.
pub(crate) struct SilentClient(TcpStream);

impl SilentClient {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101"));
        Self(stream)
    }

    /// Sends a text message of fewer than 126 bytes.
    pub(crate) async fn send(&mut self, message: &[u8]) -> std::io::Result<()> {
        // Final text frame, masked with zeros.
        let mut frame = vec![0x81, 0x80 | u8::try_from(message.len()).unwrap(), 0, 0, 0, 0];
        frame.extend_from_slice(message);
        self.0.write_all(&frame).await
    }

    /// Waits until something has arrived, and leaves the rest of it unread.
    pub(crate) async fn wait_for_answer(&mut self) {
        self.0.read_u8().await.unwrap();
    }
}
