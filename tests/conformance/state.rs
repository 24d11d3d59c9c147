//! State tests: one transaction in one block on a given state.

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::transaction::SignerRecoverable;
use alloy_eips::eip2718::Decodable2718;
use alloy_evm::{EvmEnv, FromRecoveredTx, eth::EthEvmContext};
use alloy_primitives::{Address, B256, Bytes, Log, U64, U256, keccak256};
use production::{Expected, Hashes, Subject};
use rapid_chainspec::ChainSpec;
use rapid_consensus::TransactionRules;
use rapid_evm::{BlockExecutor, BlockHashes, Executed, StateDb, evm_environment};
use rapid_jit::Rules;
use rapid_primitives::{AccountChange, BlockEnvironment, TransactionSigned};
use rapid_state::{Draft, ReadSet, State, StateConfig, StateView};
use rapid_testing::differential::TracedEvm;
use rapid_trie::{Forest, StateTrie};
use revm::{context::TxEnv, interpreter::instructions::gas_table_spec};
use serde::Deserialize;

use crate::{
    account::Accounts,
    blockchain::rules_of,
    compiled::{Compilation, Runner},
    exceptions,
    executor::Executor,
    network::{self, Config},
    report::Verdict,
};

/// A test of one or more transactions, each under one or more forks.
#[derive(Debug, Deserialize)]
pub(crate) struct StateTest {
    env: Environment,
    pre: Accounts,
    post: BTreeMap<String, Vec<Expectation>>,
    transaction: Template,
    #[serde(default)]
    config: Config,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    current_coinbase: Address,
    current_gas_limit: U64,
    current_number: U64,
    current_timestamp: U64,
    current_difficulty: Option<U256>,
    current_base_fee: Option<U64>,
    current_random: Option<U256>,
    current_excess_blob_gas: Option<U64>,
}

/// The transaction's fields are in `txbytes` as well; only the sender says something that the bytes do not.
#[derive(Debug, Deserialize)]
struct Template {
    sender: Option<Address>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expectation {
    hash: B256,
    logs: B256,
    txbytes: Bytes,
    expect_exception: Option<String>,
}

/// The hashes of these tests' past blocks: that of the decimal number.
#[derive(Clone, Copy, Debug)]
struct NumberHashes;

impl BlockHashes for NumberHashes {
    fn block_hash(&self, number: u64) -> Option<B256> {
        Some(keccak256(number.to_string()))
    }
}

pub(crate) fn run(path: &str, test: &StateTest, compilation: &Compilation, executor: &Executor) -> Verdict {
    let failure = test.post.iter().find_map(|(fork, expectations)| {
        expectations
            .iter()
            .find_map(|expectation| test.check(fork, expectation, compilation, executor).err())
    });
    match failure {
        None => Verdict::Passed,
        Some(reason) => {
            exceptions::reason(path, &test.pre).map_or(Verdict::Failed(reason), Verdict::Excepted)
        }
    }
}

fn root_after(mut trie: StateTrie, after: &Draft, changes: &[AccountChange]) -> Result<B256, String> {
    trie.apply(after.clone().into(), changes)
        .and_then(|()| trie.root())
        .map_err(|error| error.to_string())
}

impl StateTest {
    fn check(
        &self,
        fork: &str,
        expectation: &Expectation,
        compilation: &Compilation,
        by: &Executor,
    ) -> Result<(), String> {
        let spec = Arc::new(network::rules(fork, &self.config)?);
        let (state, trie) = self.prestate();
        let environment = self.env.environment();
        self.compare(&spec, &state, expectation, compilation)?;
        let database = StateDb::new(Draft::begin(state.published()), NumberHashes);
        let mut executor = BlockExecutor::new(
            Arc::clone(&spec),
            environment.clone(),
            database,
            &compilation.compiler(),
        );
        let executed = self.execute(&spec, &environment, expectation, &mut executor);
        let after = executor.into_state();
        let net = after.changes();
        match (&executed, &expectation.expect_exception) {
            (Ok(_), Some(exception)) => return Err(format!("accepted, although {exception}")),
            (Err(reason), None) => return Err(format!("refused: {reason}")),
            (Err(_), Some(_)) if !net.is_empty() => {
                return Err(format!("refused, but left changes: {net:?}"));
            }
            _ => {}
        }
        let empty: (Vec<AccountChange>, Vec<Log>) = Default::default();
        let (changes, logs) = executed.map_or(empty, |executed| (executed.changes, executed.receipt.logs));
        let root = root_after(trie.clone(), &after, &changes)?;
        if root != root_after(trie, &after, &net)? {
            return Err("the draft's net changes and the transaction's give different roots".to_owned());
        }
        if root != expectation.hash {
            return Err(format!(
                "state root {root}, expected {}; changes {changes:?}",
                expectation.hash
            ));
        }
        let found = keccak256(alloy_rlp::encode(&logs));
        if found != expectation.logs {
            return Err(format!("logs hash {found}, expected {}", expectation.logs));
        }
        self.remake(&spec, expectation, compilation, by)?;
        compilation.nothing_differed()
    }

