//! Transaction tests: the bytes of one transaction, valid or not under each fork.

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::Transaction;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use rapid_chainspec::EthereumHardforks;
use rapid_consensus::TransactionRules;
use rapid_evm::{BlockExecutor, Compiler, NoBlockHashes, StateDb};
use rapid_pool::{DecodeLimits, PooledTransaction, decode_and_recover};
use rapid_primitives::{AccountChange, BlockEnvironment};
use rapid_state::{Draft, ReadSet, State, StateConfig};
use serde::Deserialize;

use crate::{
    exceptions,
    network::{self, Config},
    report::Verdict,
};

/// Bytes and what each fork makes of them.
#[derive(Debug, Deserialize)]
pub(crate) struct TransactionTest {
    txbytes: Bytes,
    result: BTreeMap<String, Expectation>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expectation {
    exception: Option<String>,
    hash: Option<B256>,
    sender: Option<Address>,
    intrinsic_gas: U64,
}

/// What the pool's decoder takes must be what the newest fork allows; older forks are for the executor to tell apart.
pub(crate) fn run(_: &str, test: &TransactionTest) -> Verdict {
    let limits = DecodeLimits {
        chain_id: 1,
        bytes_max: test.txbytes.len(),
    };
    let decoded = decode_and_recover(&test.txbytes, &limits).map_err(|error| error.to_string());
    let failure = test.result.iter().find_map(|(fork, expectation)| {
        let checked = check(fork, &decoded, expectation);
        checked.err().map(|reason| format!("{fork}: {reason}"))
    });
    match failure {
        None => Verdict::Passed,
        Some(reason) => {
            exceptions::unpayable(&test.txbytes).map_or(Verdict::Failed(reason), Verdict::Excepted)
        }
    }
}

fn check(
    fork: &str,
    decoded: &Result<PooledTransaction, String>,
    expectation: &Expectation,
) -> Result<(), String> {
    let executed = decoded
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|transaction| execute(fork, transaction).map(|gas_used| (transaction, gas_used)));
    match (executed, &expectation.exception) {
        (Ok(_), Some(exception)) => Err(format!("accepted, although {exception}")),
        (Err(reason), None) => Err(format!("refused: {reason}")),
        (Err(_), Some(_)) => Ok(()),
        (Ok((transaction, gas_used)), None) => {
            let (hash, sender) = (transaction.hash(), transaction.sender());
            if Some(hash) != expectation.hash || Some(sender) != expectation.sender {
                return Err(format!("hash {hash}, sender {sender}"));
            }
            // A call of an account without code costs nothing else.
            let intrinsic_gas: u64 = expectation.intrinsic_gas.to();
            if !transaction.transaction().is_create() && gas_used != intrinsic_gas {
                return Err(format!("intrinsic gas {gas_used}, expected {intrinsic_gas}"));
            }
            Ok(())
        }
    }
}

/// Executes it in a block of its own, with a sender who has the nonce and can pay; the gas used.
fn execute(fork: &str, pooled: &PooledTransaction) -> Result<u64, String> {
    let spec = Arc::new(network::rules(fork, &Config::default())?);
    let (transaction, sender) = (pooled.transaction(), pooled.sender());
    let london = spec.is_london_active_at_block(1);
    let environment = BlockEnvironment {
        number: 1,
        timestamp: 1,
        gas_limit: transaction.gas_limit(),
        base_fee_per_gas: london.then_some(0),
        excess_blob_gas: spec.is_cancun_active_at_timestamp(1).then_some(0),
        ..BlockEnvironment::default()
    };
    TransactionRules::at(&spec, environment.number, environment.timestamp)
        .verify(transaction)
        .map_err(|error| error.to_string())?;
    let state = State::new(StateConfig::default()).expect("address space");
    let rich = AccountChange {
        nonce: Some(transaction.nonce()),
        balance: Some(U256::MAX),
        ..AccountChange::new(sender)
    };
    state
        .commit(&ReadSet::new(), &[rich])
        .expect("an unconditional commit has no conflict");
    state.publish(state.sequence());
    let database = StateDb::new(Draft::begin(state.published()), NoBlockHashes);
    let mut executor = BlockExecutor::new(spec, environment, database, &Compiler::none());
    let executed = executor.execute(transaction, sender);
    executed
        .map(|executed| executed.gas_used)
        .map_err(|error| error.to_string())
}
