//! Blockchain tests: blocks on top of a genesis, some of which must be refused.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_rlp::Decodable;
use rapid_chain::{Chain, ChainConfig, Importer};
use rapid_chainspec::ChainSpec;
use rapid_log::{Durability, LogConfig};
use rapid_primitives::{Block, ReadState};
use rapid_state::Snapshot;
use serde::Deserialize;

use crate::{
    account::{Account, Accounts},
    exceptions,
    network::{self, Config},
    report::Verdict,
};

/// A chain of blocks and the state it must lead to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BlockchainTest {
    network: String,
    #[serde(default)]
    config: Config,
    pre: Accounts,
    #[serde(rename = "genesisRLP")]
    genesis_rlp: Bytes,
    blocks: Vec<TestBlock>,
    lastblockhash: B256,
    post_state: Option<Accounts>,
    post_state_hash: Option<B256>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TestBlock {
    rlp: Bytes,
    expect_exception: Option<String>,
}

/// Why a test did not pass.
enum Problem {
    SideChain,
    Failure(String),
}

impl From<String> for Problem {
    fn from(reason: String) -> Self {
        Self::Failure(reason)
    }
}

pub(crate) fn run(path: &str, test: &BlockchainTest) -> Verdict {
    match test.check() {
        Ok(()) => Verdict::Passed,
        Err(Problem::SideChain) => Verdict::NotSupported("side chains"),
        Err(Problem::Failure(reason)) => {
            exceptions::reason(path, &test.pre).map_or(Verdict::Failed(reason), Verdict::Excepted)
        }
    }
}

impl BlockchainTest {
    fn check(&self) -> Result<(), Problem> {
        let spec = Arc::new(self.spec()?);
        let dir = tempfile::tempdir_in(scratch()).expect("a place for the chain");
        let opened = Chain::open(spec, &chain_config(dir.path())).map_err(|error| error.to_string())?;
        let mut importer = Importer::new(opened).map_err(|error| error.to_string())?;
        let result = self.import(&mut importer);
        let chain = importer.chain().clone();
        importer.finish().map_err(|error| error.to_string())?;
        result?;
        let view = chain.view();
        if view.head.hash != self.lastblockhash {
            return Err(format!("head {}, expected {}", view.head.hash, self.lastblockhash).into());
        }
        let root = view.head.header.state_root;
        if self.post_state_hash.is_some_and(|expected| expected != root) {
            return Err(format!("state root {root}").into());
        }
        if let Some(expected) = &self.post_state {
            compare_state(&view.state, expected)?;
        }
        Ok(())
    }

    fn import(&self, importer: &mut Importer) -> Result<(), Problem> {
        let mut accepted = BTreeSet::from([importer.chain().view().head.hash]);
        for (index, block) in self.blocks.iter().enumerate() {
            let head = importer.chain().view().head.hash;
            let decoded = decode(&block.rlp);
            // A sibling or a child of one says nothing as long as only children of the head are taken.
            if let Ok(decoded) = &decoded
                && decoded.header.parent_hash != head
                && (block.expect_exception.is_none() || accepted.contains(&decoded.header.parent_hash))
            {
                return Err(Problem::SideChain);
            }
            let imported =
                decoded.and_then(|block| importer.import(block).map_err(|error| error.to_string()));
            let now = importer.chain().view().head.hash;
            match (imported, &block.expect_exception) {
                (Ok(_), None) => {
                    accepted.insert(now);
                }
                (Err(_), Some(_)) if now == head => {}
                (Err(reason), Some(_)) => {
                    return Err(format!("block {index} was refused ({reason}), but moved the head").into());
                }
                (Ok(_), Some(exception)) => {
                    return Err(format!("block {index} was accepted, although {exception}").into());
                }
                (Err(reason), None) => return Err(format!("block {index} was refused: {reason}").into()),
            }
        }
        Ok(())
    }

