//! A JSON-RPC client over HTTP/1.1 with keep-alive: just enough to ask a local node, one call at a time.

use serde::Serialize;
use serde_json::{Value, json};
use std::{
    io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long a call may take: longer than any limit of the node.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection to one node.
#[derive(Debug)]
pub(crate) struct RpcClient {
    stream: BufReader<TcpStream>,
}

/// An error object of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RpcError {
    /// JSON-RPC code.
    pub(crate) code: i64,
    /// Message.
    pub(crate) message: String,
}

impl RpcClient {
    /// Connects to `address`.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Calls `method`: the outer error is a broken connection, the inner one the node's answer.
    pub(crate) fn try_call(&mut self, method: &str, params: Value) -> io::Result<Result<Value, RpcError>> {
        let mut answer = self.try_answer(method, params)?;
        if let Some(error) = answer.get("error") {
            return Ok(Err(RpcError {
                code: error["code"].as_i64().unwrap_or_default(),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
            }));
        }
        Ok(Ok(answer["result"].take()))
    }

    /// Calls `method` on a node that is expected to answer well.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.try_call(method, params)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
            .unwrap_or_else(|error| panic!("{method}: {error:?}"))
    }

    /// Calls `method` whose result is a quantity.
    pub(crate) fn quantity(&mut self, method: &str, params: Value) -> u64 {
        let result = self.call(method, params);
        parse_quantity(&result)
    }

    /// The whole answer to a call.
    pub(crate) fn answer(&mut self, method: &str, params: Value) -> Value {
        self.try_answer(method, params)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Calls `method` once per parameter in one batch; returns the whole answers in the order of the parameters.
    pub(crate) fn batch(&mut self, method: &str, params: &[impl Serialize]) -> Vec<Value> {
        let calls = params.iter().enumerate();
        let calls: Vec<_> = calls
            .map(|(id, param)| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": [param]}))
            .collect();
        let answers = self.post(&json!(calls).to_string()).unwrap();
        let mut answers: Vec<Value> = serde_json::from_slice(&answers).unwrap();
        assert_eq!(answers.len(), params.len());
        answers.sort_by_key(|answer| answer["id"].as_u64());
        answers
    }

    fn try_answer(&mut self, method: &str, params: Value) -> io::Result<Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        Ok(serde_json::from_slice(&self.post(&body)?)?)
    }

    fn post(&mut self, body: &str) -> io::Result<Vec<u8>> {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut length = None;
        let mut status = String::new();
        self.read_line(&mut status)?;
        loop {
            let mut line = String::new();
            self.read_line(&mut line)?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok();
            }
        }
        let length: usize =
            length.ok_or_else(|| Error::new(ErrorKind::InvalidData, format!("no length after {status}")))?;
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        if !status.contains(" 200 ") {
            return Err(Error::new(ErrorKind::InvalidData, status));
        }
        Ok(answer)
    }

    fn read_line(&mut self, line: &mut String) -> io::Result<()> {
        if self.stream.read_line(line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end().len());
        Ok(())
    }
}

/// The number in a hex quantity.
pub(crate) fn parse_quantity(value: &Value) -> u64 {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    u64::from_str_radix(digits.unwrap_or_else(|| panic!("not a quantity: {value}")), 16).unwrap()
}
