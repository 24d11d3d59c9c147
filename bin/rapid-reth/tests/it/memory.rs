//! A node that does not have the memory it needs, at the start and while it runs.

use std::{collections::BTreeMap, fs, path::Path};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process::{Running, http, run, run_to_failure};

/// Calldata of a transaction that makes the node's memory grow.
const GROWTH_BYTES: usize = 100 << 10;
/// Far more of them than it takes to fill [`ROOM`].
const GROWTH_MAX: usize = 4_000;
/// Distance of the hard mark from what a node takes after its start.
const ROOM: u64 = 24 << 20;

/// What a call answers: the result, or the error.
fn call(node: &mut Running, method: &str, params: Value) -> Result<Value, Value> {
    let address = node.address("RPC HTTP server started");
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let mut answer: Value = serde_json::from_str(&http(address, "POST", &request.to_string())).unwrap();
    match answer.get_mut("error") {
        Some(error) => Err(error.take()),
        None => Ok(answer["result"].take()),
    }
}

fn send(node: &mut Running, from: &Value, data: &str) -> Result<Value, Value> {
    let transaction = json!({ "from": from, "to": from, "data": data, "gas": "0x800000" });
    call(node, "eth_sendTransaction", json!([transaction]))
}

/// Every file below a directory with its content.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.insert(path.display().to_string(), Vec::new());
            found.extend(files(&path));
        } else {
            found.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    found
}

/// Anonymous memory of a process, in bytes.
fn anonymous_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .strip_suffix("kB")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    kib * 1024
}

#[test]
fn a_state_that_does_not_fit_is_refused_with_the_numbers_and_nothing_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let node = ["node", "--dev", "--ipcdisable", "--log.file.max-files", "0"];
    let limited = ["--state.memory-limit", "1MiB"];
    let start: Vec<&str> = node.into_iter().chain(limited).collect();
    run_to_failure(dir.path(), &start, 1);
    assert!(files(dir.path()).is_empty(), "an empty directory stays empty");

    assert!(run(dir.path(), &["init", "--chain", "dev"]).status.success());
    let before = files(dir.path());
    let blocks = dir.path().with_extension("rlp");
    fs::write(&blocks, []).unwrap();
    let others = [
        vec!["init", "--chain", "dev"],
        vec!["import", "--chain", "dev", blocks.to_str().unwrap()],
    ];
    let others = others
        .into_iter()
        .map(|command| command.into_iter().chain(limited).collect());
    for arguments in std::iter::once(start).chain(others) {
        let stderr = run_to_failure(dir.path(), &arguments, 1);
        for part in [
            "does not fit in memory",
            "1.0 MiB available by --state.memory-limit",
            "accounts",
            "undo ring",
        ] {
            assert!(stderr.contains(part), "no {part:?} in {stderr}");
        }
    }
    assert!(files(dir.path()) == before, "nothing was changed");
    fs::remove_file(blocks).unwrap();
}

#[test]
fn marks_and_policies_that_make_no_sense_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let node = |arguments: &[&'static str]| {
        let all = ["node", "--dev", "--ipcdisable", "--log.file.max-files", "0"];
        all.into_iter()
            .chain(arguments.iter().copied())
            .collect::<Vec<_>>()
    };
    for (arguments, text) in [
        (&["--state.overflow", "spill"][..], "spill is not available"),
        (&["--state.memory-limit", "many"], "as in 16GiB"),
        (&["--state.soft-mark", "120%"], "at most 100%"),
    ] {
        let stderr = run_to_failure(dir.path(), &node(arguments), 2);
        assert!(stderr.contains(text), "{stderr}");
    }
    let swapped = ["--state.soft-mark", "90%", "--state.hard-mark", "80%"];
    let stderr = run_to_failure(dir.path(), &node(&swapped), 1);
    assert!(
        stderr.contains("--state.soft-mark") && stderr.contains("must be below"),
        "{stderr}"
    );
    assert!(files(dir.path()).is_empty());
}

