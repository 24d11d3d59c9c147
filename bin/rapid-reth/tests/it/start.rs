//! A good start and a good end.

use std::{path::Path, process::Command};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process::{Running, http, run};

/// What scripts look for, in order.
const START_LINES: [&str; 17] = [
    "Initialized tracing, debug log directory: ",
    "Starting rapid-reth version=",
    "Opening database path=",
    "Launching node",
    "Configuration loaded path=",
    "Database opened",
    "hard forks",
    "Loaded storage settings",
    "Transaction pool initialized",
    "JIT compiler started enabled=true workers=1 code_cache_bytes=268435456",
    "Consensus engine initialized",
    "Engine API handler initialized",
    "RPC auth server started url=127.0.0.1:",
    "RPC HTTP server started url=127.0.0.1:",
    "RPC WS server started url=127.0.0.1:",
    "Starting metrics endpoint",
    "Starting consensus engine",
];

fn call(node: &mut Running, method: &str, params: Value) -> Value {
    let address = node.address("RPC HTTP server started");
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    serde_json::from_str::<Value>(&http(address, "POST", &request.to_string())).unwrap()["result"].take()
}

#[test]
fn a_node_says_what_it_does_in_reths_order_and_ends_well_on_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Running::start(dir.path(), &["--dev", "--ws", "--metrics", "127.0.0.1:0"]);
    let mut lines = node.output.iter();
    for expected in START_LINES {
        assert!(
            lines.any(|line| line.contains(expected)),
            "no {expected:?} in order in\n{}",
            node.output.join("\n")
        );
    }
    assert_eq!(call(&mut node, "eth_chainId", json!([])), "0x539");
    let metrics = node.address("Starting metrics endpoint");
    let text = http(metrics, "GET", "");
    for name in [
        "reth_info{",
        "reth_chain_spec{name=\"dev\"} 1",
        "reth_process_resident_memory_bytes ",
        "rapid_reth_jit_enabled ",
    ] {
        assert!(text.contains(name), "no {name} in\n{text}");
    }
    assert_eq!(node.stop(Signal::TERM), Some(0));
    let output = node.output.join("\n");
    assert!(
        output.contains("Received SIGTERM") && !output.contains("ERROR"),
        "{output}"
    );
    for file in [
        "reth.toml",
        "jwt.hex",
        "rapid/log",
        "rapid/history",
        "rapid/jit-profile",
        ".cache/reth/logs/dev/reth.log",
    ] {
        assert!(dir.path().join(file).exists(), "{file} is missing");
    }
}

#[test]
fn the_compiler_is_switched_off_and_on_again() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = [
        "--dev",
        "--http.api",
        "eth,reth",
        "--jit=off",
        "--jit.worker-count",
        "2",
    ];
    let mut node = Running::start(dir.path(), &arguments);
    node.line("JIT compiler started enabled=false workers=2");
    assert_eq!(call(&mut node, "reth_jitStatus", json!([]))["enabled"], false);
    assert_eq!(call(&mut node, "reth_jit", json!(["enable"])), Value::Null);
    assert_eq!(call(&mut node, "reth_jitStatus", json!([]))["enabled"], true);
    assert_eq!(node.stop(Signal::TERM), Some(0));
}

#[test]
fn what_was_mined_is_there_after_sigint_and_a_second_start() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--dev", "--log.file.max-files", "0"];
    let mut node = Running::start(dir.path(), &arguments);
    let from = call(&mut node, "eth_accounts", json!([]))[0].clone();
    let transaction = json!({ "from": from, "to": from, "value": "0x1" });
    let hash = call(&mut node, "eth_sendTransaction", json!([transaction]));
    node.line("Block added to canonical chain");
    let receipt = call(&mut node, "eth_getTransactionReceipt", json!([hash]));
    assert_eq!(receipt["blockNumber"], "0x1", "{receipt}");
    assert_eq!(node.stop(Signal::INT), Some(0));
    assert!(node.output.join("\n").contains("Received ctrl-c"));
    let mut again = Running::start(dir.path(), &arguments);
    assert_eq!(
        call(&mut again, "eth_getTransactionReceipt", json!([hash])),
        receipt
    );
    assert_eq!(call(&mut again, "eth_blockNumber", json!([])), "0x1");
    assert_eq!(again.stop(Signal::TERM), Some(0));
    assert_exported(dir.path());
}

