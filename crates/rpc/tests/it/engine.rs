//! The Engine API on the JWT port, over HTTP.

use std::{net::SocketAddr, sync::Arc};

use alloy_consensus::Header;
use alloy_primitives::B256;
use alloy_rpc_types_engine::{Claims, ExecutionPayloadV3, JwtSecret};
use rapid_chain::{Chain, ChainConfig};
use rapid_chainspec::ChainSpec;
use rapid_engine::Engine;
use rapid_pool::{HeadInfo, Pool, PoolConfig, Recovery, RecoveryConfig};
use rapid_primitives::{Block, BlockBody};
use rapid_rpc::{
    AuthConfig, DevSigners, EngineInfo, EthConfig, EthParts, RpcModules, RpcServerConfig, RpcServers,
};
use serde_json::{Value, json};

use crate::http::post;

struct Node {
    auth: SocketAddr,
    secret: JwtSecret,
    genesis: B256,
    _engine: Option<Engine>,
    _servers: RpcServers,
    _directory: tempfile::TempDir,
}

/// Who drives the chain.
enum Driver {
    ConsensusClient,
    Itself,
}

impl Node {
    async fn start(driver: Driver) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = ChainConfig::new(directory.path().to_owned());
        let opened = Chain::open(Arc::new(ChainSpec::dev()), &config).unwrap();
        let chain = opened.chain.clone();
        let environment = chain.simulation_environment(&chain.view(), 0).unwrap();
        let head = HeadInfo::of(chain.spec(), &environment);
        let pool = Pool::new(PoolConfig::new(chain.spec().chain_id()), &head);
        let engine = match driver {
            Driver::ConsensusClient => Some(Engine::start(opened, pool.clone()).unwrap()),
            Driver::Itself => None,
        };
        let recovery = Recovery::start(RecoveryConfig::new(pool.config().decode_limits())).unwrap();
        let genesis = chain.view().head.hash;
        let parts = EthParts {
            chain,
            pool,
            recovery: Arc::new(recovery),
            engine: engine.as_ref().map(|engine| engine.handle().clone()),
            signers: DevSigners::none(),
            config: EthConfig::default(),
        };
        let modules = RpcModules::of_node(parts, EngineInfo::default()).unwrap();
        let secret = JwtSecret::random();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = RpcServerConfig {
            auth: Some(AuthConfig { address, secret }),
            ..RpcServerConfig::default()
        };
        let servers = RpcServers::start(config, modules).await.unwrap();
        Self {
            auth: servers.auth().unwrap(),
            secret,
            genesis,
            _engine: engine,
            _servers: servers,
            _directory: directory,
        }
    }

    async fn answer(&self, method: &str, params: Value) -> Value {
        let token = self.secret.encode(&Claims::with_current_timestamp()).unwrap();
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let header = format!("authorization: Bearer {token}\r\n");
        let (status, body) = post(self.auth, &header, &request.to_string()).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn result(&self, method: &str, params: Value) -> Value {
        let mut answer = self.answer(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    async fn code(&self, method: &str, params: Value) -> i64 {
        let answer = self.answer(method, params).await;
        answer["error"]["code"].as_i64().unwrap_or_default()
    }
}

fn state(head: B256) -> Value {
    json!({"headBlockHash": head, "safeBlockHash": B256::ZERO, "finalizedBlockHash": B256::ZERO})
}

/// A payload that nobody has executed, on an unknown parent.
fn orphan() -> Value {
    let header = Header {
        parent_hash: B256::repeat_byte(7),
        number: 9,
        timestamp: 1_800_000_000,
        base_fee_per_gas: Some(7),
        withdrawals_root: Some(alloy_consensus::proofs::calculate_withdrawals_root(&[])),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(alloy_eips::eip7685::EMPTY_REQUESTS_HASH),
        ..Header::default()
    };
    let body = BlockBody {
        withdrawals: Some(Default::default()),
        ..BlockBody::default()
    };
    let block = Block { header, body };
    let payload = ExecutionPayloadV3::from_block_unchecked(block.header.hash_slow(), &block);
    serde_json::to_value(payload).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consensus_client_drives_the_chain() {
    let node = Node::start(Driver::ConsensusClient).await;
    let update = node
        .result("engine_forkchoiceUpdatedV3", json!([state(node.genesis), null]))
        .await;
    assert_eq!(update["payloadStatus"]["status"], "VALID");
    assert_eq!(update["payloadStatus"]["latestValidHash"], json!(node.genesis));
    let served = node
        .result("engine_exchangeCapabilities", json!([["engine_newPayloadV9"]]))
        .await;
    assert_eq!(served.as_array().unwrap().len(), 11, "{served}");

    let params = |payload: Value| json!([payload, [], B256::ZERO, []]);
    let syncing = json!({"status": "SYNCING", "latestValidHash": null, "validationError": null});
    assert_eq!(
        node.result("engine_newPayloadV4", params(orphan())).await,
        syncing
    );
    let mut other = orphan();
    other["gasUsed"] = json!("0x1");
    let invalid = node.result("engine_newPayloadV4", params(other)).await;
    assert_eq!(
        (&invalid["status"], &invalid["latestValidHash"]),
        (&json!("INVALID"), &Value::Null)
    );

    let three = json!([orphan(), [], B256::ZERO]);
    let zero = json!([state(B256::ZERO)]);
    for (method, params, code) in [
        ("engine_newPayloadV4", three.clone(), -32602),
        ("engine_newPayloadV3", three, -38005),
        ("engine_forkchoiceUpdatedV3", zero, -38002),
        ("engine_getPayloadBodiesByRangeV1", json!(["0x0", "0x1"]), -32602),
        (
            "engine_getPayloadBodiesByRangeV1",
            json!(["0x1", "0x401"]),
            -38004,
        ),
        ("engine_getPayloadV4", json!(["0x0000000000000000"]), -32601),
    ] {
        assert_eq!(node.code(method, params).await, code, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sequencer_is_driven_by_nobody_else() {
    let node = Node::start(Driver::Itself).await;
    for (method, params) in [
        ("engine_newPayloadV4", json!([orphan(), [], B256::ZERO, []])),
        ("engine_forkchoiceUpdatedV3", json!([state(node.genesis), null])),
    ] {
        let answer = node.answer(method, params).await;
        assert_eq!(answer["error"]["code"], -32000, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("sequencer"));
    }
    let served = node.result("engine_exchangeCapabilities", json!([[]])).await;
    assert_eq!(
        served,
        json!([
            "engine_getClientVersionV1",
            "engine_getPayloadBodiesByHashV1",
            "engine_getPayloadBodiesByRangeV1"
        ])
    );
}
