//! The runtime with a stand-in for the compiler.

mod concurrency;
mod lifecycle;
mod measure;
mod memory;
mod persistence;
mod threads;

use std::{sync::Arc, time::Instant};

use alloy_primitives::{B256, Bytes, U256};
use parking_lot::Mutex;
use revm::{
    bytecode::Bytecode, context_interface::cfg::GasParams, interpreter::instructions::gas_table_spec,
    primitives::hardfork::SpecId,
};

use super::{
    Compiling, Found, HeatSource, Runtime, RuntimeConfig, Session,
    remembered::Remembered,
    shared::{CompileFn, Shared},
};
use crate::{CompileError, CompiledCode, Tier, arena::Blob};

/// Bytes that [`machine_code`] takes.
const PAGE: usize = 4096;

/// A contract that differs from those of other numbers.
#[derive(Clone, Debug)]
struct Contract {
    number: usize,
    hash: B256,
    bytecode: Bytecode,
}

impl Contract {
    fn new(number: usize) -> Self {
        let mut code = vec![0x7f];
        code.extend_from_slice(&U256::from(number).to_be_bytes::<32>());
        let bytecode = Bytecode::new_legacy(Bytes::from(code));
        Self {
            number,
            hash: bytecode.hash_slow(),
            bytecode,
        }
    }
}

/// The number of the contract with this bytecode.
fn number_of(bytecode: &Bytecode) -> usize {
    U256::from_be_slice(&bytecode.original_byte_slice()[1..33]).to()
}

/// A page of code, of a length that tells the contract.
fn machine_code(number: usize, tier: Tier) -> CompiledCode {
    CompiledCode {
        blob: Blob::new(&vec![0xc3; 1 + number]).unwrap(),
        enter_offset: 0,
        entries: Box::default(),
        destinations: Box::default(),
        targets: Box::default(),
        exits: Box::default(),
        tier,
        instructions: 1,
    }
}

fn succeed(bytecode: &Bytecode, tier: Tier) -> Result<CompiledCode, CompileError> {
    Ok(machine_code(number_of(bytecode), tier))
}

/// A runtime without threads, that notes what it compiles.
struct Bed {
    runtime: Arc<Runtime>,
    compiled: Arc<Mutex<Vec<(usize, Tier)>>>,
}

impl Bed {
    fn new(
        config: RuntimeConfig,
        outcome: impl Fn(&Bytecode, Tier) -> Result<CompiledCode, CompileError> + Send + Sync + 'static,
    ) -> Self {
        let compiled: Arc<Mutex<Vec<(usize, Tier)>>> = Arc::default();
        let notes = Arc::clone(&compiled);
        let compile: Box<CompileFn> = Box::new(move |bytecode, _, options| {
            notes.lock().push((number_of(bytecode), options.tier));
            outcome(bytecode, options.tier)
        });
        let remembered = config
            .profile
            .as_deref()
            .map(Remembered::load)
            .unwrap_or_default();
        let runtime = Runtime {
            shared: Arc::new(Shared::new(config, compile, remembered, Instant::now())),
            workers: Mutex::default(),
        };
        Self {
            runtime: Arc::new(runtime),
            compiled,
        }
    }

    fn blocking() -> Self {
        Self::new(blocking(), succeed)
    }

    fn session(&self) -> Session {
        session(&self.runtime)
    }

    fn compiled(&self) -> Vec<(usize, Tier)> {
        self.compiled.lock().clone()
    }
}

fn blocking() -> RuntimeConfig {
    RuntimeConfig {
        compiling: Compiling::Blocking,
        ..RuntimeConfig::default()
    }
}

/// Everything is compiled when it is first seen.
fn at_once() -> RuntimeConfig {
    RuntimeConfig {
        fast_gas: 0,
        optimising_factor: u64::MAX,
        ..blocking()
    }
}

fn session(runtime: &Arc<Runtime>) -> Session {
    session_of(runtime, SpecId::CANCUN)
}

fn session_of(runtime: &Arc<Runtime>, spec: SpecId) -> Session {
    let (table, params) = (gas_table_spec(spec), GasParams::new_spec(spec));
    Session::new(Arc::clone(runtime), spec, &table, &params)
}

/// Runs a frame that burns gas; tells the tier of the code that ran.
fn burn(session: &mut Session, contract: &Contract, gas: u64) -> Option<Tier> {
    match session.find(contract.hash, &contract.bytecode) {
        Found::Compiled(code) => {
            assert_eq!(code.code_bytes(), 1 + contract.number, "code of another contract");
            let tier = code.tier();
            code.heat().add(gas);
            Some(tier)
        }
        Found::Interpret(heat) => {
            heat.add(gas);
            None
        }
    }
}

fn find(session: &mut Session, contract: &Contract) -> Option<Tier> {
    burn(session, contract, 0)
}

/// Gas after which a contract is due.
const HOT: u64 = 1_000_000;