/// The block goes into a file and out of it again, into a datadir of its own.
fn assert_exported(datadir: &Path) {
    let file = datadir.join("blocks.rlp");
    let path = file.to_str().unwrap();
    let copy = datadir.join("copy");
    assert!(run(datadir, &["export", "--chain", "dev", path]).status.success());
    assert!(std::fs::metadata(&file).unwrap().len() > 500);
    let again = run(datadir, &["export", "--chain", "dev", path]);
    assert_eq!(again.status.code(), Some(1), "a file is never overwritten");
    let import = run(&copy, &["import", "--chain", "dev", path]);
    let output = String::from_utf8(import.stdout).unwrap();
    assert!(
        import.status.success() && output.contains("blocks=1 skipped=0 txs=1"),
        "{output}"
    );
    let twice = run(&copy, &["import", "--chain", "dev", path]);
    assert!(
        String::from_utf8(twice.stdout)
            .unwrap()
            .contains("blocks=0 skipped=1")
    );
}

#[test]
fn a_damaged_file_of_blocks_is_told_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("blocks.rlp");
    std::fs::write(&file, [0xf9, 0xff, 0xff, 1, 2, 3]).unwrap();
    let path = file.to_str().unwrap();
    let lenient = run(dir.path(), &["import", "--chain", "dev", path]);
    assert!(
        lenient.status.success(),
        "as in reth, what is valid stays and the rest is a warning"
    );
    assert!(
        String::from_utf8(lenient.stdout)
            .unwrap()
            .contains("ends inside it")
    );
    let strict = run(
        dir.path(),
        &["import", "--chain", "dev", "--fail-on-invalid-block", path],
    );
    assert_eq!(strict.status.code(), Some(1));
    assert!(
        String::from_utf8(strict.stderr)
            .unwrap()
            .contains(&format!("entry 0 of {path}"))
    );
}

#[test]
fn init_says_the_genesis_hash_and_utilities_print_only_their_answer() {
    let dir = tempfile::tempdir().unwrap();
    let init = run(dir.path(), &["init", "--chain", "dev"]);
    let output = String::from_utf8(init.stdout).unwrap();
    assert!(init.status.success());
    // The published hash of reth's dev chain.
    assert!(
        output.contains("0x683713729fcb72be6f3d8b88c8cda3e10569d73b9640d3bf6f5184d94bd97616"),
        "{output}"
    );
    let program = crate::process::command(dir.path(), &[]).get_program().to_owned();
    let dump = Command::new(program)
        .args(["dump-genesis", "--chain", "realtime"])
        .output()
        .unwrap();
    let genesis: Value = serde_json::from_slice(&dump.stdout).unwrap();
    assert!(genesis["config"]["chainId"].is_number(), "{genesis}");
}

#[test]
fn public_networks_need_no_genesis_file() {
    for (network, hash) in [
        (
            "mainnet",
            "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
        ),
        (
            "hoodi",
            "0xbbe312868b376a3001692a646dd2d7d1e4406380dfd86b98aa8a34d1557c971b",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let init = run(dir.path(), &["init", "--chain", network]);
        let output = String::from_utf8(init.stdout).unwrap();
        assert!(init.status.success() && output.contains(hash), "{output}");
        // The datadir is recognised as that chain's.
        let again = run(dir.path(), &["init", "--chain", network]);
        assert!(again.status.success(), "{network}");
    }
    let program = crate::process::command(Path::new(""), &[])
        .get_program()
        .to_owned();
    // mainnet is what a command is about that is not told a chain.
    let dump = Command::new(program).arg("dump-genesis").output().unwrap();
    let genesis: Value = serde_json::from_slice(&dump.stdout).unwrap();
    assert_eq!(genesis["config"]["chainId"], 1);
    assert_eq!(genesis["alloc"].as_object().unwrap().len(), 8893);
}
