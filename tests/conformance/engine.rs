//! Engine tests: payloads as a consensus client sends them, and the fork choices that make valid ones the head.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_primitives::{Address, B64, B256, Bytes, U64, U256};
use alloy_rpc_types_engine::{
    ExecutionPayloadInputV2, ExecutionPayloadV1, ExecutionPayloadV3, ExecutionPayloadV4, ForkchoiceState,
    PayloadStatus,
};
use rapid_chain::{Chain, Opened};
use rapid_engine::{Engine, EngineError, ForkchoiceUpdate, ForkchoiceVersion, NewPayload};
use rapid_pool::{HeadInfo, Pool, PoolConfig};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::runtime::Runtime;

use crate::{
    account::Accounts,
    blockchain::{chain_config, compare_state, rules_of, scratch, spec_of},
    compiled::Compilation,
    exceptions,
    executor::{Executor, Remaking},
    network::{self, Config},
    report::Verdict,
};

/// Payloads and the state they must lead to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EngineTest {
    network: String,
    #[serde(default)]
    config: Config,
    pre: Accounts,
    genesis_block_header: GenesisHeader,
    lastblockhash: B256,
    engine_new_payloads: Vec<TestPayload>,
    post_state: Option<Accounts>,
    post_state_hash: Option<B256>,
}

/// What of the genesis header does not follow from the accounts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenesisHeader {
    hash: B256,
    nonce: B64,
    timestamp: U64,
    extra_data: Bytes,
    gas_limit: U64,
    difficulty: U256,
    mix_hash: B256,
    coinbase: Address,
    base_fee_per_gas: Option<U64>,
    excess_blob_gas: Option<U64>,
    blob_gas_used: Option<U64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TestPayload {
    params: Box<RawValue>,
    new_payload_version: String,
    forkchoice_updated_version: String,
    validation_error: Option<serde_json::Value>,
    error_code: Option<serde_json::Value>,
}

pub(crate) fn run(path: &str, test: &EngineTest, compilation: &Compilation, executor: &Executor) -> Verdict {
    match test
        .check(compilation, executor)
        .and_then(|()| compilation.nothing_differed())
    {
        Ok(()) => Verdict::Passed,
        Err(reason) => exceptions::reason(path, &test.pre).map_or(Verdict::Failed(reason), Verdict::Excepted),
    }
}

impl EngineTest {
    fn check(&self, compilation: &Compilation, executor: &Executor) -> Result<(), String> {
        let genesis = network::genesis(&self.network, &self.config)?;
        let header = self.genesis_block_header.to_header();
        let spec = Arc::new(spec_of(
            genesis,
            header,
            self.genesis_block_header.hash,
            &self.pre,
        )?);
        let dir = tempfile::tempdir_in(scratch()).expect("a place for the chain");
        let opened = Chain::open(Arc::clone(&spec), &chain_config(dir.path(), executor))
            .map_err(|error| error.to_string())?;
        opened.chain.attach_compiler(compilation.compiler());
        let client = Client::start(opened)?;
        let remaking = executor.remaking(rules_of(&spec, compilation), &self.pre);
        let result = self.drive(&client, remaking);
        let chain = client.chain.clone();
        client.engine.stop().map_err(|error| error.to_string())?;
        result?;
        let view = chain.view();
        if view.head.hash != self.lastblockhash {
            return Err(format!(
                "head {}, expected {}",
                view.head.hash, self.lastblockhash
            ));
        }
        let root = view.head.header.state_root;
        if self.post_state_hash.is_some_and(|expected| expected != root) {
            return Err(format!("state root {root}"));
        }
        self.post_state
            .as_ref()
            .map_or(Ok(()), |expected| compare_state(&view.state, expected))
    }

    fn drive(&self, client: &Client, mut remaking: Option<Remaking<'_>>) -> Result<(), String> {
        for (index, payload) in self.engine_new_payloads.iter().enumerate() {
            payload
                .send(client)
                .map_err(|reason| format!("payload {index}: {reason}"))?;
            if let Some(remaking) = &mut remaking {
                // What is not new was made before.
                remaking.remake(&client.chain.view().head)?;
            }
        }
        Ok(())
    }
}

