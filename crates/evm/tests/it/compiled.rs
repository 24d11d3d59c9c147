//! Contracts as machine code against revm's interpreter, through the EVM of this node.

use std::sync::Arc;

use alloy_evm::{EthEvmFactory, Evm, EvmFactory, eth::EthEvmContext};
use alloy_primitives::{U256, keccak256};
use rapid_evm::{Compiler, RapidEvmFactory, ShadowInterval};
use rapid_jit::runtime::{Compiling, Runtime, RuntimeConfig, RuntimeStatus, Switch};
use rapid_primitives::ReadState;
use revm::{
    Inspector,
    context_interface::result::ExecutionResult,
    database::InMemoryDB,
    interpreter::{Interpreter, interpreter_types::Jumps},
    primitives::hardfork::SpecId,
};

use crate::{
    alike::{CALLER, CONTRACT, OTHER, assert_alike, call, environment, ours, reference, state},
    bed::{self, MapState},
    programs::{ALL, BURNS, CALLS, SUM, TOKEN},
};

/// A runtime that compiles on the spot what has burnt so much gas, and compiles it again when it has burnt that many
/// times as much.
pub(crate) fn runtime(fast_gas: u64, optimising_factor: u64) -> Arc<Runtime> {
    Runtime::start(RuntimeConfig {
        fast_gas,
        optimising_factor,
        compiling: Compiling::Blocking,
        ..RuntimeConfig::default()
    })
    .unwrap()
}

/// A compiler that compiles everything on first sight, and does not look at the interpreter.
fn eager() -> (Compiler, Arc<Runtime>) {
    let runtime = runtime(0, 1);
    (Compiler::new(runtime.clone(), ShadowInterval::NEVER), runtime)
}

fn entered(runtime: &Runtime) -> u64 {
    let RuntimeStatus { entered, .. } = runtime.status();
    entered
}

/// Two words: a number and an amount.
fn input(number: u64, amount: U256) -> Vec<u8> {
    [U256::from(number).to_be_bytes::<32>(), amount.to_be_bytes()].concat()
}

#[test]
fn results_are_the_interpreters_in_every_way_a_call_can_go() {
    let (compiler, runtime) = eager();
    let inputs = [
        input(0, U256::ZERO),
        input(20, U256::from(7)),
        input(3, U256::MAX),
        input(u64::MAX, U256::ONE),
    ];
    for (name, code, other) in ALL {
        let state = state(&[(CONTRACT, code), (OTHER, other)]);
        for fork in [SpecId::LONDON, SpecId::OSAKA, SpecId::AMSTERDAM] {
            for (number, input) in inputs.iter().enumerate() {
                for gas in (21_600..24_000).step_by(97).chain([40_000, 90_000, 300_000]) {
                    let transaction = call(gas, input);
                    let expected = reference(fork, &state, &transaction);
                    let given = ours(fork, &state, &transaction, &compiler);
                    let what = format!("{name} of input {number} with {gas} gas in {fork:?}");
                    assert_alike(&expected, &given, &what);
                }
            }
        }
    }
    assert!(entered(&runtime) > 0, "machine code ran: {:?}", runtime.status());
}

#[test]
fn one_evm_runs_many_transactions_on_what_they_leave_behind() {
    let (compiler, runtime) = eager();
    let state = state(&[(CONTRACT, TOKEN)]);
    let fork = SpecId::OSAKA;
    let mut theirs = EthEvmFactory::default().create_evm(state.clone(), environment(fork));
    let mut ours = RapidEvmFactory::new(compiler).create_evm(state, environment(fork));
    for nonce in 0..50 {
        let mut transaction = call(100_000, &input(nonce % 5, U256::from(nonce)));
        transaction.nonce = nonce;
        let expected = theirs.transact_commit(transaction.clone()).unwrap();
        let given = ours.transact_commit(transaction).unwrap();
        assert_eq!(expected, given, "transaction {nonce}");
    }
    drop(ours);
    assert!(entered(&runtime) > 0, "{:?}", runtime.status());
}

/// Counts what an inspector is told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Watch {
    opcodes: Vec<u8>,
    gas: Vec<u64>,
}

impl Inspector<EthEvmContext<InMemoryDB>> for Watch {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut EthEvmContext<InMemoryDB>) {
        self.opcodes.push(interpreter.bytecode.opcode());
        self.gas.push(interpreter.gas.remaining());
    }
}

#[test]
fn an_inspector_sees_every_step() {
    let (compiler, runtime) = eager();
    let state = state(&[(CONTRACT, CALLS), (OTHER, SUM)]);
    let transaction = call(1_000_000, &input(9, U256::ZERO));
    let fork = SpecId::OSAKA;
    ours(fork, &state, &transaction, &compiler).unwrap();
    let before = entered(&runtime);
    assert!(before > 0, "{:?}", runtime.status());
    let (mut theirs, mut seen) = (Watch::default(), Watch::default());
    let expected = EthEvmFactory::default()
        .create_evm_with_inspector(state.clone(), environment(fork), &mut theirs)
        .transact_raw(transaction.clone());
    let factory = RapidEvmFactory::new(compiler);
    let given = factory
        .create_evm_with_inspector(state.clone(), environment(fork), &mut seen)
        .transact_raw(transaction.clone());
    assert_alike(&expected, &given, "inspected");
    assert!(seen.opcodes.len() > 300, "{}", seen.opcodes.len());
    assert_eq!(theirs, seen);
    assert_eq!(entered(&runtime), before, "everything was interpreted");
    let mut disabled = Watch::default();
    let mut evm = factory.create_evm_with_inspector(state, environment(fork), &mut disabled);
    evm.disable_inspector();
    assert_alike(&expected, &evm.transact_raw(transaction), "not inspected");
    drop(evm);
    assert_eq!(disabled, Watch::default());
    assert!(entered(&runtime) > before);
}

