//! Transactions that are executed again by the interpreter, and what happens when that gives another result.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use alloy_evm::{Evm, EvmFactory};
use alloy_primitives::{B256, U256, hex, keccak256};
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, with_local_recorder,
};
use rapid_evm::{Compiler, RapidEvmFactory, ShadowInterval};
use revm::{bytecode::Bytecode, database::InMemoryDB, primitives::hardfork::SpecId};

use crate::{
    alike::{CONTRACT, Outcome, assert_alike, call, environment, ours, reference, state},
    compiled::runtime,
    programs::SUM,
};

const FORK: SpecId = SpecId::OSAKA;

/// [`SUM`], but for a constant: what it takes off in each round is 2.
const OTHER_SUM: &[u8] = &hex!("5f355f5b811560145781019060029003906003565b5f5260205ff3");

/// Counts two counters.
#[derive(Debug, Default)]
struct Counts {
    transactions: Arc<AtomicU64>,
    mismatches: Arc<AtomicU64>,
}

impl Counts {
    fn get(&self) -> (u64, u64) {
        (self.transactions.load(SeqCst), self.mismatches.load(SeqCst))
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match key.name() {
            "rapid_reth_jit_shadow_transactions_total" => Counter::from_arc(self.transactions.clone()),
            "rapid_reth_jit_shadow_mismatches_total" => Counter::from_arc(self.mismatches.clone()),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// A state whose contract claims the hash of [`SUM`] whatever its code: so what was compiled for the one runs for the
/// other, as if the compiler had got a constant wrong.
fn claims_to_be_sum(code: &'static [u8]) -> InMemoryDB {
    let mut state = state(&[]);
    let info = revm::state::AccountInfo {
        nonce: 1,
        code_hash: keccak256(SUM),
        code: Some(Bytecode::new_raw(code.into())),
        ..revm::state::AccountInfo::default()
    };
    state.insert_account_info(CONTRACT, info);
    state
}

fn sum_of(number: u64) -> revm::context::TxEnv {
    call(200_000, &U256::from(number).to_be_bytes::<32>())
}

/// A compiler that has compiled [`SUM`] and not yet run it, and compiles it no second time.
fn compiler(interval: ShadowInterval) -> Compiler {
    let compiler = Compiler::new(runtime(1, u64::MAX), interval);
    let state = claims_to_be_sum(SUM);
    let expected = reference(FORK, &state, &sum_of(10));
    assert_alike(
        &expected,
        &ours(FORK, &state, &sum_of(10), &compiler),
        "interpreted",
    );
    compiler
}

fn quarantined(compiler: &Compiler) -> usize {
    compiler.runtime().unwrap().status().quarantined
}

#[test]
fn on_a_mismatch_the_interpreters_result_stands_and_the_code_is_not_run_again() {
    let counts = Counts::default();
    with_local_recorder(&counts, || {
        let compiler = compiler(ShadowInterval::one_in(1));
        assert_eq!(counts.get(), (0, 0), "nothing compiled ran");
        let state = claims_to_be_sum(SUM);
        let given = ours(FORK, &state, &sum_of(10), &compiler);
        assert_alike(&reference(FORK, &state, &sum_of(10)), &given, "compiled rightly");
        assert_eq!(counts.get(), (1, 0), "one comparison, and it found them equal");
        let state = claims_to_be_sum(OTHER_SUM);
        let expected = reference(FORK, &state, &sum_of(10));
        let given = ours(FORK, &state, &sum_of(10), &compiler);
        assert_alike(&expected, &given, "compiled wrongly, and checked");
        assert_eq!(counts.get(), (2, 1));
        assert_eq!(quarantined(&compiler), 1);
        let given = ours(FORK, &state, &sum_of(10), &compiler);
        assert_alike(&expected, &given, "interpreted");
        assert_eq!(
            counts.get(),
            (2, 1),
            "nothing compiled ran, so nothing was compared"
        );
    });
}

/// The other half of the proof: without the comparison the wrong result would have stood.
#[test]
fn without_a_comparison_nobody_notices() {
    let compiler = compiler(ShadowInterval::NEVER);
    ours(FORK, &claims_to_be_sum(SUM), &sum_of(10), &compiler).unwrap();
    let state = claims_to_be_sum(OTHER_SUM);
    let sum = |outcome: Outcome| outcome.unwrap().result.into_output().unwrap();
    let expected = sum(reference(FORK, &state, &sum_of(10)));
    let given = sum(ours(FORK, &state, &sum_of(10), &compiler));
    assert_ne!(expected, given);
    assert_eq!(B256::from_slice(&given), B256::from(U256::from(55)));
    assert_eq!(quarantined(&compiler), 0);
}

#[test]
fn one_in_so_many_transactions_is_executed_again() {
    let counts = Counts::default();
    with_local_recorder(&counts, || {
        let compiler = compiler(ShadowInterval::one_in(4));
        let state = state(&[(CONTRACT, SUM)]);
        let factory = RapidEvmFactory::new(compiler);
        let mut evm = factory.create_evm(state.clone(), environment(FORK));
        for number in 1..=20 {
            let given = evm.transact_raw(sum_of(number));
            assert_alike(
                &reference(FORK, &state, &sum_of(number)),
                &given,
                "checked or not",
            );
            assert_eq!(counts.get(), (number / 4, 0), "after {number}");
        }
        // A transfer runs no code and does not count.
        let mut transfer = sum_of(0);
        transfer.kind = revm::primitives::TxKind::Call(crate::alike::OTHER);
        for _ in 0..8 {
            evm.transact_raw(transfer.clone()).unwrap();
        }
        assert_eq!(counts.get(), (5, 0));
    });
}
