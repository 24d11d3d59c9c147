//! The methods, over HTTP and WebSocket, on a development chain whose blocks the test makes.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use alloy_signer::SignerSync;
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use jsonrpsee::{
    core::client::{Subscription, SubscriptionClientT},
    rpc_params,
    ws_client::{WsClient, WsClientBuilder},
};
use rapid_chain::Chain;
use rapid_chainspec::{DEV_CHAIN_ID, DEV_MNEMONIC};
use rapid_pool::{Recovery, RecoveryConfig};
use rapid_rpc::{
    DevSigners, EngineInfo, EthConfig, EthParts, LatestState, NamespaceSelection, RpcModules,
    RpcServerConfig, RpcServers, TcpConfig,
};
use serde_json::{Value, json};

use crate::{
    http::{SilentClient, call, fail, rpc},
    producer::{End, Producer},
};

/// Deploys a contract that stores the first word of its input in slot 0, logs it under topic 42 and answers it, and
/// that reverts without input.
const DEPLOY: [u8; 34] = hex!("60198060095f395ff3366007575f5ffd5b5f35805f555f52602a60205fa160205ff3");

pub(crate) struct Node {
    producer: Producer,
    http: SocketAddr,
    ws: SocketAddr,
    _servers: RpcServers,
    _directory: tempfile::TempDir,
}

impl Node {
    pub(crate) async fn start(config: EthConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let producer = Producer::new(directory.path());
        let recovery = Recovery::start(RecoveryConfig::new(producer.pool.config().decode_limits())).unwrap();
        let parts = EthParts {
            chain: producer.chain.clone(),
            pool: producer.pool.clone(),
            recovery: Arc::new(recovery),
            engine: None,
            signers: DevSigners::from_mnemonic(DEV_MNEMONIC, 3).unwrap(),
            config,
        };
        let modules = RpcModules::of_node(parts, EngineInfo::default()).unwrap();
        let listen = TcpConfig {
            namespaces: NamespaceSelection::all(),
            ..TcpConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)))
        };
        let config = RpcServerConfig {
            http: Some(listen.clone()),
            ws: Some(listen),
            ..RpcServerConfig::default()
        };
        let servers = RpcServers::start(config, modules).await.unwrap();
        let (http, ws) = (servers.http().unwrap(), servers.ws().unwrap());
        Self {
            producer,
            http,
            ws,
            _servers: servers,
            _directory: directory,
        }
    }

    pub(crate) const fn chain(&self) -> &Chain {
        &self.producer.chain
    }

    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        call(self.http, method, params).await
    }

    pub(crate) async fn code(&self, method: &str, params: Value) -> i64 {
        fail(self.http, method, params).await["code"].as_i64().unwrap()
    }

    /// Deploys the contract in a sealed block.
    async fn deploy(&mut self) -> Address {
        let request = json!({"from": account(0), "data": Bytes::from(DEPLOY)});
        let hash = self.call("eth_sendTransaction", json!([request])).await;
        self.producer.mini_block(End::Close);
        let receipt = self.call("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!(receipt["status"], "0x1");
        serde_json::from_value(receipt["contractAddress"].clone()).unwrap()
    }

    async fn subscribe(&self, client: &WsClient, params: Value) -> Subscription<Value> {
        let params: Vec<Value> = serde_json::from_value(params).unwrap();
        let mut builder = jsonrpsee::core::params::ArrayParams::new();
        for param in params {
            builder.insert(param).unwrap();
        }
        client
            .subscribe("eth_subscribe", builder, "eth_unsubscribe")
            .await
            .unwrap()
    }

    async fn ws_client(&self) -> WsClient {
        WsClientBuilder::default()
            .build(format!("ws://{}", self.ws))
            .await
            .unwrap()
    }
}

/// Deriving a key costs milliseconds.
static KEYS: LazyLock<Vec<PrivateKeySigner>> = LazyLock::new(|| {
    let key = |index| {
        MnemonicBuilder::<English>::default()
            .phrase(DEV_MNEMONIC)
            .index(index)
            .unwrap()
            .build()
    };
    (0..3).map(|index| key(index).unwrap()).collect()
});

fn key(index: usize) -> &'static PrivateKeySigner {
    &KEYS[index]
}