    /// Makes a block of the one transaction by production, if that is asked for.
    fn remake(
        &self,
        spec: &Arc<ChainSpec>,
        expectation: &Expectation,
        compilation: &Compilation,
        by: &Executor,
    ) -> Result<(), String> {
        if !by.remakes() {
            return Ok(());
        }
        let environment = self.env.environment();
        // What is refused before execution never comes to production.
        let Ok((transaction, sender)) = self.admit(spec, &environment, expectation) else {
            return Ok(());
        };
        let expected = match &expectation.expect_exception {
            Some(_) => Expected::Refused,
            None => Expected::Roots {
                state: expectation.hash,
                logs: expectation.logs,
            },
        };
        let subject = Subject {
            rules: &rules_of(spec, compilation),
            environment,
            parent_hash: None,
            transactions: &[transaction],
            senders: &[sender],
            withdrawals: None,
            ommers: &[],
            hashes: Hashes::new(|number| NumberHashes.block_hash(number)),
        };
        by.remake(&subject, &self.pre, &expected)
    }

    /// Compiled code against the interpreter.
    fn compare(
        &self,
        spec: &ChainSpec,
        state: &State,
        expectation: &Expectation,
        compilation: &Compilation,
    ) -> Result<(), String> {
        let Ok((transaction, sender)) = decode(&expectation.txbytes) else {
            return Ok(());
        };
        let EvmEnv { cfg_env, block_env } = evm_environment(spec, &self.env.environment());
        let fork = cfg_env.spec;
        let rules = Rules::new(fork, &gas_table_spec(fork), &cfg_env.gas_params);
        let mut observe = |runner: Runner<'_>| {
            let database = StateDb::new(Draft::begin(state.published()), NumberHashes);
            let context = EthEvmContext::new(database, fork)
                .with_cfg(cfg_env.clone())
                .with_block(block_env.clone());
            TracedEvm::ethereum(context, fork, runner).observe(TxEnv::from_recovered_tx(&transaction, sender))
        };
        let hash = transaction.tx_hash();
        let seed = u64::from_be_bytes(hash[..8].try_into().expect("eight bytes"));
        compilation.compare(&rules, seed, &mut observe)
    }

    fn prestate(&self) -> (State, StateTrie) {
        let accounts: Vec<_> = self
            .pre
            .iter()
            .map(|(address, account)| account.to_change(*address))
            .collect();
        let state = State::new(StateConfig::default()).expect("address space");
        state
            .commit(&ReadSet::new(), &accounts)
            .expect("an unconditional commit has no conflict");
        state.publish(state.sequence());
        let forest = Forest::new(1 << 30).expect("address space");
        let mut trie = StateTrie::empty(&forest, StateView::from(state.published()));
        trie.apply(state.published().into(), &accounts)
            .expect("the version is published");
        (state, trie)
    }

    /// Decodes and checks, as a block's import would; the reason if the transaction is refused.
    fn admit(
        &self,
        spec: &ChainSpec,
        environment: &BlockEnvironment,
        expectation: &Expectation,
    ) -> Result<(TransactionSigned, Address), String> {
        let (transaction, sender) = decode(&expectation.txbytes)?;
        if self.transaction.sender.is_some_and(|expected| expected != sender) {
            return Err(format!("recovered sender {sender}"));
        }
        TransactionRules::at(spec, environment.number, environment.timestamp)
            .verify(&transaction)
            .map_err(|error| error.to_string())?;
        Ok((transaction, sender))
    }

    /// Admits and executes a transaction; the reason if it is refused.
    fn execute(
        &self,
        spec: &ChainSpec,
        environment: &BlockEnvironment,
        expectation: &Expectation,
        executor: &mut BlockExecutor<Draft, NumberHashes>,
    ) -> Result<Executed, String> {
        let (transaction, sender) = self.admit(spec, environment, expectation)?;
        executor
            .execute(&transaction, sender)
            .map_err(|error| error.to_string())
    }
}

fn decode(bytes: &[u8]) -> Result<(TransactionSigned, Address), String> {
    let transaction =
        TransactionSigned::decode_2718_exact(bytes).map_err(|error| format!("undecodable: {error}"))?;
    let sender = transaction
        .recover_signer()
        .map_err(|error| format!("signature: {error}"))?;
    Ok((transaction, sender))
}

impl Environment {
    fn environment(&self) -> BlockEnvironment {
        BlockEnvironment {
            number: self.current_number.to(),
            timestamp: self.current_timestamp.to(),
            beneficiary: self.current_coinbase,
            gas_limit: self.current_gas_limit.to(),
            base_fee_per_gas: self.current_base_fee.map(|fee| fee.to()),
            difficulty: self.current_difficulty.unwrap_or_default(),
            prev_randao: self.current_random.unwrap_or_default().into(),
            excess_blob_gas: self.current_excess_blob_gas.map(|gas| gas.to()),
            parent_beacon_block_root: None,
            extra_data: Bytes::new(),
            slot_number: None,
        }
    }
}
