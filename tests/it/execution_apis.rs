//! The chain that the recorded conversations of execution-apis are about: imported, chosen by a consensus client, asked.

use crate::{
    http::{Answer, post},
    io_case::{IoCase, cases, difference},
    process::{Node, run_well},
    workspace,
};
use alloy_consensus::Transaction;
use alloy_primitives::{B256, b256};
use alloy_rlp::Decodable;
use alloy_rpc_types_engine::{
    Claims, ExecutionPayloadFieldV2, ExecutionPayloadV1, ExecutionPayloadV3, JwtSecret,
};
use rapid_primitives::Block;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The last block of the chain.
const HEAD: B256 = b256!("0xd226371d0b1551adb03fb52b71f08e3e11247fe9b1af994768af8cdaa8e7dcd7");
/// Its number.
const HEAD_NUMBER: u64 = 54;
/// JSON-RPC's code of a method that is not served.
const METHOD_NOT_FOUND: i64 = -32601;

/// The conversations, which the repository does not hold.
fn vectors() -> Option<PathBuf> {
    let folder = workspace::root().join("../shared/conformance/execution-apis/tests");
    if folder.is_dir() {
        Some(folder)
    } else {
        println!("skipped: there is no {}", folder.display());
        None
    }
}

/// A consensus client: signs what it sends.
struct ConsensusClient {
    address: SocketAddr,
    secret: JwtSecret,
}

impl ConsensusClient {
    fn of(node: &Node, datadir: &Path) -> Self {
        Self {
            address: node.address_in("RPC auth server started"),
            secret: JwtSecret::from_file(&datadir.join("jwt.hex")).unwrap(),
        }
    }

    fn post(&self, body: &str) -> Answer {
        let token = self.secret.encode(&Claims::with_current_timestamp()).unwrap();
        let header = format!("Authorization: Bearer {token}\r\n");
        post(self.address, &header, body.as_bytes())
    }

    fn call(&self, method: &str, params: Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.post(&request.to_string()).json()
    }
}

/// A node with the blocks of a file imported, and who drives it.
fn start(vectors: &Path, blocks: &Path, datadir: &Path) -> (Node, ConsensusClient) {
    let genesis = vectors.join("genesis.json");
    let chain = genesis.to_str().unwrap();
    run_well(&["init", "--chain", chain], datadir);
    let blocks = blocks.to_str().unwrap();
    run_well(
        &["import", "--chain", chain, "--fail-on-invalid-block", blocks],
        datadir,
    );
    let node = Node::follow(datadir, &genesis, &["--http.api", "all"]);
    let client = ConsensusClient::of(&node, datadir);
    (node, client)
}

