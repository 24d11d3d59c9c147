//! What an execution costs around the code it runs: `cargo bench -p rapid-evm --bench around_code`.
//!
//! The two sides alternate in short batches on one thread, timed by its CPU clock, over a state that nothing is committed
//! to. Each line gives the best batch of both and how many times faster the second is, which is what to look at on a
//! busy machine.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::{hint::black_box, time::Duration};

use alloy_evm::{EthEvmFactory, Evm, EvmEnv, EvmFactory};
use alloy_primitives::{Address, Bytes, TxKind, U256, hex, keccak256};
use rapid_evm::{Compiler, RapidEvmFactory, ShadowInterval};
use rapid_jit::{
    keccak_memo,
    runtime::{Compiling, Runtime, RuntimeConfig},
};
use revm::{
    bytecode::Bytecode,
    context::{BlockEnv, CfgEnv, TxEnv},
    database::InMemoryDB,
    primitives::hardfork::SpecId,
    state::AccountInfo,
};
use rustix::time::{ClockId, clock_gettime};

/// That of the node.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Batches of each side.
const ROUNDS: usize = 400;
/// Aimed length of a batch.
const BATCH: Duration = Duration::from_micros(500);

const CALLER: Address = Address::repeat_byte(0xca);
const STOP: Address = Address::repeat_byte(0x57);
const TOKEN: Address = Address::repeat_byte(0x70);
const LOOP: Address = Address::repeat_byte(0x10);
const CALLS: Address = Address::repeat_byte(0x11);

/// A token's `transfer(to, amount)` without its selector: two balances in a mapping, and the event.
const TOKEN_CODE: &[u8] = &hex!(
    "335f525f60205260405f20805460203590039055"
    "5f355f5260405f208054602035019055"
    "6020355f525f353363ddf252ad60205fa300"
);
/// Counts down from 200.
const LOOP_CODE: &[u8] = &hex!("60c85b600190038060025700");
/// Calls a contract that stops, 20 times.
const CALLS_CODE: &[u8] =
    &hex!("60145b5f5f5f5f5f73575757575757575757575757575757575757575761fffff150600190038060025700");

fn main() {
    let mut input = [0; 64];
    input[24..32].fill(7);
    input[63] = 1;
    let calls = [
        ("stop", call(STOP, &[])),
        ("token transfer", call(TOKEN, &input)),
        ("loop of 200", call(LOOP, &[])),
        ("20 calls", call(CALLS, &[])),
    ];
    let revm = EthEvmFactory::default();
    let interpreting = RapidEvmFactory::default();
    let compiling = RapidEvmFactory::new(compiler());
    for (name, transaction) in &calls {
        let outcome = compiling
            .create_evm(state(), env())
            .transact_raw(transaction.clone());
        let result = outcome.unwrap().result;
        assert!(result.is_success(), "{name}: {result:?}");
    }
    println!("revm, ours without a compiler");
    for (name, transaction) in &calls {
        new_evms(name, transaction, &revm, &interpreting);
        same_evms(name, transaction, &revm, &interpreting);
    }
    println!("ours without a compiler, ours compiled");
    for (name, transaction) in &calls {
        new_evms(name, transaction, &interpreting, &compiling);
        same_evms(name, transaction, &interpreting, &compiling);
    }
    println!("keccak256, keccak_memo");
    for (name, keys) in [("one key", 1), ("200 keys", 200), ("new keys", u64::MAX)] {
        hashes(name, keys, input);
    }
}

/// An EVM for each call.
fn new_evms(
    name: &str,
    transaction: &TxEnv,
    reference: &impl EvmFactory<Tx = TxEnv, Spec = SpecId, BlockEnv = BlockEnv>,
    ours: &impl EvmFactory<Tx = TxEnv, Spec = SpecId, BlockEnv = BlockEnv>,
) {
    let (mut one, mut other) = (state(), state());
    let a = || {
        let mut evm = reference.create_evm(&mut one, env());
        black_box(evm.transact_raw(transaction.clone()).is_ok());
    };
    let b = || {
        let mut evm = ours.create_evm(&mut other, env());
        black_box(evm.transact_raw(transaction.clone()).is_ok());
    };
    compare(&format!("{name}, new EVM"), a, b);
}

