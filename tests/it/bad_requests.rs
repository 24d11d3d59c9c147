//! Requests that no node may trip over: each gets the code that clients know, and the node answers the next one.

use crate::{
    http::{Answer, exchange, post},
    process::Node,
    rpc::parse_quantity,
    wallet::{Action, Wallet},
    ws::WsClient,
};
use alloy_primitives::Address;
use serde_json::{Value, json};

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
const OVERSIZED_REQUEST: i64 = -32007;
const OVERSIZED_BATCH_RESPONSE: i64 = -32011;
const BATCH_TOO_LARGE: i64 = -32010;

/// A node with small limits (in MiB) whose open block stays open.
const SMALL: [&str; 8] = [
    "--dev.block-time",
    "1h",
    "--rpc.max-request-size",
    "1",
    "--rpc.max-response-size",
    "1",
    "--http.api",
    "eth,net,web3,txpool",
];

/// Entries that one batch may have, and bytes that one request may have.
const BATCH_ENTRIES_MAX: usize = 10_000;
const REQUEST_BYTES_MAX: usize = 1 << 20;

fn call(method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

fn code(answer: &Answer) -> i64 {
    answer.code().unwrap_or_else(|| panic!("{answer:?}"))
}

/// Bodies that are no JSON-RPC, with the code of each.
fn malformed() -> Vec<(&'static str, Vec<u8>, i64)> {
    let nested = |depth| [vec![b'['; depth], vec![b']'; depth]].concat();
    vec![
        ("nothing", vec![], PARSE_ERROR),
        ("words", b"nonsense".to_vec(), PARSE_ERROR),
        (
            "cut off",
            br#"{"jsonrpc":"2.0","id":1,"meth"#.to_vec(),
            PARSE_ERROR,
        ),
        (
            "not UTF-8",
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}".to_vec(),
            INVALID_REQUEST,
        ),
        (
            "another call behind",
            [call("eth_chainId", &json!([])), call("eth_chainId", &json!([]))]
                .concat()
                .into(),
            PARSE_ERROR,
        ),
        (
            "no method",
            br#"{"jsonrpc":"2.0","id":1}"#.to_vec(),
            INVALID_REQUEST,
        ),
        (
            "another version",
            br#"{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}"#.to_vec(),
            INVALID_REQUEST,
        ),
        ("empty batch", b"[]".to_vec(), INVALID_REQUEST),
        (
            "deeply nested parameters",
            [
                br#"{"jsonrpc":"2.0","id":1,"method":"eth_call","params":"#.to_vec(),
                nested(100_000),
                b"}".to_vec(),
            ]
            .concat(),
            INVALID_PARAMS,
        ),
    ]
}

/// Calls whose method or parameters are not known.
fn bad_calls() -> Vec<(&'static str, Value, i64)> {
    let address = Address::ZERO;
    vec![
        ("eth_nothing", json!([]), METHOD_NOT_FOUND),
        ("debug_traceTransaction", json!([]), METHOD_NOT_FOUND),
        ("engine_forkchoiceUpdatedV3", json!([]), METHOD_NOT_FOUND),
        ("eth_getBalance", json!([]), INVALID_PARAMS),
        ("eth_getBalance", json!(["0x12", "latest"]), INVALID_PARAMS),
        ("eth_getBalance", json!([address, "yesterday"]), INVALID_PARAMS),
        (
            "eth_getBalance",
            json!([address, "0x10000000000000000"]),
            INVALID_PARAMS,
        ),
        ("eth_getBlockByNumber", json!(["0x1", "yes"]), INVALID_PARAMS),
        ("eth_getBlockByHash", json!(["0x1234", false]), INVALID_PARAMS),
        ("eth_sendRawTransaction", json!([1]), INVALID_PARAMS),
        ("eth_sendRawTransaction", json!(["02f8"]), INVALID_PARAMS),
        ("eth_sendRawTransaction", json!({"raw": "0x"}), INVALID_PARAMS),
        ("eth_call", json!([{"to": "nobody"}]), INVALID_PARAMS),
        (
            "eth_getLogs",
            json!([{"fromBlock": "0x2", "toBlock": "0x1"}]),
            INVALID_PARAMS,
        ),
        ("eth_getLogs", json!(["all"]), INVALID_PARAMS),
    ]
}