#[test]
fn a_consensus_client_chooses_the_head_of_an_imported_chain() {
    let Some(vectors) = vectors() else { return };
    let datadir = tempfile::tempdir().unwrap();
    let (node, client) = start(&vectors, &vectors.join("chain.rlp"), datadir.path());
    let mut rpc = node.rpc();
    let finalized =
        |rpc: &mut crate::rpc::RpcClient| rpc.call("eth_getBlockByNumber", json!(["finalized", false]));
    assert_eq!(finalized(&mut rpc), Value::Null, "nobody has said so yet");
    let update = std::fs::read_to_string(vectors.join("headfcu.json")).unwrap();
    let unsigned = post(client.address, "", update.as_bytes());
    assert_eq!(unsigned.status, 401);
    let answer = client.post(&update).json();
    let valid = json!({
        "payloadStatus": {"status": "VALID", "latestValidHash": HEAD, "validationError": null},
        "payloadId": null
    });
    assert_eq!(answer["result"], valid, "{answer}");
    assert_eq!(rpc.quantity("eth_blockNumber", json!([])), HEAD_NUMBER);
    let head = rpc.call("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(head["hash"], json!(HEAD));
    assert_eq!(finalized(&mut rpc)["hash"], json!(HEAD));
    let served = client.call("engine_exchangeCapabilities", json!([["engine_newPayloadV4"]]));
    let served = served["result"].as_array().unwrap().clone();
    assert!(
        served.contains(&json!("engine_newPayloadV4")) && !served.contains(&json!("engine_getPayloadV4"))
    );
    let range = client.call("engine_getPayloadBodiesByRangeV1", json!(["0x36", "0x20"]));
    assert_eq!(range["result"].as_array().unwrap().len(), 1, "{range}");
    report(&conversations(&vectors, node.http()));
    assert!(node.output().contains("Forkchoice updated"));
    assert!(node.stop().success());
}

/// First block that comes as a payload: the second of the Paris fork.
const FED_FROM: usize = 37;
/// Last such block: the one before Prague, whose requests no file of blocks has.
const FED_TO: usize = 44;

/// A block as a consensus client sends it: the method and its parameters.
fn payload(block: &Block) -> (&'static str, Value) {
    let hash = block.header.hash_slow();
    match block.header.parent_beacon_block_root {
        Some(root) => {
            let payload = ExecutionPayloadV3::from_block_unchecked(hash, block);
            let transactions = block.body.transactions.iter();
            let hashes: Vec<B256> = transactions
                .filter_map(|transaction| transaction.blob_versioned_hashes())
                .flatten()
                .copied()
                .collect();
            ("engine_newPayloadV3", json!([payload, hashes, root]))
        }
        None if block.body.withdrawals.is_some() => {
            let payload = ExecutionPayloadFieldV2::from_block_unchecked(hash, block);
            ("engine_newPayloadV2", json!([payload]))
        }
        None => {
            let payload = ExecutionPayloadV1::from_block_unchecked(hash, block);
            ("engine_newPayloadV1", json!([payload]))
        }
    }
}

#[test]
fn a_consensus_client_feeds_blocks_one_by_one() {
    let Some(vectors) = vectors() else { return };
    let chain = std::fs::read(vectors.join("chain.rlp")).unwrap();
    let mut rest = chain.as_slice();
    let mut blocks = vec![(Block::default(), 0)];
    while !rest.is_empty() {
        let block = Block::decode(&mut rest).unwrap();
        blocks.push((block, chain.len() - rest.len()));
    }
    let scratch = tempfile::tempdir().unwrap();
    let (datadir, imported) = (scratch.path().join("data"), scratch.path().join("imported.rlp"));
    std::fs::write(&imported, &chain[..blocks[FED_FROM - 1].1]).unwrap();
    let (node, client) = start(&vectors, &imported, &datadir);
    let mut rpc = node.rpc();
    assert_eq!(rpc.quantity("eth_blockNumber", json!([])), FED_FROM as u64 - 1);
    // The first one comes last, so all others wait for it.
    for (block, _) in blocks[FED_FROM + 1..=FED_TO].iter().rev() {
        let (method, params) = payload(block);
        assert_eq!(client.call(method, params)["result"]["status"], "SYNCING");
    }
    for (block, _) in &blocks[FED_FROM..=FED_TO] {
        let (method, params) = payload(block);
        let answer = client.call(method, params);
        assert_eq!(answer["result"]["status"], "VALID", "{method}: {answer}");
    }
    let (last, before) = (&blocks[FED_TO].0.header, &blocks[FED_TO - 1].0.header);
    let state = json!({
        "headBlockHash": last.hash_slow(),
        "safeBlockHash": before.hash_slow(),
        "finalizedBlockHash": B256::ZERO,
    });
    let answer = client.call("engine_forkchoiceUpdatedV3", json!([state, null]));
    assert_eq!(answer["result"]["payloadStatus"]["status"], "VALID", "{answer}");
    assert_eq!(rpc.quantity("eth_blockNumber", json!([])), FED_TO as u64);
    let safe = rpc.call("eth_getBlockByNumber", json!(["safe", false]));
    assert_eq!(safe["hash"], json!(before.hash_slow()));
    node.kill();
    // What was answered VALID and chosen is durable.
    let again = Node::follow(&datadir, &vectors.join("genesis.json"), &[]);
    let latest = again.rpc().call("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(latest["hash"], json!(last.hash_slow()));
    assert!(again.stop().success());
}

/// What became of the conversations with one method.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    /// Answered without an error where the recorded values do not count.
    form_only: usize,
    not_served: usize,
    failed: Vec<String>,
}

fn conversations(vectors: &Path, node: SocketAddr) -> BTreeMap<String, Tally> {
    let mut tallies = BTreeMap::<String, Tally>::new();
    for case in cases(vectors) {
        let tally = tallies.entry(case.method().to_owned()).or_default();
        match converse(&case, node) {
            Ok(()) if case.form_only => tally.form_only += 1,
            Ok(()) => tally.passed += 1,
            Err(None) => tally.not_served += 1,
            Err(Some(reason)) => tally.failed.push(format!("{}: {reason}", case.name)),
        }
    }
    tallies
}

/// Nothing as the reason means that the method is not served.
fn converse(case: &IoCase, node: SocketAddr) -> Result<(), Option<String>> {
    for (request, expected) in &case.turns {
        let found = post(node, "", request.as_bytes()).json();
        if found["error"]["code"].as_i64() == Some(METHOD_NOT_FOUND) {
            return Err(None);
        }
        let difference = match case.form_only && expected.get("error").is_none() {
            true => found.get("error").map(Value::to_string),
            false => difference(expected, &found, ""),
        };
        if difference.is_some() {
            return Err(difference);
        }
    }
    Ok(())
}

/// For information: which methods answer as recorded is for the methods' own tests to hold.
fn report(tallies: &BTreeMap<String, Tally>) {
    println!("method                                      passed  form  failed  not served");
    let mut total = [0; 4];
    for (method, tally) in tallies {
        let counts = [
            tally.passed,
            tally.form_only,
            tally.failed.len(),
            tally.not_served,
        ];
        let [passed, form, failed, not_served] = counts;
        println!("{method:<43} {passed:>6} {form:>5} {failed:>7} {not_served:>11}");
        total = std::array::from_fn(|index| total[index] + counts[index]);
    }
    let [passed, form, failed, not_served] = total;
    println!("{:<43} {passed:>6} {form:>5} {failed:>7} {not_served:>11}", "all");
    for failure in tallies.values().flat_map(|tally| &tally.failed) {
        println!("  {failure}");
    }
}