impl TestPayload {
    fn send(&self, client: &Client) -> Result<(), String> {
        let mut hash = B256::ZERO;
        let answer = new_payload(&self.new_payload_version, self.params.get()).and_then(|payload| {
            hash = payload.hash();
            client.new_payload(payload)
        });
        if let Some(code) = &self.error_code {
            let expected = code.as_i64().or_else(|| code.as_str()?.parse().ok());
            return match answer {
                Err(error) if Some(i64::from(error.code())) == expected => Ok(()),
                other => Err(format!("answered {other:?}, although {code}")),
            };
        }
        let status = answer.map_err(|error| format!("{error}: {:?}", error.detail()))?;
        if let Some(exception) = &self.validation_error {
            return if status.is_invalid() {
                Ok(())
            } else {
                Err(format!("{status}, although {exception}"))
            };
        }
        if !status.is_valid() || status.latest_valid_hash != Some(hash) {
            return Err(status.to_string());
        }
        client.choose(&self.forkchoice_updated_version, hash)
    }
}

/// A consensus client in the smallest form, with the node it drives.
struct Client {
    chain: Chain,
    engine: Engine,
    runtime: Runtime,
}

impl Client {
    fn start(opened: Opened) -> Result<Self, String> {
        let chain = opened.chain.clone();
        let environment = chain
            .simulation_environment(&chain.view(), 0)
            .map_err(|error| error.to_string())?;
        let pool = Pool::new(
            PoolConfig::new(chain.spec().chain_id()),
            &HeadInfo::of(chain.spec(), &environment),
        );
        Ok(Self {
            engine: Engine::start(opened, pool).map_err(|error| error.to_string())?,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime without drivers needs nothing"),
            chain,
        })
    }

    fn new_payload(&self, payload: NewPayload) -> Result<PayloadStatus, EngineError> {
        self.runtime.block_on(self.engine.handle().new_payload(payload))
    }

    /// Makes a valid block the head.
    fn choose(&self, version: &str, head: B256) -> Result<(), String> {
        let update = ForkchoiceUpdate {
            version: match version {
                "1" => ForkchoiceVersion::V1,
                "2" => ForkchoiceVersion::V2,
                // Without attributes all are the same.
                _ => ForkchoiceVersion::V3,
            },
            state: ForkchoiceState {
                head_block_hash: head,
                ..ForkchoiceState::default()
            },
            attributes: None,
        };
        let updated = self
            .runtime
            .block_on(self.engine.handle().forkchoice_updated(update));
        match updated {
            Ok(updated) if updated.is_valid() && self.chain.view().head.hash == head => Ok(()),
            other => Err(format!("did not become the head: {other:?}")),
        }
    }
}

/// Reads parameters as the JWT port does: the whole list, or not at all.
fn new_payload(version: &str, params: &str) -> Result<NewPayload, EngineError> {
    Ok(match version {
        "1" => NewPayload::v1(list::<(ExecutionPayloadV1,)>(params)?.0),
        "2" => NewPayload::v2(list::<(ExecutionPayloadInputV2,)>(params)?.0),
        "3" => {
            let (payload, hashes, root): (ExecutionPayloadV3, _, _) = list(params)?;
            NewPayload::v3(payload, hashes, root)
        }
        "4" => {
            let (payload, hashes, root, requests): (ExecutionPayloadV3, _, _, _) = list(params)?;
            NewPayload::v4(payload, hashes, root, requests)
        }
        "5" => {
            let (payload, hashes, root, requests): (ExecutionPayloadV4, _, _, _) = list(params)?;
            NewPayload::v5(payload, hashes, root, requests)
        }
        other => panic!("version {other} of newPayload"),
    })
}

fn list<T: DeserializeOwned>(params: &str) -> Result<T, EngineError> {
    serde_json::from_str(params).map_err(|error| EngineError::InvalidParams(error.to_string()))
}

impl GenesisHeader {
    fn to_header(&self) -> Header {
        let number = |value: Option<U64>| value.map(|value| value.to());
        Header {
            nonce: self.nonce,
            timestamp: self.timestamp.to(),
            extra_data: self.extra_data.clone(),
            gas_limit: self.gas_limit.to(),
            difficulty: self.difficulty,
            mix_hash: self.mix_hash,
            beneficiary: self.coinbase,
            base_fee_per_gas: number(self.base_fee_per_gas),
            excess_blob_gas: number(self.excess_blob_gas),
            blob_gas_used: number(self.blob_gas_used),
            ..Header::default()
        }
    }
}
