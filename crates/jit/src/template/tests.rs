//! Compiled code against the interpreter, on programs small enough to see what went wrong.

mod encodings;
mod programs;
mod random;

use revm::{
    bytecode::Bytecode,
    context_interface::host::DummyHost,
    interpreter::{
        CallInput, InputsImpl, Interpreter, SharedMemory,
        instructions::{gas_table_spec, instruction_table},
        interpreter::{EthInterpreter, ExtBytecode},
    },
    primitives::{Address, U256, hardfork::SpecId},
};

use super::{emit_for, wide::Features};
use crate::{
    CompileOptions, CompiledCode, EndedStack, ForcedExitPoints, ForcedExits, Machine, Rules, RunCounts, Tier,
    analysis::analyse,
};

const SPEC: SpecId = SpecId::OSAKA;

/// What can be seen of a run. Stack and memory of one that failed cannot.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    action: String,
    gas: u64,
    stack: Vec<U256>,
    memory: Vec<u8>,
}

struct Program<'a> {
    code: &'a [u8],
    input: &'a [u8],
    gas: u64,
}

impl Program<'_> {
    fn interpreter(&self) -> Interpreter {
        let bytecode = Bytecode::new_legacy(self.code.to_vec().into());
        let inputs = InputsImpl {
            target_address: Address::repeat_byte(0x17),
            caller_address: Address::from([
                1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
            ]),
            input: CallInput::Bytes(self.input.to_vec().into()),
            call_value: U256::from(0x1122_3344_5566_7788_u64) << 100,
            ..InputsImpl::default()
        };
        Interpreter::new(
            SharedMemory::new(),
            ExtBytecode::new(bytecode),
            inputs,
            false,
            SPEC,
            self.gas,
        )
    }

    fn interpret(&self) -> Outcome {
        let mut interpreter = self.interpreter();
        let table = instruction_table::<EthInterpreter, DummyHost>();
        let mut host = DummyHost::new(SPEC);
        let action = interpreter.run_plain(&table, &gas_table_spec(SPEC), &mut host);
        outcome(&mut interpreter, &format!("{action:?}"))
    }

    fn compile(&self, features: Features, forced_exits: ForcedExitPoints) -> CompiledCode {
        let options = CompileOptions {
            forced_exits,
            ended_stack: EndedStack::Written,
            ..CompileOptions::for_tier(Tier::Fast)
        };
        let bytecode = Bytecode::new_legacy(self.code.to_vec().into());
        let analysis = analyse(&bytecode, &Rules::ethereum(SPEC), &options).unwrap();
        let emitted = emit_for(&analysis, &options, features).unwrap();
        CompiledCode::new(emitted, &analysis, Tier::Fast).unwrap()
    }

    fn run(&self, code: &CompiledCode, forced: &mut ForcedExits) -> (Outcome, RunCounts) {
        let mut interpreter = self.interpreter();
        let table = instruction_table::<EthInterpreter, DummyHost>();
        let mut host = DummyHost::new(SPEC);
        let machine = Machine {
            instructions: &table,
            gas_table: &gas_table_spec(SPEC),
            host: &mut host,
        };
        let mut counts = RunCounts::default();
        let action = code.run_forced(&mut interpreter, machine, &mut counts, forced);
        (outcome(&mut interpreter, &format!("{action:?}")), counts)
    }

    /// Runs it every way there is.
    fn check(&self) {
        let expected = self.interpret();
        for features in [Features::detect(), Features::NONE] {
            let code = self.compile(features, ForcedExitPoints::Absent);
            let (got, _) = self.run(&code, &mut ForcedExits::seeded(u64::MAX));
            assert_eq!(got, expected, "{self}, {features:?}");
            let code = self.compile(features, ForcedExitPoints::Present);
            for seed in 1..4 {
                let (got, _) = self.run(&code, &mut ForcedExits::seeded(seed));
                assert_eq!(got, expected, "{self}, {features:?}, exits {seed}");
            }
        }
    }
}

impl std::fmt::Display for Program<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "gas {} code ", self.gas)?;
        self.code.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn outcome(interpreter: &mut Interpreter, action: &str) -> Outcome {
    let has_failed = !action.contains("result: Stop") && !action.contains("result: Return");
    Outcome {
        action: action.to_owned(),
        gas: interpreter.gas.remaining(),
        stack: if has_failed {
            Vec::new()
        } else {
            interpreter.stack.data().to_vec()
        },
        memory: if has_failed {
            Vec::new()
        } else {
            interpreter.memory.context_memory().to_vec()
        },
    }
}
