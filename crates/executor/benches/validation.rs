//! What validation with a hint costs beside sequential execution: wall and CPU per transaction, with a true hint and with
//! lies. `cargo bench -p rapid-executor --bench validation`
//!
//! Each round runs every column once, in turn; printed are the medians. What a lie costs is its wall time over that of
//! sequential execution without a hint.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, Signature, U256, hex};
use rapid_chainspec::ChainSpec;
use rapid_evm::{BlockExecutor, Compiler, NoBlockHashes, StateDb};
use rapid_executor::{BlockHint, HintVerdict, Pinning, ValidationInput, Workers, validate};
use rapid_primitives::{
    AccountChange, BlockEnvironment, CodeChange, DiffBuilder, StateDiff, TransactionSigned,
};
use rapid_state::{Draft, ReadSet, State, StateConfig};
use rustix::time::{ClockId, clock_gettime};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const TRANSACTIONS: u64 = 4000;
const ROUNDS: usize = 15;
const CONTRACT: Address = Address::repeat_byte(0xc0);

/// Two balances in a mapping by hash: takes 1 from the caller, gives it to the address in the input.
const TOKEN: &[u8] = &hex!(
    "335f525f60205260405f208054600190039055" "5f355f525f60205260405f208054600101905500"
);

/// Adds one to slot 0, and burns some gas in a loop that depends on it.
const COUNTER: &[u8] = &hex!("5f54600101805f5560645b6001900380600a575000");

struct Block {
    spec: Arc<ChainSpec>,
    environment: BlockEnvironment,
    draft: Draft,
    transactions: Vec<TransactionSigned>,
    senders: Vec<Address>,
}

fn user(number: u64) -> Address {
    Address::left_padding_from(&(0x1000_0000 + number).to_be_bytes())
}

fn block(code: Option<&[u8]>) -> Block {
    let spec = ChainSpec::parse(
        r#"{"config":{"chainId":9,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,
        "byzantiumBlock":0,"constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,
        "londonBlock":0,"terminalTotalDifficulty":0,"shanghaiTime":0,"cancunTime":0},"gasLimit":"0x1c9c380"}"#,
    );
    let state = State::new(StateConfig::default()).unwrap();
    let mut accounts: Vec<AccountChange> = (0..2 * TRANSACTIONS)
        .map(|number| AccountChange {
            balance: Some(U256::from(1_u64 << 60)),
            ..AccountChange::new(user(number))
        })
        .collect();
    accounts.push(AccountChange {
        nonce: Some(1),
        code: code.map(|code| CodeChange::new(Bytes::copy_from_slice(code))),
        ..AccountChange::new(CONTRACT)
    });
    state.publish(state.commit(&ReadSet::new(), &accounts).unwrap());
    let transactions = (0..TRANSACTIONS).map(|number| {
        let other = user(TRANSACTIONS + number);
        let transaction = TxLegacy {
            gas_price: 10,
            gas_limit: if code.is_some() { 100_000 } else { 21_000 },
            to: code.map_or(other, |_| CONTRACT).into(),
            value: U256::from(u8::from(code.is_none())),
            input: code.map_or_else(Bytes::new, |_| {
                Bytes::copy_from_slice(other.into_word().as_slice())
            }),
            ..TxLegacy::default()
        };
        transaction
            .into_signed(Signature::new(U256::ONE, U256::ONE, false))
            .into()
    });
    Block {
        spec: Arc::new(spec.unwrap()),
        environment: BlockEnvironment {
            number: 1,
            timestamp: 12,
            gas_limit: 10_000_000_000,
            beneficiary: Address::repeat_byte(0xbe),
            base_fee_per_gas: Some(7),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::ZERO),
            ..BlockEnvironment::default()
        },
        draft: Draft::begin(state.published()),
        transactions: transactions.collect(),
        senders: (0..TRANSACTIONS).map(user).collect(),
    }
}