    /// The chain of the test's genesis block, whose hash must come out the same.
    fn spec(&self) -> Result<ChainSpec, String> {
        let block = decode(&self.genesis_rlp)?;
        let expected = keccak256(alloy_rlp::encode(&block.header));
        let mut genesis = network::genesis(&self.network, &self.config)?;
        let Header {
            nonce,
            timestamp,
            extra_data,
            gas_limit,
            difficulty,
            mix_hash,
            beneficiary,
            base_fee_per_gas,
            excess_blob_gas,
            blob_gas_used,
            ..
        } = block.header;
        genesis.nonce = nonce.into();
        genesis.timestamp = timestamp;
        genesis.extra_data = extra_data;
        genesis.gas_limit = gas_limit;
        genesis.difficulty = difficulty;
        genesis.mix_hash = mix_hash;
        genesis.coinbase = beneficiary;
        genesis.base_fee_per_gas = base_fee_per_gas.map(u128::from);
        genesis.excess_blob_gas = excess_blob_gas;
        genesis.blob_gas_used = blob_gas_used;
        genesis.alloc = self
            .pre
            .iter()
            .map(|(address, account)| (*address, account.to_genesis()))
            .collect();
        let spec = ChainSpec::from_genesis(genesis).map_err(|error| error.to_string())?;
        if spec.genesis_hash() != expected {
            return Err(format!(
                "genesis hash {}, expected {expected}",
                spec.genesis_hash()
            ));
        }
        Ok(spec)
    }
}

fn decode(rlp: &[u8]) -> Result<Block, String> {
    let mut rest = rlp;
    let block = Block::decode(&mut rest).map_err(|error| format!("undecodable: {error}"))?;
    if rest.is_empty() {
        Ok(block)
    } else {
        Err(format!("{} bytes after the block", rest.len()))
    }
}

/// Where the chains of the tests live: in memory if the system has such a place.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

/// Nothing here has to survive a crash, and most chains are one block long.
fn chain_config(dir: &Path) -> ChainConfig {
    ChainConfig {
        log: LogConfig {
            durability: Durability::Async(Duration::from_secs(1)),
            first_segment_bytes: 64 << 10,
            min_free_bytes: 0,
            ..LogConfig::default()
        },
        ..ChainConfig::new(dir.to_owned())
    }
}

/// The flat state must hold what the test says and nothing else; the trie was compared with every header.
fn compare_state(state: &Snapshot, expected: &Accounts) -> Result<(), String> {
    let mut missing: BTreeSet<Address> = expected.keys().copied().collect();
    for account in state.accounts() {
        let address = account.map_err(|gone| gone.to_string())?.address();
        missing.remove(&address);
        let Some(expected) = expected.get(&address) else {
            return Err(format!("account {address} should not exist"));
        };
        compare_account(state, address, expected)?;
    }
    match missing.first() {
        Some(address) => Err(format!("account {address} is missing")),
        None => Ok(()),
    }
}

fn compare_account(state: &Snapshot, address: Address, expected: &Account) -> Result<(), String> {
    let gone = |gone: rapid_state::VersionGone| gone.to_string();
    let found = state.account(&address).map_err(gone)?.unwrap_or_default();
    let code_hash = if expected.code.is_empty() {
        KECCAK256_EMPTY
    } else {
        keccak256(&expected.code)
    };
    if U256::from(found.nonce) != U256::from(expected.nonce)
        || found.balance != expected.balance
        || found.code_hash != code_hash
    {
        return Err(format!("account {address} is {found:?}, expected {expected:?}"));
    }
    let storage = state.account_storage(&address).map_err(gone)?;
    let mut found = storage
        .map(|slot| slot.map_err(gone))
        .collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable();
    let expected: Vec<_> = expected.slots().collect();
    if found != expected {
        return Err(format!(
            "storage of {address} is {found:?}, expected {expected:?}"
        ));
    }
    Ok(())
}