#[test]
fn a_node_at_the_hard_mark_is_read_only_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let plain = ["--dev", "--log.file.max-files", "0", "--metrics", "0"];
    let mut node = Running::start(dir.path(), &plain);
    let from = call(&mut node, "eth_accounts", json!([])).unwrap()[0].clone();
    send(&mut node, &from, "0x").unwrap();
    let hard = anonymous_bytes(node.pid()) + ROOM;
    assert_eq!(node.stop(Signal::TERM), Some(0));

    let (soft, hard) = ((hard - ROOM / 4).to_string(), hard.to_string());
    let marks = ["--state.soft-mark", &soft, "--state.hard-mark", &hard];
    let mut node = Running::start(dir.path(), &[&plain[..], &marks].concat());
    let (hashes, refused) = send_until_refused(&mut node, &from);
    assert_eq!(refused["code"], -32003, "{refused}");
    assert!(
        refused["message"].as_str().unwrap().contains("read-only"),
        "{refused}"
    );
    node.line("Memory is above the hard mark");

    // What waited in the pool when production stopped has no receipt; what was announced stays.
    let receipts = receipts(&mut node, &hashes);
    assert!(!receipts.is_empty());
    let head = call(&mut node, "eth_blockNumber", json!([])).unwrap();
    let nonce = call(&mut node, "eth_getTransactionCount", json!([from, "latest"])).unwrap();
    let raw = call(&mut node, "eth_getRawTransactionByHash", json!([hashes[0]])).unwrap();
    let again = call(&mut node, "eth_sendRawTransaction", json!([raw])).unwrap_err();
    assert_eq!(again["code"], -32003, "{again}");
    let metrics = http(node.address("Starting metrics endpoint"), "GET", "");
    for series in [
        "rapid_reth_node_memory_pressure 2",
        "rapid_reth_node_memory_crossings_total{to=\"hard\"} 1",
        "rapid_reth_sequencer_production_paused 1",
        "rapid_reth_pool_rejected_total{reason=\"read_only\"} ",
        &format!("rapid_reth_node_memory_hard_mark_bytes {hard}"),
    ] {
        assert!(metrics.contains(series), "no {series} in\n{metrics}");
    }
    node.stop(Signal::KILL);

    let mut node = Running::start(dir.path(), &plain);
    // The last ones may have been on their way to be announced when it was asked.
    let recovered = call(&mut node, "eth_blockNumber", json!([])).unwrap();
    assert!(
        quantity(&recovered) >= quantity(&head),
        "{recovered} after {head}"
    );
    let recovered = call(&mut node, "eth_getTransactionCount", json!([from, "latest"])).unwrap();
    assert!(
        quantity(&recovered) >= quantity(&nonce),
        "{recovered} after {nonce}"
    );
    let recovered = self::receipts(&mut node, &hashes);
    assert!(recovered.starts_with(&receipts), "receipts were lost or changed");
    send(&mut node, &from, "0x").unwrap();
    assert_eq!(node.stop(Signal::TERM), Some(0));
}

/// Sends transactions until the node refuses one; returns the hashes of those it took, and the error.
fn send_until_refused(node: &mut Running, from: &Value) -> (Vec<Value>, Value) {
    let data = format!("0x{}", "ab".repeat(GROWTH_BYTES));
    let mut hashes = Vec::new();
    while hashes.len() < GROWTH_MAX {
        match send(node, from, &data) {
            Ok(hash) => hashes.push(hash),
            // Slower than they are sent: that is the soft mark.
            Err(error) if error["message"] == "txpool is full" => {}
            Err(error) => return (hashes, error),
        }
    }
    panic!("{GROWTH_MAX} transactions of {GROWTH_BYTES} bytes did not fill {ROOM} bytes");
}

/// The receipts there are, without what only the seal of their block says.
fn receipts(node: &mut Running, hashes: &[Value]) -> Vec<Value> {
    let ask = |hash| call(node, "eth_getTransactionReceipt", json!([hash])).unwrap();
    let unsealed = |mut receipt: Value| {
        receipt.as_object_mut()?.remove("blockHash");
        Some(receipt)
    };
    hashes.iter().map(ask).filter_map(unsealed).collect()
}

fn quantity(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}