impl Block {
    fn sequential(&self) -> StateDiff {
        let database = StateDb::new(self.draft.clone(), NoBlockHashes);
        let mut executor = BlockExecutor::new(
            Arc::clone(&self.spec),
            self.environment.clone(),
            database,
            &Compiler::none(),
        );
        let mut diff = DiffBuilder::new();
        diff.push(0, &executor.begin().unwrap());
        executor.store_parent_hash(B256::ZERO).unwrap();
        for (index, (transaction, sender)) in (1..).zip(self.transactions.iter().zip(&self.senders)) {
            diff.push(index, &executor.execute(transaction, *sender).unwrap().changes);
        }
        let end = executor.finish(Some(&[]), &[]).unwrap();
        diff.push(TRANSACTIONS as u32 + 1, &end.changes);
        diff.finish()
    }

    fn validate(&self, workers: &Workers, hint: StateDiff) -> HintVerdict {
        let input = ValidationInput {
            spec: &self.spec,
            environment: &self.environment,
            parent_hash: B256::ZERO,
            transactions: &self.transactions,
            senders: &self.senders,
            withdrawals: Some(&[]),
            ommers: &[],
            block_hashes: &NoBlockHashes,
            compiler: &Compiler::none(),
        };
        let hint = BlockHint::Advisory(hint);
        validate(workers, input, self.draft.clone(), hint).unwrap().hint
    }
}

/// The beneficiary's balance is wrong from one transaction on, so every later claim of it is, and every later transaction
/// depends on it.
fn lie(honest: &StateDiff, from: u64) -> StateDiff {
    let mut lie = honest.clone();
    for account in &mut lie.accounts {
        if account.address == Address::repeat_byte(0xbe) {
            for change in &mut account.balance_changes {
                let wrong = change.block_access_index.get() >= from;
                change.post_balance += U256::from(u8::from(wrong));
            }
        }
    }
    lie
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_nanos() as f64 / 1000.0 / TRANSACTIONS as f64
}

fn measure(name: &str, code: Option<&[u8]>) {
    let block = block(code);
    let honest = block.sequential();
    let one = Workers::start(NonZeroUsize::MIN, &Pinning::Free).unwrap();
    let two = Workers::start(NonZeroUsize::new(2).unwrap(), &Pinning::Free).unwrap();
    let last = TRANSACTIONS;
    let columns: Vec<(String, Box<dyn Fn()>)> = vec![
        ("sequential".into(), Box::new(|| drop(block.sequential()))),
        (
            "1 worker".into(),
            proves(&block, &one, honest.clone(), HintVerdict::Proven),
        ),
        (
            "2 workers".into(),
            proves(&block, &two, honest.clone(), HintVerdict::Proven),
        ),
        (
            "2, lie at the first".into(),
            proves(&block, &two, lie(&honest, 1), HintVerdict::NotProven),
        ),
        (
            "2, lie in the middle".into(),
            proves(&block, &two, lie(&honest, last / 2), HintVerdict::NotProven),
        ),
        (
            "2, lie at the last".into(),
            proves(&block, &two, lie(&honest, last), HintVerdict::NotProven),
        ),
    ];
    let mut times = vec![(Vec::new(), Vec::new()); columns.len()];
    for _ in 0..ROUNDS {
        for ((_, run), (walls, cpus)) in columns.iter().zip(&mut times) {
            let (wall, before) = (Instant::now(), cpu());
            run();
            walls.push(wall.elapsed());
            cpus.push(cpu() - before);
        }
    }
    let medians: Vec<_> = times
        .into_iter()
        .map(|(walls, cpus)| (median(walls), median(cpus)))
        .collect();
    println!("{name}: microseconds per transaction");
    for ((column, _), (wall, cpu)) in columns.iter().zip(&medians) {
        let (wall_ratio, cpu_ratio) = (wall / medians[0].0, cpu / medians[0].1);
        println!("  {column:<22} wall {wall:7.3} ({wall_ratio:5.2}x)   CPU {cpu:7.3} ({cpu_ratio:5.2}x)");
    }
}

fn proves<'a>(
    block: &'a Block,
    workers: &'a Workers,
    hint: StateDiff,
    expected: HintVerdict,
) -> Box<dyn Fn() + 'a> {
    Box::new(move || assert_eq!(block.validate(workers, hint.clone()), expected))
}

fn main() {
    measure("transfers", None);
    measure("token", Some(TOKEN));
    measure("one counter", Some(COUNTER));
}