#[test]
fn quarantine_and_the_switch_end_the_use_of_machine_code() {
    let (compiler, runtime) = eager();
    let state = state(&[(CONTRACT, SUM)]);
    let transaction = call(100_000, &input(9, U256::ZERO));
    let expected = reference(SpecId::OSAKA, &state, &transaction);
    let factory = RapidEvmFactory::new(compiler);
    let mut evm = factory.create_evm(state.clone(), environment(SpecId::OSAKA));
    let mut run = |what: &str| {
        let given = evm.transact_raw(transaction.clone());
        assert_alike(&expected, &given, what);
        // The counts of a session are told when it ends.
        evm = factory.create_evm(state.clone(), environment(SpecId::OSAKA));
        entered(&runtime)
    };
    let compiled = run("compiled");
    assert!(compiled > 0, "{:?}", runtime.status());
    runtime.set_enabled(Switch::Off);
    assert_eq!(run("switched off"), compiled);
    runtime.set_enabled(Switch::On);
    let again = run("switched on");
    assert!(again > compiled);
    runtime.quarantine(keccak256(SUM));
    assert_eq!(run("under quarantine"), again);
}

/// A contract is heated by what it burns itself, not by what it gives to those it calls.
#[test]
fn gas_passed_on_does_not_heat() {
    let runtime = runtime(100_000, u64::MAX);
    let compiler = Compiler::new(runtime.clone(), ShadowInterval::NEVER);
    let state = state(&[(CONTRACT, CALLS), (OTHER, &[0])]);
    for _ in 0..10 {
        ours(SpecId::OSAKA, &state, &call(10_000_000, &[]), &compiler).unwrap();
    }
    assert_eq!(runtime.status().fast_compiled, 0, "{:?}", runtime.status());
    let hot = self::state(&[(CONTRACT, BURNS)]);
    for _ in 0..3 {
        ours(SpecId::OSAKA, &hot, &call(1_000_000, &[]), &compiler).unwrap();
    }
    assert_eq!(runtime.status().fast_compiled, 1, "{:?}", runtime.status());
}

#[test]
fn the_block_executor_runs_machine_code() {
    let (compiler, runtime) = eager();
    let state = || {
        MapState::default()
            .with_balance(bed::SENDER, 1_000_000)
            .with_code(CONTRACT, CALLS)
            .with_code(OTHER, SUM)
    };
    let config = bed::amsterdam();
    let mut interpreting = bed::executor(&config, 1, state());
    let mut compiling = bed::executor_with(&config, 1, state(), &compiler);
    for nonce in 0..5 {
        let transaction = bed::call(nonce, CONTRACT, 0);
        let expected = interpreting.execute(&transaction, bed::SENDER).unwrap();
        assert_eq!(expected, compiling.execute(&transaction, bed::SENDER).unwrap());
    }
    let expected = interpreting.into_state().accounts;
    let given = compiling.into_state();
    assert_eq!(expected, given.accounts);
    assert_eq!(given.account(&CALLER).unwrap(), None);
    assert!(entered(&runtime) > 0, "{:?}", runtime.status());
}

#[test]
fn the_programs_do_what_they_say() {
    let result = |code, other, number, amount| {
        let state = state(&[(CONTRACT, code), (OTHER, other)]);
        let outcome = reference(SpecId::OSAKA, &state, &call(5_000_000, &input(number, amount)));
        outcome.unwrap().result
    };
    let word = |result: ExecutionResult| U256::from_be_slice(&result.output().unwrap()[..32]);
    assert_eq!(word(result(SUM, &[], 10, U256::ZERO)), U256::from(55));
    assert_eq!(word(result(CALLS, SUM, 10, U256::ZERO)), U256::from(5 * 55));
    let transfer = result(TOKEN, &[], 10, U256::from(3));
    assert_eq!((transfer.logs().len(), word(transfer)), (1, U256::ONE));
    assert!(matches!(
        result(TOKEN, &[], 10, U256::MAX),
        ExecutionResult::Revert { .. }
    ));
    for (name, ends_well) in [
        ("delegates", true),
        ("looks at what writes", true),
        ("recurses", true),
        ("creates", true),
        ("never ends", false),
        ("underflows", false),
        ("overflows", false),
        ("jumps", false),
    ] {
        let (_, code, other) = ALL.iter().find(|(other, ..)| *other == name).unwrap();
        let result = result(code, other, 10, U256::from(3));
        assert_eq!(result.is_success(), ends_well, "{name}: {result:?}");
    }
}
