//! `kill -9` at random moments under load: whatever a client saw is there afterwards.

use crate::{
    export_import::{assert_second_process_agrees, await_block},
    process::Node,
    rpc::{RpcClient, parse_quantity},
    wallet::{Action, Wallet, deploy_token},
};
use alloy_primitives::Address;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    env,
    net::SocketAddr,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Clients that send at the same time, each from an account of its own.
const SENDERS: u32 = 4;

/// Rounds without `RAPID_KILL_ROUNDS`.
const DEFAULT_ROUNDS: u64 = 3;

/// The kill comes this long after the load began, at random.
const KILL_AFTER_MS: std::ops::Range<u64> = 20..1_500;

/// Fields of a receipt or log that change when the block around it is sealed: until then the hash is zero.
const SET_BY_SEALING: [&str; 2] = ["blockHash", "blockTimestamp"];

/// What the clients and the test itself have seen of the chain.
#[derive(Debug, Default)]
struct Seen {
    /// Receipts by transaction hash, as first answered.
    receipts: BTreeMap<String, Value>,
    /// Hashes of sealed blocks by number.
    blocks: BTreeMap<u64, String>,
}

#[test]
fn what_a_client_saw_survives_kill_9() {
    let rounds = number_from_environment("RAPID_KILL_ROUNDS").unwrap_or(DEFAULT_ROUNDS);
    let seed = number_from_environment("RAPID_KILL_SEED").unwrap_or_else(time_seed);
    println!("{rounds} rounds, RAPID_KILL_SEED={seed}");
    let mut random = SplitMix(seed);

    let datadir = tempfile::tempdir().unwrap();
    let wallets: Vec<_> = (0..SENDERS).map(Wallet::dev).collect();
    let mut node = Node::start(datadir.path(), &[]);
    let token = deploy_token(&mut node.rpc(), &wallets[0], &wallets[1..]);
    let mut seen = Seen::default();
    for round in 0..rounds {
        let lifetime = Duration::from_millis(random.within(KILL_AFTER_MS));
        let before = seen.receipts.len();
        let address = node.http();
        let senders: Vec<_> = wallets
            .iter()
            .cloned()
            .map(|wallet| thread::spawn(move || send_until_dead(address, &wallet, token)))
            .collect();
        thread::sleep(lifetime);
        seen.note_blocks(&mut node.rpc());
        node.kill();
        for sender in senders {
            seen.receipts.extend(sender.join().unwrap());
        }
        println!(
            "round {round}: killed after {lifetime:?}, {} receipts",
            seen.receipts.len() - before
        );

        node = Node::start(datadir.path(), &[]);
        let mut rpc = node.rpc();
        let head = rpc.quantity("eth_blockNumber", json!([]));
        seen.check(&mut rpc);
        await_block(&mut rpc, head + 1);
    }
    assert!(!seen.receipts.is_empty(), "no client saw a receipt");

    let mut rpc = node.rpc();
    let receipts_head = seen
        .receipts
        .values()
        .map(|receipt| parse_quantity(&receipt["blockNumber"]))
        .max()
        .unwrap();
    await_block(&mut rpc, receipts_head + 1);
    seen.check(&mut rpc);
    check_chain(&mut rpc);
    assert!(node.stop().success());
    assert_second_process_agrees(datadir.path());
}

/// Sends transactions one by one, with the receipt as the answer, until the node is gone; returns the receipts by hash.
fn send_until_dead(address: SocketAddr, wallet: &Wallet, token: Address) -> Vec<(String, Value)> {
    let mut receipts = Vec::new();
    let Ok(mut rpc) = RpcClient::connect(address) else {
        return receipts;
    };
    let Ok(Ok(nonce)) = rpc.try_call("eth_getTransactionCount", json!([wallet.address(), "latest"])) else {
        return receipts;
    };
    for nonce in parse_quantity(&nonce).. {
        let to = Address::repeat_byte(0x80 | nonce as u8);
        let action = match nonce % 3 {
            0 => Action::Pay(to),
            _ => Action::MoveTokens {
                token,
                to,
                amount: nonce % 100 + 1,
            },
        };
        match rpc.try_call("eth_sendRawTransactionSync", json!([wallet.sign(nonce, action)])) {
            Ok(Ok(receipt)) => {
                let hash = receipt["transactionHash"].as_str().unwrap().to_owned();
                receipts.push((hash, receipt));
            }
            Ok(Err(error)) => panic!("nonce {nonce} of {}: {error:?}", wallet.address()),
            Err(_) => break,
        }
    }
    receipts
}

impl Seen {
    /// Notes the hashes of all blocks sealed so far, as a client that watches new heads would.
    fn note_blocks(&mut self, rpc: &mut RpcClient) {
        let head = rpc.quantity("eth_blockNumber", json!([]));
        let next = self.blocks.last_key_value().map_or(0, |(number, _)| number + 1);
        for number in next..=head {
            self.blocks.insert(number, block_hash(rpc, number));
        }
    }

    /// Compares everything seen with what the node answers now.
    fn check(&self, rpc: &mut RpcClient) {
        for (hash, receipt) in &self.receipts {
            let now = rpc.call("eth_getTransactionReceipt", json!([hash]));
            assert_eq!(
                without_seal(&now),
                without_seal(receipt),
                "receipt of {hash} changed"
            );
        }
        for (number, hash) in &self.blocks {
            assert_eq!(&block_hash(rpc, *number), hash, "block {number} changed");
        }
    }
}

fn block_hash(rpc: &mut RpcClient, number: u64) -> String {
    let block = rpc.call("eth_getBlockByNumber", json!([format!("{number:#x}"), false]));
    block["hash"]
        .as_str()
        .unwrap_or_else(|| panic!("block {number} is gone"))
        .to_owned()
}

/// Walks the whole chain by parent hash.
fn check_chain(rpc: &mut RpcClient) {
    let head = rpc.quantity("eth_blockNumber", json!([]));
    let mut parent: Option<Value> = None;
    for number in 0..=head {
        let block = rpc.call("eth_getBlockByNumber", json!([format!("{number:#x}"), false]));
        if let Some(parent) = parent {
            assert_eq!(block["parentHash"], parent["hash"], "block {number}");
            assert!(
                parse_quantity(&block["timestamp"]) > parse_quantity(&parent["timestamp"]),
                "block {number}"
            );
        }
        parent = Some(block);
    }
}

/// The receipt without what sealing its block fills in.
fn without_seal(receipt: &Value) -> Value {
    let mut receipt = receipt.clone();
    strip(&mut receipt);
    for log in receipt
        .get_mut("logs")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        strip(log);
    }
    receipt
}

fn strip(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| !SET_BY_SEALING.contains(&name.as_str()));
    }
}

pub(crate) fn number_from_environment(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

pub(crate) fn time_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// SplitMix64.
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }
}
