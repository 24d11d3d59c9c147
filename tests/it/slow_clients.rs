//! Clients that do not keep up: they lose their connection, and nobody waits for them.

use crate::{
    process::Node,
    rpc::{RpcClient, parse_quantity},
    wallet::{Action, Wallet},
    ws::WsClient,
};
use alloy_primitives::{Address, Bytes};
use serde_json::json;
use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// Transactions of one batch, and how many batches fill a slow client's queue and the sockets before it for sure.
const BATCH_LEN: u64 = 200;
const BATCHES_MAX: u64 = 600;

/// Clients that begin a request and never end it.
const STALLED: usize = 64;

/// Longest a receipt may take beside them. They must not delay it at all; a shared machine may.
const PATIENCE: Duration = Duration::from_secs(5);

/// Memory of a node that queues no more for slow clients than it says, in MiB: far above what it needs, far below what
/// it would take to keep everything for them.
const RESIDENT_MIB_MAX: u64 = 1_024;

fn resident_mib(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
    kib >> 10
}

fn batch(sender: &Wallet, first_nonce: u64) -> Vec<Bytes> {
    (first_nonce..first_nonce + BATCH_LEN)
        .map(|nonce| sender.sign(nonce, Action::Pay(Address::repeat_byte(0x77))))
        .collect()
}

#[test]
fn a_subscriber_that_does_not_read_is_closed_and_the_others_miss_nothing() {
    let datadir = tempfile::tempdir().unwrap();
    let node = Node::start(datadir.path(), &[]);
    let mut slow = WsClient::connect(node.ws());
    slow.subscribe("miniBlocks");
    let mut keen = WsClient::connect(node.ws());
    keen.subscribe("miniBlocks");
    let reader = thread::spawn(move || read_mini_blocks(&mut keen));

    let mut rpc = node.rpc();
    let sender = Wallet::dev(0);
    let mut sent = 0;
    let mut is_closed = false;
    while !is_closed && sent < BATCHES_MAX * BATCH_LEN {
        let hashes = rpc.batch("eth_sendRawTransaction", &batch(&sender, sent));
        assert!(
            hashes.iter().all(|answer| answer["result"].is_string()),
            "{hashes:?}"
        );
        sent += BATCH_LEN;
        is_closed = slow.ping().is_err();
    }
    assert!(
        is_closed,
        "a client that read nothing was served {sent} transactions"
    );

    let resident = resident_mib(&node);
    assert!(resident < RESIDENT_MIB_MAX, "{resident} MiB are resident");

    // A transaction to the zero address ends what the reader counts.
    let last = sender.sign(sent, Action::Pay(Address::ZERO));
    let receipt = rpc.call("eth_sendRawTransactionSync", json!([last]));
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(reader.join().unwrap(), sent + 1);
    assert!(node.stop().success());
}

/// Reads mini-blocks, which must follow each other, up to the one that pays the zero address; counts transactions.
fn read_mini_blocks(client: &mut WsClient) -> u64 {
    let mut number = None;
    let mut transactions = 0;
    loop {
        let event = client.event();
        let this = parse_quantity(&event["mini_block_number"]);
        assert!(
            number.is_none_or(|number| this == number + 1),
            "{number:?}, then {this}"
        );
        number = Some(this);
        let included = event["transactions"].as_array().unwrap();
        transactions += included.len() as u64;
        if included
            .iter()
            .any(|transaction| transaction["to"] == json!(Address::ZERO))
        {
            return transactions;
        }
    }
}

#[test]
fn requests_that_never_end_delay_nobody() {
    let datadir = tempfile::tempdir().unwrap();
    let node = Node::start(datadir.path(), &[]);
    let half_a_request = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Le";
    let half_a_body = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                       Content-Length: 1000\r\n\r\n{\"jsonrpc\":";
    let _stalled: Vec<_> = (0..STALLED)
        .map(|index| {
            stalled(
                node.http(),
                if index % 2 == 0 {
                    half_a_request
                } else {
                    half_a_body
                },
            )
        })
        .collect();
    let _deaf = deaf(node.http());

    let mut rpc = node.rpc();
    let sender = Wallet::dev(0);
    for nonce in 0..20 {
        let begin = Instant::now();
        let raw = sender.sign(nonce, Action::Pay(Address::repeat_byte(0x77)));
        let receipt = rpc.call("eth_sendRawTransactionSync", json!([raw]));
        assert_eq!(receipt["status"], "0x1");
        assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
    }
    assert!(
        node.stop().success(),
        "stalled clients do not keep a node from ending"
    );
}

fn stalled(address: SocketAddr, begun: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(begun.as_bytes()).unwrap();
    stream
}

/// A client that asks and asks and reads no answer; returns once its requests are not taken any more.
fn deaf(address: SocketAddr) -> TcpStream {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["0x0", true]})
        .to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let requests = request.repeat(100);
    let is_refused = (0..2_000).any(|_| stream.write_all(requests.as_bytes()).is_err());
    assert!(
        is_refused,
        "200,000 requests were taken from a client that reads no answer"
    );
    stream
}

#[test]
fn a_connection_that_closes_in_the_middle_is_forgotten() {
    let datadir = tempfile::tempdir().unwrap();
    let node = Node::start(datadir.path(), &[]);
    for _ in 0..200 {
        drop(stalled(
            node.http(),
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{",
        ));
        let mut ws = WsClient::connect(node.ws());
        ws.subscribe("newHeads");
    }
    // As many again as the bound on connections would take: the ones before do not count any more.
    let mut open: Vec<_> = (0..400)
        .map(|_| RpcClient::connect(node.http()).unwrap())
        .collect();
    for rpc in &mut open {
        rpc.quantity("eth_blockNumber", json!([]));
    }
    assert!(node.stop().success());
}
