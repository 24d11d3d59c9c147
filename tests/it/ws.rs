//! A JSON-RPC client over WebSocket (RFC 6455): just enough to subscribe, and to stop reading.

use serde_json::{Value, json};
use std::{
    io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long a message may take: longer than any limit of the node.
const PATIENCE: Duration = Duration::from_secs(60);

/// First byte of a final text frame, a close, a ping and a pong.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// Second byte of a client's frame: it is masked, and what follows says how the length is coded.
const MASKED: u8 = 0x80;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// A mask of zeros leaves the payload as it is.
const MASK: [u8; 4] = [0; 4];

/// One WebSocket connection to one node.
#[derive(Debug)]
pub(crate) struct WsClient {
    stream: BufReader<TcpStream>,
}

impl WsClient {
    /// Connects to `address`.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self {
            stream: BufReader::new(stream),
        };
        let upgrade = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        client.stream.get_mut().write_all(upgrade.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(client.stream.read_line(&mut head).unwrap(), 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client
    }

    /// Subscribes to a kind of event and waits until the node has agreed.
    pub(crate) fn subscribe(&mut self, kind: &str) {
        let answer = self.call("eth_subscribe", &json!([kind]));
        assert!(answer["result"].is_string(), "{answer}");
    }

    /// Calls `method` on a connection without subscriptions; returns the whole answer.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.send(&call.to_string()).unwrap();
        self.next().unwrap()
    }

    /// Sends a text.
    pub(crate) fn send(&mut self, text: &str) -> io::Result<()> {
        self.frame(TEXT, text.as_bytes())
    }

    /// Sends a ping, which needs no answer to be read: an error says that the node has closed the connection.
    pub(crate) fn ping(&mut self) -> io::Result<()> {
        self.frame(PING, &[])
    }

    /// The next message; an error once the connection has ended.
    pub(crate) fn next(&mut self) -> io::Result<Value> {
        loop {
            let mut head = [0; 2];
            self.stream.read_exact(&mut head)?;
            let length = match head[1] {
                LENGTH_16 => u64::from(u16::from_be_bytes(self.bytes()?)),
                LENGTH_64 => u64::from_be_bytes(self.bytes()?),
                length => length.into(),
            };
            let mut payload = vec![0; length.try_into().unwrap()];
            self.stream.read_exact(&mut payload)?;
            match head[0] {
                TEXT => return Ok(serde_json::from_slice(&payload)?),
                PING => self.frame(PONG, &payload)?,
                PONG => {}
                CLOSE => return Err(ErrorKind::ConnectionAborted.into()),
                other => return Err(Error::new(ErrorKind::InvalidData, format!("frame {other:#x}"))),
            }
        }
    }

    /// The result in the next notification.
    pub(crate) fn event(&mut self) -> Value {
        self.next().unwrap()["params"]["result"].take()
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn frame(&mut self, head: u8, payload: &[u8]) -> io::Result<()> {
        let mut frame = vec![head];
        match payload.len() {
            length @ 0..126 => frame.push(MASKED | length as u8),
            length @ 126..=0xffff => {
                frame.push(MASKED | LENGTH_16);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(MASKED | LENGTH_64);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(payload);
        self.stream.get_mut().write_all(&frame)
    }
}