/// One EVM for all calls.
fn same_evms(
    name: &str,
    transaction: &TxEnv,
    reference: &impl EvmFactory<Tx = TxEnv, Spec = SpecId, BlockEnv = BlockEnv>,
    ours: &impl EvmFactory<Tx = TxEnv, Spec = SpecId, BlockEnv = BlockEnv>,
) {
    let mut one = reference.create_evm(state(), env());
    let mut other = ours.create_evm(state(), env());
    let a = || {
        black_box(one.transact_raw(transaction.clone()).is_ok());
    };
    let b = || {
        black_box(other.transact_raw(transaction.clone()).is_ok());
    };
    compare(&format!("{name}, same EVM"), a, b);
}

/// Slots of so many keys of a mapping, one after the other.
fn hashes(name: &str, keys: u64, input: [u8; 64]) {
    let keyed = |number: u64| {
        let mut input = input;
        input[24..32].copy_from_slice(&(number % keys).to_be_bytes());
        input
    };
    let (mut one, mut other) = (0, 0);
    let a = || {
        one += 1;
        black_box(keccak256(black_box(keyed(one))));
    };
    let b = || {
        other += 1;
        black_box(keccak_memo(black_box(&keyed(other))));
    };
    compare(&format!("hash of 64 bytes, {name}"), a, b);
}

/// Compiles everything at once, as well as it can.
fn compiler() -> Compiler {
    let runtime = Runtime::start(RuntimeConfig {
        fast_gas: 0,
        compiling: Compiling::Blocking,
        ..RuntimeConfig::default()
    });
    Compiler::new(runtime.unwrap(), ShadowInterval::NEVER)
}

fn env() -> EvmEnv {
    EvmEnv::new(CfgEnv::new_with_spec(SpecId::OSAKA), BlockEnv::default())
}

fn state() -> InMemoryDB {
    let mut state = InMemoryDB::default();
    state.insert_account_info(
        CALLER,
        AccountInfo::from_balance(U256::from(10).pow(U256::from(18))),
    );
    for (address, code) in [
        (STOP, &[0][..]),
        (TOKEN, TOKEN_CODE),
        (LOOP, LOOP_CODE),
        (CALLS, CALLS_CODE),
    ] {
        let code = Bytecode::new_raw(Bytes::from_static(code));
        let info = AccountInfo {
            nonce: 1,
            code_hash: keccak256(code.original_bytes()),
            code: Some(code),
            ..AccountInfo::default()
        };
        state.insert_account_info(address, info);
    }
    state
}

fn call(to: Address, input: &[u8]) -> TxEnv {
    TxEnv {
        caller: CALLER,
        kind: TxKind::Call(to),
        gas_limit: 1_000_000,
        data: Bytes::copy_from_slice(input),
        chain_id: None,
        ..TxEnv::default()
    }
}

/// Prints the best time of both, and how many times faster the second is.
fn compare(name: &str, mut first: impl FnMut(), mut second: impl FnMut()) {
    let once = timed(1, &mut first).max(timed(1, &mut second));
    let times = (BATCH.as_nanos() / once.max(1)).clamp(1, 100_000) as u32;
    let mut best = (u128::MAX, u128::MAX);
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let (a, b) = (timed(times, &mut first), timed(times, &mut second));
            best = (best.0.min(a), best.1.min(b));
            a as f64 / b as f64
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "{name:32} {:>7} ns {:>7} ns   ratio {:.2} (median {:.2})",
        best.0 / u128::from(times),
        best.1 / u128::from(times),
        best.0 as f64 / best.1 as f64,
        ratios[ROUNDS / 2],
    );
}

/// Nanoseconds of CPU time that so many runs take.
fn timed(times: u32, run: &mut impl FnMut()) -> u128 {
    let before = now();
    for _ in 0..times {
        run();
    }
    (now() - before).as_nanos()
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