fn account(index: usize) -> Address {
    key(index).address()
}

/// A signed transfer of one wei from account 1 to account 2.
fn transfer(nonce: u64) -> (B256, Bytes) {
    let transaction = TxEip1559 {
        chain_id: DEV_CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(account(2)),
        value: U256::ONE,
        ..TxEip1559::default()
    };
    let signature = key(1).sign_hash_sync(&transaction.signature_hash()).unwrap();
    let signed = TxEnvelope::from(transaction.into_signed(signature));
    (*signed.tx_hash(), signed.encoded_2718().into())
}

fn hash(value: &Value) -> B256 {
    serde_json::from_value(value.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_visible_in_the_pool_in_the_open_block_and_in_the_sealed_one() {
    let mut node = Node::start(EthConfig::default()).await;
    let (sent, raw) = transfer(0);
    assert_eq!(
        hash(&node.call("eth_sendRawTransaction", json!([raw])).await),
        sent
    );
    assert_eq!(node.code("eth_sendRawTransaction", json!([raw])).await, -32000);
    let pooled = node.call("eth_getTransactionByHash", json!([sent])).await;
    assert_eq!(
        (&pooled["blockHash"], &pooled["blockNumber"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        node.call("txpool_status", json!([])).await,
        json!({"pending": "0x1", "queued": "0x0"})
    );
    let content = node.call("txpool_content", json!([])).await;
    assert_eq!(
        content["pending"][account(1).to_string()]["0"]["hash"],
        json!(sent)
    );
    let nonce = async |tag: &str| call(node.http, "eth_getTransactionCount", json!([account(1), tag])).await;
    assert_eq!(
        (nonce("pending").await, nonce("latest").await),
        (json!("0x1"), json!("0x0"))
    );
    assert_eq!(
        node.call("eth_getTransactionReceipt", json!([sent])).await,
        Value::Null
    );
    let before = node.call("eth_getBalance", json!([account(2), "latest"])).await;

    node.producer.mini_block(End::Open);
    let receipt = node.call("eth_getTransactionReceipt", json!([sent])).await;
    assert_eq!(hash(&receipt["blockHash"]), B256::ZERO);
    assert_eq!(
        (&receipt["blockNumber"], &receipt["status"]),
        (&json!("0x1"), &json!("0x1"))
    );
    assert_eq!(node.call("eth_blockNumber", json!([])).await, "0x0");
    assert_ne!(
        node.call("eth_getBalance", json!([account(2), "latest"])).await,
        before
    );
    assert_ne!(
        node.call("eth_getBalance", json!([account(2), "0x1"])).await,
        before
    );
    assert_eq!(
        node.call("eth_getBalance", json!([account(2), "0x0"])).await,
        before
    );
    let pending = node.call("eth_getBlockByNumber", json!(["pending", true])).await;
    assert_eq!(
        (&pending["number"], &pending["transactions"][0]["hash"]),
        (&json!("0x1"), &json!(sent))
    );
    assert_eq!(
        node.call("eth_getBlockByNumber", json!(["latest", false])).await["number"],
        "0x0"
    );
    assert_eq!(
        node.call("eth_getBlockByNumber", json!(["0x1", false])).await,
        Value::Null
    );

    node.producer.mini_block(End::Close);
    assert_eq!(node.call("eth_blockNumber", json!([])).await, "0x1");
    let block = node.call("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(block["transactions"], json!([sent]));
    let receipt = node.call("eth_getTransactionReceipt", json!([sent])).await;
    assert_eq!(receipt["blockHash"], block["hash"]);
    assert_eq!(
        node.call("eth_getBlockReceipts", json!(["0x1"])).await,
        json!([receipt])
    );
    let found = node
        .call(
            "eth_getTransactionByBlockHashAndIndex",
            json!([block["hash"], "0x0"]),
        )
        .await;
    assert_eq!(found["hash"], json!(sent));
    assert_eq!(
        node.call("eth_getRawTransactionByHash", json!([sent])).await,
        json!(raw)
    );
    let history = node
        .call("eth_feeHistory", json!(["0x4", "latest", [50.0]]))
        .await;
    assert_eq!(history["oldestBlock"], "0x0");
    assert_eq!(history["reward"].as_array().unwrap().len(), 2);
    assert_eq!(node.code("eth_sendRawTransaction", json!([raw])).await, -32000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latest_can_have_the_stock_meaning() {
    let mut node = Node::start(EthConfig {
        latest: LatestState::Sealed,
        ..EthConfig::default()
    })
    .await;
    let (_, raw) = transfer(0);
    node.call("eth_sendRawTransaction", json!([raw])).await;
    let before = node.call("eth_getBalance", json!([account(2), "latest"])).await;
    node.producer.mini_block(End::Open);
    assert_eq!(
        node.call("eth_getBalance", json!([account(2), "latest"])).await,
        before
    );
    assert_ne!(
        node.call("eth_getBalance", json!([account(2), "pending"])).await,
        before
    );
    node.producer.mini_block(End::Close);
    assert_ne!(
        node.call("eth_getBalance", json!([account(2), "latest"])).await,
        before
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contracts_are_deployed_called_estimated_and_read() {
    let mut node = Node::start(EthConfig::default()).await;
    let contract = node.deploy().await;
    assert_eq!(
        node.call("eth_getCode", json!([contract])).await,
        json!(Bytes::copy_from_slice(&DEPLOY[9..]))
    );
    let filter = node.call("eth_newFilter", json!([{"address": contract}])).await;
    let seven = B256::with_last_byte(7);
    let request = json!({"from": account(0), "to": contract, "data": seven});

    assert_eq!(
        node.call("eth_call", json!([request, "latest"])).await,
        json!(seven)
    );
    let reverted = fail(node.http, "eth_call", json!([{"to": contract}, "latest"])).await;
    assert_eq!((&reverted["code"], &reverted["data"]), (&json!(3), &json!("0x")));
    assert_eq!(node.code("eth_estimateGas", json!([{"to": contract}])).await, 3);
    let overridden = json!([{"to": account(2), "data": seven}, "latest", {account(2).to_string(): {"code": Bytes::copy_from_slice(&DEPLOY[9..])}}]);
    assert_eq!(node.call("eth_call", overridden).await, json!(seven));
    let gas: U256 = serde_json::from_value(node.call("eth_estimateGas", json!([request])).await).unwrap();
    let plain = json!([{"from": account(0), "to": account(2), "value": "0x1"}]);
    assert_eq!(node.call("eth_estimateGas", plain).await, "0x5208");
    let list = node.call("eth_createAccessList", json!([request])).await;
    assert_eq!(
        list["accessList"],
        json!([{"address": contract, "storageKeys": [B256::ZERO]}])
    );

    let exact = json!({"from": account(0), "to": contract, "data": seven, "gas": gas});
    let sent = node.call("eth_sendTransaction", json!([exact])).await;
    node.producer.mini_block(End::Open);
    assert_eq!(
        node.call("eth_getTransactionReceipt", json!([sent])).await["status"],
        "0x1"
    );
    assert_eq!(
        node.call("eth_getStorageAt", json!([contract, "0x0", "latest"]))
            .await,
        json!(seven)
    );
    let fresh = node
        .call("eth_getLogs", json!([{"address": contract, "fromBlock": "0x2"}]))
        .await;
    assert_eq!(
        (hash(&fresh[0]["blockHash"]), &fresh[0]["logIndex"]),
        (B256::ZERO, &json!("0x0"))
    );
    node.producer.mini_block(End::Close);

    let query = json!([{"fromBlock": "0x0", "toBlock": "latest", "topics": [[B256::with_last_byte(42)]]}]);
    let logs = node.call("eth_getLogs", query).await;
    assert_eq!(
        (logs.as_array().unwrap().len(), &logs[0]["transactionHash"]),
        (1, &sent)
    );
    assert_eq!(node.call("eth_getFilterChanges", json!([filter])).await, logs);
    assert_eq!(
        node.call("eth_getFilterChanges", json!([filter])).await,
        json!([])
    );
    let other = json!([{"fromBlock": "0x0", "topics": [B256::with_last_byte(43)]}]);
    assert_eq!(node.call("eth_getLogs", other).await, json!([]));
    assert_eq!(
        node.code("eth_getLogs", json!([{"fromBlock": "0x9"}])).await,
        -32602
    );
    let proof = node
        .call("eth_getProof", json!([contract, ["0x0"], "latest"]))
        .await;
    assert_eq!(proof["storageProof"][0]["value"], "0x7");
    assert_eq!(node.call("eth_uninstallFilter", json!([filter])).await, true);
    assert_eq!(node.code("eth_getFilterChanges", json!([filter])).await, -32602);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_send_answers_the_receipt_or_says_why_not() {
    let mut node = Node::start(EthConfig::default()).await;
    let address = node.http;
    for (nonce, method) in [
        (0, "eth_sendRawTransactionSync"),
        (1, "realtime_sendRawTransaction"),
    ] {
        let (sent, raw) = transfer(nonce);
        let sending = tokio::spawn(async move { call(address, method, json!([raw])).await });
        while !sending.is_finished() {
            node.producer.mini_block(End::Open);
            tokio::task::yield_now().await;
        }
        let receipt = sending.await.unwrap();
        assert_eq!(hash(&receipt["transactionHash"]), sent);
        assert_eq!(hash(&receipt["blockHash"]), B256::ZERO);
    }
    let (_, gapped) = transfer(5);
    let gap = fail(address, "eth_sendRawTransactionSync", json!([gapped])).await;
    assert_eq!((&gap["code"], &gap["data"]), (&json!(6), &json!("0x2")));
    assert_eq!(node.call("txpool_status", json!([])).await["queued"], "0x0");
    let (late, raw) = transfer(2);
    let timeout = fail(address, "eth_sendRawTransactionSync", json!([raw, "0x1"])).await;
    assert_eq!((&timeout["code"], hash(&timeout["data"])), (&json!(4), late));
    assert_eq!(node.call("txpool_status", json!([])).await["pending"], "0x1");
    assert_eq!(
        node.code("eth_sendRawTransactionSync", json!(["0x02"])).await,
        -32602
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_submitted_together_and_answered_in_place() {
    let mut node = Node::start(EthConfig::default()).await;
    let send = |id: u64, raw: Value| json!({"jsonrpc": "2.0", "id": id, "method": "eth_sendRawTransaction", "params": [raw]});
    let mut batch: Vec<Value> = (0..100)
        .map(|nonce| send(nonce, json!(transfer(nonce).1)))
        .collect();
    batch.insert(50, send(1000, json!("0x05")));
    batch.push(json!({"jsonrpc": "2.0", "id": 1001, "method": "eth_getTransactionCount", "params": [account(1), "pending"]}));
    let answers = rpc(node.http, json!(batch)).await;
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 102);
    for (answer, request) in answers.iter().zip(&batch) {
        assert_eq!(answer["id"], request["id"]);
    }
    assert_eq!(hash(&answers[49]["result"]), transfer(49).0);
    assert_eq!(answers[50]["error"]["code"], -32602);
    assert_eq!(answers[101]["result"], "0x64");
    node.producer.mini_block(End::Close);
    let count = node
        .call("eth_getBlockTransactionCountByNumber", json!(["latest"]))
        .await;
    assert_eq!(count, "0x64");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_hear_of_everything_in_order() {
    let mut node = Node::start(EthConfig::default()).await;
    let contract = node.deploy().await;
    let client = node.ws_client().await;
    let mut heads = node.subscribe(&client, json!(["newHeads"])).await;
    let mut logs = node
        .subscribe(&client, json!(["logs", {"address": contract}]))
        .await;
    let pending_filter = json!(["logs", {"fromBlock": "pending", "toBlock": "pending"}]);
    let mut pending_logs = node.subscribe(&client, pending_filter).await;
    let mut mini_blocks = node.subscribe(&client, json!(["miniBlocks"])).await;
    let mut changes = node.subscribe(&client, json!(["stateChanges", [contract]])).await;
    let mut transactions = node.subscribe(&client, json!(["newPendingTransactions"])).await;
    let mut receipts = node.subscribe(&client, json!(["transactionReceipts"])).await;
    let refused: Result<Subscription<Value>, _> = client
        .subscribe("eth_subscribe", rpc_params!["nothing"], "eth_unsubscribe")
        .await;
    assert!(refused.is_err());

    let nine = B256::with_last_byte(9);
    let request = json!({"from": account(0), "to": contract, "data": nine});
    let sent = node.call("eth_sendTransaction", json!([request])).await;
    assert_eq!(transactions.next().await.unwrap().unwrap(), sent);
    node.producer.mini_block(End::Open);
    node.producer.mini_block(End::Close);

    let first = mini_blocks.next().await.unwrap().unwrap();
    assert_eq!(
        (&first["block_number"], &first["index"]),
        (&json!("0x2"), &json!("0x0"))
    );
    assert_eq!(first["transactions"][0]["hash"], sent);
    assert_eq!(first["receipts"][0]["gasUsed"], first["gas_used"]);
    assert_eq!(mini_blocks.next().await.unwrap().unwrap()["index"], "0x1");
    let pending = pending_logs.next().await.unwrap().unwrap();
    assert_eq!(
        (hash(&pending["blockHash"]), &pending["transactionHash"]),
        (B256::ZERO, &sent)
    );
    let changed = changes.next().await.unwrap().unwrap();
    assert_eq!(
        (&changed["nonce"], &changed["storage"][B256::ZERO.to_string()]),
        (&json!(1), &json!("0x9"))
    );
    assert_eq!(
        receipts.next().await.unwrap().unwrap()[0]["transactionHash"],
        sent
    );
    let head = heads.next().await.unwrap().unwrap();
    let log = logs.next().await.unwrap().unwrap();
    assert_eq!(
        (&head["number"], &head["hash"]),
        (&json!("0x2"), &log["blockHash"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_says_who_it_is_and_signs_for_its_own_accounts_only() {
    let node = Node::start(EthConfig::default()).await;
    assert_eq!(node.call("eth_chainId", json!([])).await, "0x539");
    assert_eq!(node.call("net_version", json!([])).await, "1337");
    assert_eq!(node.call("eth_syncing", json!([])).await, false);
    assert!(
        node.call("web3_clientVersion", json!([]))
            .await
            .as_str()
            .unwrap()
            .starts_with("reth/")
    );
    assert_eq!(node.call("eth_accounts", json!([])).await[0], json!(account(0)));
    assert_eq!(node.call("rpc_modules", json!([])).await["txpool"], "1.0");
    let stranger = json!({"from": Address::repeat_byte(9), "to": account(0)});
    assert_eq!(node.code("eth_sendTransaction", json!([stranger])).await, -32000);
    assert_eq!(node.code("eth_getBalance", json!(["0x12"])).await, -32602);
    assert_eq!(
        node.code("eth_getBalance", json!([account(0), "0x9"])).await,
        -32001
    );
    assert_eq!(
        node.call("eth_getUncleCountByBlockNumber", json!(["latest"]))
            .await,
        "0x0"
    );
    assert_eq!(
        node.call("eth_getUncleByBlockNumberAndIndex", json!(["latest", "0x0"]))
            .await,
        Value::Null
    );
    assert_eq!(
        node.call("eth_getBlockByHash", json!([B256::repeat_byte(1), false]))
            .await,
        Value::Null
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_does_not_read_is_closed_and_nobody_waits_for_it() {
    let mut node = Node::start(EthConfig {
        subscription_queue_max: 4,
        ..EthConfig::default()
    })
    .await;
    let mut slow = SilentClient::connect(node.ws).await;
    slow.send(br#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["miniBlocks"]}"#)
        .await
        .unwrap();
    slow.wait_for_answer().await;
    let client = node.ws_client().await;
    let mut blocks = node.subscribe(&client, json!(["miniBlocks"])).await;
    // A notification has some hundred kilobytes, so what the sockets buffer is full after a few.
    for round in 0..300 {
        let batch: Vec<Value> = (0..100)
            .map(|index| json!([transfer(round * 100 + index).1]))
            .map(|params| json!({"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": params}))
            .collect();
        rpc(node.http, json!(batch)).await;
        node.producer.mini_block(End::Close);
        let seen = blocks.next().await.unwrap().unwrap();
        assert_eq!(seen["transactions"].as_array().unwrap().len(), 100);
        if slow.send(b"{}").await.is_err() {
            return;
        }
    }
    panic!("the slow client was never closed");
}
