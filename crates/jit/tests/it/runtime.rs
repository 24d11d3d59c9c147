//! The runtime with the real compiler: what it hands out runs, and as the interpreter does.

use std::{path::Path, sync::Arc, thread};

use revm::{
    bytecode::Bytecode,
    context_interface::{cfg::GasParams, host::DummyHost},
    interpreter::{
        Interpreter, InterpreterAction, SharedMemory,
        instructions::{gas_table_spec, instruction_table},
        interpreter::{EthInterpreter, ExtBytecode},
    },
    primitives::{Bytes, hardfork::SpecId},
};

use rapid_jit::{
    Machine, RunCounts, Tier,
    runtime::{Compiling, Found, Runtime, RuntimeConfig, Session},
};

const SPEC: SpecId = SpecId::CANCUN;

/// Counts down from 1000, and returns the last word it stored.
fn countdown() -> Bytecode {
    let code = [
        0x61, 0x03, 0xe8, // PUSH2 1000
        0x5b, // JUMPDEST
        0x60, 0x01, 0x90, 0x03, // 1 less
        0x80, 0x60, 0x00, 0x52, // store it
        0x80, 0x60, 0x03, 0x57, // again unless zero
        0x60, 0x20, 0x60, 0x00, 0xf3, // return the word
    ];
    Bytecode::new_legacy(Bytes::from(code.to_vec()))
}

fn interpreter(bytecode: &Bytecode, gas: u64) -> Interpreter {
    Interpreter::new(
        SharedMemory::new(),
        ExtBytecode::new_with_hash(bytecode.clone(), bytecode.hash_slow()),
        Default::default(),
        false,
        SPEC,
        gas,
    )
}

/// One frame of an EVM. Tells the tier of the code it ran, what came of it, and the gas left.
fn frame(session: &mut Session, bytecode: &Bytecode, gas: u64) -> (Option<Tier>, InterpreterAction, u64) {
    let (instructions, gas_table) = (
        instruction_table::<EthInterpreter, DummyHost>(),
        gas_table_spec(SPEC),
    );
    let mut host = DummyHost::new(SPEC);
    let mut interpreter = interpreter(bytecode, gas);
    match session.find(bytecode.hash_slow(), bytecode) {
        Found::Compiled(code) => {
            let machine = Machine {
                instructions: &instructions,
                gas_table: &gas_table,
                host: &mut host,
            };
            let mut counts = RunCounts::default();
            let action = code.run(&mut interpreter, machine, &mut counts);
            let tier = code.tier();
            let left = interpreter.gas.remaining();
            code.heat().add(gas - left);
            session.record(&counts);
            (Some(tier), action, left)
        }
        Found::Interpret(heat) => {
            let action = interpreter.run_plain(&instructions, &gas_table, &mut host);
            let left = interpreter.gas.remaining();
            heat.add(gas - left);
            (None, action, left)
        }
    }
}

fn session(runtime: &Arc<Runtime>) -> Session {
    let params = GasParams::new_spec(SPEC);
    Session::new(Arc::clone(runtime), SPEC, &gas_table_spec(SPEC), &params)
}

fn with_profile(path: &Path) -> RuntimeConfig {
    RuntimeConfig {
        profile: Some(path.to_owned()),
        ..RuntimeConfig::default()
    }
}

#[test]
fn contract_rises_through_the_tiers_and_stays_itself() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("profile");
    let bytecode = countdown();
    let gas = 1_000_000;
    let runtime = Runtime::start(with_profile(&path)).unwrap();
    let mut session_of_life = session(&runtime);
    let (tier, action, left) = frame(&mut session_of_life, &bytecode, gas);
    assert_eq!(tier, None);
    for awaited in [Tier::Fast, Tier::Optimising] {
        loop {
            let (tier, same_action, same_left) = frame(&mut session_of_life, &bytecode, gas);
            assert_eq!((&same_action, same_left), (&action, left), "{tier:?}");
            if tier == Some(awaited) {
                break;
            }
            thread::yield_now();
        }
    }
    drop(session_of_life);
    runtime.stop();
    let status = runtime.status();
    assert!(status.entered > 0 && status.hits > 0 && status.misses > 0);
    assert_eq!((status.fast_contracts, status.optimising_contracts), (0, 1));

    // After a restart it is compiled without being interpreted first.
    let config = RuntimeConfig {
        compiling: Compiling::Blocking,
        ..with_profile(&path)
    };
    let restarted = Runtime::start(config).unwrap();
    let (tier, same_action, same_left) = frame(&mut session(&restarted), &bytecode, gas);
    assert_eq!(tier, Some(Tier::Optimising));
    assert_eq!((same_action, same_left), (action, left));
}

#[test]
fn every_gas_limit_ends_as_interpreted() {
    let config = |fast_gas| RuntimeConfig {
        fast_gas,
        compiling: Compiling::Blocking,
        ..RuntimeConfig::default()
    };
    let (compiling, interpreting) = (config(0), config(u64::MAX));
    let runtimes = [compiling, interpreting].map(|config| Runtime::start(config).unwrap());
    let [mut compiled, mut interpreted] = runtimes.each_ref().map(session);
    let bytecode = countdown();
    for gas in 0..500 {
        let (tier, action, left) = frame(&mut compiled, &bytecode, gas);
        assert!(tier.is_some());
        let (tier, expected, expected_left) = frame(&mut interpreted, &bytecode, gas);
        assert_eq!(tier, None);
        assert_eq!((action, left), (expected, expected_left), "gas limit {gas}");
    }
}

#[test]
fn simple_contract_is_no_failure() {
    let config = RuntimeConfig {
        fast_gas: 0,
        compiling: Compiling::Blocking,
        ..RuntimeConfig::default()
    };
    let runtime = Runtime::start(config).unwrap();
    let stop = Bytecode::new_legacy(Bytes::from_static(&[0x00]));
    let (tier, ..) = frame(&mut session(&runtime), &stop, 1000);
    let status = runtime.status();
    assert!(status.failures.iter().all(|count| count.count == 0));
    assert_eq!(tier.is_none(), status.simple == 1, "compiled or called simple");
}
