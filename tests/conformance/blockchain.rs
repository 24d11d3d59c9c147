//! Blockchain tests: blocks on top of a genesis, some of which must be refused, some of which lie beside the chain.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use alloy_consensus::Header;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_rlp::Decodable;
use production::Rules;
use rapid_chain::{Chain, ChainConfig, Importer};
use rapid_chainspec::ChainSpec;
use rapid_log::{Durability, LogConfig};
use rapid_primitives::{Block, ReadState, SealedBlock};
use rapid_state::Snapshot;
use serde::Deserialize;

use crate::{
    account::{Account, Accounts},
    compiled::Compilation,
    exceptions,
    executor::{Executor, Remaking},
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

pub(crate) fn run(
    path: &str,
    test: &BlockchainTest,
    compilation: &Compilation,
    executor: &Executor,
) -> Verdict {
    match test
        .check(compilation, executor)
        .and_then(|()| compilation.nothing_differed())
    {
        Ok(()) => Verdict::Passed,
        Err(reason) => exceptions::reason(path, &test.pre).map_or(Verdict::Failed(reason), Verdict::Excepted),
    }
}

/// Which block is the head: before the merge the end of the branch with the most work, after it, where somebody else
/// decides, the newest valid block.
struct HeadRule {
    /// Work up to each valid block.
    total_difficulty: BTreeMap<B256, U256>,
}

impl HeadRule {
    fn new(genesis: &SealedBlock) -> Self {
        Self {
            total_difficulty: BTreeMap::from([(genesis.hash, genesis.header.difficulty)]),
        }
    }

    /// Whether a valid block becomes the head instead of `head`. One that was there before does not.
    fn prefers(&mut self, block: &SealedBlock, head: B256) -> bool {
        let work = |hash: &B256| self.total_difficulty.get(hash).copied().unwrap_or_default();
        let total = work(&block.header.parent_hash) + block.header.difficulty;
        let heavier = block.header.difficulty.is_zero() || total > work(&head);
        self.total_difficulty.insert(block.hash, total).is_none() && heavier
    }
}

impl BlockchainTest {
    fn check(&self, compilation: &Compilation, executor: &Executor) -> Result<(), String> {
        let spec = Arc::new(self.spec()?);
        let dir = tempfile::tempdir_in(scratch()).expect("a place for the chain");
        let opened = Chain::open(Arc::clone(&spec), &chain_config(dir.path(), executor))
            .map_err(|error| error.to_string())?;
        opened.chain.attach_compiler(compilation.compiler());
        let mut importer = Importer::new(opened).map_err(|error| error.to_string())?;
        let remaking = executor.remaking(rules_of(&spec, compilation), &self.pre);
        let result = self.import(&mut importer, executor, remaking);
        let chain = importer.chain().clone();
        importer.finish().map_err(|error| error.to_string())?;
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
        if let Some(expected) = &self.post_state {
            compare_state(&view.state, expected)?;
        }
        Ok(())
    }

    fn import(
        &self,
        importer: &mut Importer,
        executor: &Executor,
        mut remaking: Option<Remaking<'_>>,
    ) -> Result<(), String> {
        let mut rule = HeadRule::new(&importer.chain().view().head);
        for (index, block) in self.blocks.iter().enumerate() {
            let inserted = decode(&block.rlp).and_then(|block| {
                let hint = executor.hint(importer, &block);
                importer
                    .insert_hinted(block, hint)
                    .map_err(|error| error.to_string())
            });
            match (inserted, &block.expect_exception) {
                (Ok(block), None) => {
                    if let Some(remaking) = &mut remaking {
                        remaking.remake(&block)?;
                    }
                    if rule.prefers(&block, importer.chain().view().head.hash) {
                        let chosen = importer.set_head(block.hash);
                        chosen.map_err(|error| format!("block {index} did not become the head: {error}"))?;
                    }
                }
                (Err(_), Some(_)) => {}
                (Ok(_), Some(exception)) => {
                    return Err(format!("block {index} was accepted, although {exception}"));
                }
                (Err(reason), None) => return Err(format!("block {index} was refused: {reason}")),
            }
        }
        Ok(())
    }

    /// The chain of the test's genesis block, whose hash must come out the same.
    fn spec(&self) -> Result<ChainSpec, String> {
        let header = decode(&self.genesis_rlp)?.header;
        let expected = keccak256(alloy_rlp::encode(&header));
        let genesis = network::genesis(&self.network, &self.config)?;
        spec_of(genesis, header, expected, &self.pre)
    }
}

/// The chain of a genesis header and accounts under the rules of `genesis`; its hash must come out as expected.
pub(crate) fn spec_of(
    mut genesis: Genesis,
    header: Header,
    expected: B256,
    accounts: &Accounts,
) -> Result<ChainSpec, String> {
    genesis.nonce = header.nonce.into();
    genesis.timestamp = header.timestamp;
    genesis.extra_data = header.extra_data;
    genesis.gas_limit = header.gas_limit;
    genesis.difficulty = header.difficulty;
    genesis.mix_hash = header.mix_hash;
    genesis.coinbase = header.beneficiary;
    genesis.base_fee_per_gas = header.base_fee_per_gas.map(u128::from);
    genesis.excess_blob_gas = header.excess_blob_gas;
    genesis.blob_gas_used = header.blob_gas_used;
    genesis.alloc = accounts
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

/// What production is to make blocks of a chain by.
pub(crate) fn rules_of(spec: &Arc<ChainSpec>, compilation: &Compilation) -> Rules {
    Rules {
        spec: Arc::clone(spec),
        compiler: compilation.compiler(),
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
pub(crate) fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

/// Nothing here has to survive a crash, and most chains are one block long.
pub(crate) fn chain_config(dir: &Path, executor: &Executor) -> ChainConfig {
    ChainConfig {
        execution: executor.mode(),
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
pub(crate) fn compare_state(state: &Snapshot, expected: &Accounts) -> Result<(), String> {
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