#[test]
fn bad_requests_are_answered_and_change_nothing() {
    let datadir = tempfile::tempdir().unwrap();
    let node = Node::start(datadir.path(), &SMALL);
    let mut rpc = node.rpc();
    let sender = Wallet::dev(0);
    let raw = sender.sign(0, Action::Pay(Address::with_last_byte(0x77)));
    assert_eq!(
        rpc.call("eth_sendRawTransactionSync", json!([raw]))["status"],
        "0x1"
    );
    let before = rpc.call("eth_getBlockByNumber", json!(["pending", false]));

    for (name, body, expected) in malformed() {
        let answer = post(node.http(), "", &body);
        assert_eq!(code(&answer), expected, "{name}: {answer:?}");
    }
    for (method, params, expected) in bad_calls() {
        let answer = post(node.http(), "", call(method, &params).as_bytes());
        assert_eq!(code(&answer), expected, "{method} {params}: {answer:?}");
    }
    refuse_what_is_not_json_rpc_over_http(&node);
    refuse_what_is_too_large(&node);
    refuse_over_ws(&node);
    refuse_without_a_token(&node);

    let pool = rpc.call("txpool_status", json!([]));
    assert_eq!(pool, json!({"pending": "0x0", "queued": "0x0"}));
    assert_eq!(
        rpc.call("eth_getBlockByNumber", json!(["pending", false])),
        before
    );
    let raw = sender.sign(1, Action::Pay(Address::with_last_byte(0x77)));
    let receipt = rpc.call("eth_sendRawTransactionSync", json!([raw]));
    assert_eq!(parse_quantity(&receipt["transactionIndex"]), 1);
    assert!(node.stop().success());
}

fn refuse_what_is_not_json_rpc_over_http(node: &Node) {
    let get = exchange(
        node.http(),
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(get.status, 405, "{get:?}");
    let form = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\
                Content-Type: application/x-www-form-urlencoded\r\n\r\n{}";
    assert_eq!(exchange(node.http(), form.as_bytes()).status, 415);
    assert_eq!(
        exchange(node.http(), b"\x16\x03\x01 is no HTTP\r\n\r\n").status,
        400
    );
    let endless_header = [
        b"POST / HTTP/1.1\r\nX: ".as_slice(),
        &[b'x'; 1 << 20],
        b"\r\n\r\n",
    ]
    .concat();
    assert_eq!(exchange(node.http(), &endless_header).status, 431);
}

fn refuse_what_is_too_large(node: &Node) {
    let entry = call("eth_chainId", &json!([]));
    let batch = |entries: usize| format!("[{}]", vec![entry.as_str(); entries].join(","));
    let full = post(node.http(), "", batch(BATCH_ENTRIES_MAX).as_bytes()).json();
    assert_eq!(full.as_array().map(Vec::len), Some(BATCH_ENTRIES_MAX), "{full}");
    let answer = post(node.http(), "", batch(BATCH_ENTRIES_MAX + 1).as_bytes());
    assert_eq!(code(&answer), BATCH_TOO_LARGE, "{answer:?}");

    let answer = post(node.http(), "", &vec![b' '; REQUEST_BYTES_MAX + 1]);
    assert_eq!((answer.status, answer.code()), (413, Some(OVERSIZED_REQUEST)));
    // The length is a lie: nothing may be reserved for it.
    let lie = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
               Content-Length: 4000000000\r\n\r\n{}";
    assert_eq!(exchange(node.http(), lie.as_bytes()).status, 413);

    let block = call("eth_getBlockByNumber", &json!(["0x0", true]));
    let blocks = format!("[{}]", vec![block.as_str(); 5_000].join(","));
    let answer = post(node.http(), "", blocks.as_bytes());
    assert_eq!(
        code(&answer),
        OVERSIZED_BATCH_RESPONSE,
        "status {}",
        answer.status
    );
}

/// The port of the Engine API answers nobody who does not know its secret, and not with a token of another day.
fn refuse_without_a_token(node: &Node) {
    let address = node.address_in("RPC auth server started");
    let body = call("eth_chainId", &json!([]));
    let old = token(0);
    for header in [
        "",
        "Authorization: Bearer nonsense\r\n",
        &format!("Authorization: Bearer {old}\r\n"),
    ] {
        assert_eq!(post(address, header, body.as_bytes()).status, 401, "{header}");
    }
}

/// A token of that second, signed with a secret of our own.
fn token(issued_at: u64) -> String {
    let claims = json!({"iat": issued_at});
    let key = jsonwebtoken::EncodingKey::from_secret(&[7; 32]);
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

fn refuse_over_ws(node: &Node) {
    let mut ws = WsClient::connect(node.ws());
    for (text, expected) in [
        ("nonsense", PARSE_ERROR),
        ("[]", INVALID_REQUEST),
        ("{\"id\":1}", INVALID_REQUEST),
    ] {
        ws.send(text).unwrap();
        assert_eq!(ws.next().unwrap()["error"]["code"], expected, "{text}");
    }
    for (kind, expected) in [("newMoons", INVALID_PARAMS), ("", INVALID_PARAMS)] {
        let answer = ws.call("eth_subscribe", &json!([kind]));
        assert_eq!(answer["error"]["code"], expected, "{answer}");
    }
    let answer = ws.call("eth_unsubscribe", &json!(["0x1"]));
    assert!(
        answer["error"]["code"].is_i64() || answer["result"] == false,
        "{answer}"
    );
    // The connection is as good as before.
    assert!(ws.call("eth_chainId", &json!([]))["result"].is_string());
    // What is too large is refused with the connection or without it, but never taken.
    let refused = ws
        .send(&" ".repeat(REQUEST_BYTES_MAX + 1))
        .and_then(|()| ws.next());
    assert!(
        refused
            .as_ref()
            .map_or(true, |answer| answer["error"]["code"] == OVERSIZED_REQUEST),
        "{refused:?}"
    );
}
