//! The ledgers of methods and metrics against a running node.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::process::{Running, http};

/// JSON-RPC's code of an unknown method.
const METHOD_NOT_FOUND: i64 = -32601;

#[derive(Deserialize)]
struct Methods {
    method: Vec<Method>,
}

#[derive(Deserialize)]
struct Method {
    name: String,
    status: String,
    /// Whether it is served outside the JWT port.
    #[serde(default = "yes")]
    public: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct Series {
    metric: Vec<Metric>,
}

#[derive(Deserialize)]
struct Metric {
    name: String,
    status: String,
}

#[test]
fn methods_and_metrics_are_what_the_ledgers_say() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = [
        "--dev",
        "--http.api",
        "all",
        "--metrics",
        "0",
        "--log.file.max-files",
        "0",
    ];
    let mut node = Running::start(dir.path(), &arguments);
    let rpc = node.address("RPC HTTP server started");
    let methods: Methods = toml::from_str(include_str!("../../../../patches/rpc-methods.toml")).unwrap();
    let calls: Vec<Value> = methods
        .method
        .iter()
        .enumerate()
        // Parameters that fit nothing: a method that exists refuses them or answers, and changes nothing.
        .map(|(id, method)| json!({ "jsonrpc": "2.0", "id": id, "method": method.name, "params": ["?", "?", "?", "?"] }))
        .collect();
    let answers: Vec<Value> =
        serde_json::from_str(&http(rpc, "POST", &Value::from(calls).to_string())).unwrap();
    assert_eq!(answers.len(), methods.method.len());
    for answer in answers {
        let method = &methods.method[usize::try_from(answer["id"].as_u64().unwrap()).unwrap()];
        let served = answer["error"]["code"] != METHOD_NOT_FOUND;
        assert_eq!(
            served,
            method.public && method.status == "implemented",
            "{}: {answer}",
            method.name
        );
    }

    // A call that succeeds, so that its counters exist.
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [] });
    assert!(http(rpc, "POST", &call.to_string()).contains("0x539"));
    let metrics = node.address("Starting metrics endpoint");
    let text = http(metrics, "GET", "");
    let names: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let ledger: Series = toml::from_str(include_str!("../../../../patches/metrics.toml")).unwrap();
    for metric in &ledger.metric {
        let published = names.contains(metric.name.as_str());
        assert_eq!(
            published,
            metric.status == "implemented",
            "{} in\n{text}",
            metric.name
        );
    }
}
