//! From bytecode to machine code: analysis, then code generation.

use revm::bytecode::Bytecode;

#[cfg(target_arch = "x86_64")]
use crate::template::emit;
use crate::{CompiledCode, NoExecutableMemory, Rules, analysis::analyse};
#[cfg(not(target_arch = "x86_64"))]
use crate::{analysis::Analysis, emitted::Emitted};

/// How much work goes into the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Little: for code that has become warm.
    Fast,
    /// As much as pays: for hot code.
    Optimising,
}

/// Bounds of one compilation. Over any of them it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of bytecode. EIP-7954 allows 64 KiB from Amsterdam on.
    pub bytecode_bytes: usize,
    /// Reachable instructions.
    pub instructions: usize,
    /// Blocks, each an entry.
    pub blocks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytecode_bytes: 64 * 1024,
            instructions: 40_000,
            blocks: 8_000,
        }
    }
}

/// What to compile for.
#[derive(Clone, Copy, Debug)]
pub struct CompileOptions {
    /// The tier.
    pub tier: Tier,
    /// The bounds.
    pub limits: Limits,
    /// Whether every section first counts down the frame's countdown and leaves at zero: for tests of
    /// the way out and back in.
    pub forced_exits: ForcedExitPoints,
    /// What becomes of code that is too simple to gain by it.
    pub simple_code: SimpleCode,
    /// What becomes of the stack where a frame ends.
    pub ended_stack: EndedStack,
}

/// What becomes of the words that are on the stack where a frame ends, below the operands of the instruction that ends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndedStack {
    /// They are not written to memory: nobody reads them.
    #[default]
    Dropped,
    /// They are written: for tests that read them.
    Written,
}

/// What becomes of code without loops that has so few instructions that entering compiled code and leaving it costs more
/// than it saves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SimpleCode {
    /// [`CompileError::NotWorthwhile`].
    #[default]
    Refused,
    /// It is compiled all the same, for tests.
    Compiled,
}

/// Whether code has points at which an exit can be forced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForcedExitPoints {
    /// None: code for use.
    #[default]
    Absent,
    /// Every section has one: code for tests.
    Present,
}

impl CompileOptions {
    /// Code for use, default bounds.
    #[must_use]
    pub fn for_tier(tier: Tier) -> Self {
        Self {
            tier,
            limits: Limits::default(),
            forced_exits: ForcedExitPoints::Absent,
            simple_code: SimpleCode::Refused,
            ended_stack: EndedStack::Dropped,
        }
    }
}

/// Why there is no machine code. The interpreter runs the contract.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Over a bound.
    #[error("{what} {got} over the limit of {limit}")]
    TooLarge {
        /// Which.
        what: &'static str,
        /// How many.
        got: usize,
        /// How many at most.
        limit: usize,
    },
    /// Nothing to gain, so compiled code would be slower than the interpreter.
    #[error("nothing in it that compiled code is faster at")]
    NotWorthwhile,
    /// Not plain bytecode (an EIP-7702 designator).
    #[error("not plain bytecode")]
    NotLegacy,
    /// This processor or system is not one that code can be made for.
    #[error("no compiler for this machine: {0}")]
    Unsupported(String),
    /// The code generator failed.
    #[error("code generator: {0}")]
    Codegen(String),
    /// The system refuses executable memory.
    #[error(transparent)]
    Memory(#[from] NoExecutableMemory),
}

/// Compiles a contract.
///
/// # Errors
/// See [`CompileError`].
pub fn compile(
    bytecode: &Bytecode,
    rules: &Rules,
    options: &CompileOptions,
) -> Result<CompiledCode, CompileError> {
    let analysis = analyse(bytecode, rules, options)?;
    if options.simple_code == SimpleCode::Refused && analysis.is_simple() {
        return Err(CompileError::NotWorthwhile);
    }
    let emitted = emit(&analysis, options)?;
    Ok(CompiledCode::new(emitted, &analysis, options.tier)?)
}

#[cfg(not(target_arch = "x86_64"))]
fn emit(_: &Analysis, _: &CompileOptions) -> Result<Emitted, CompileError> {
    Err(CompileError::Unsupported(std::env::consts::ARCH.to_owned()))
}

#[cfg(test)]
mod tests {
    use revm::{
        bytecode::opcode as op,
        interpreter::{
            InputsImpl, Interpreter, InterpreterAction, SharedMemory,
            host::DummyHost,
            instruction_table,
            instructions::gas_table_spec,
            interpreter::{EthInterpreter, ExtBytecode},
        },
        primitives::{Bytes, hardfork::SpecId},
    };

    use super::*;
    use crate::{Machine, RunCounts};

    /// Runs code interpreted and compiled; both have to end alike. Returns what compiled code did.
    fn run_both(code: &[u8], gas: u64) -> (InterpreterAction, RunCounts) {
        let bytecode = Bytecode::new_legacy(Bytes::copy_from_slice(code));
        let spec = SpecId::PRAGUE;
        let table = instruction_table::<EthInterpreter, DummyHost>();
        let gas_table = gas_table_spec(spec);
        let new = || {
            Interpreter::<EthInterpreter>::new(
                SharedMemory::new(),
                ExtBytecode::new(bytecode.clone()),
                InputsImpl::default(),
                false,
                spec,
                gas,
            )
        };
        let mut host = DummyHost::new(spec);
        let expected = new().run_plain(&table, &gas_table, &mut host);
        let rules = Rules::ethereum(spec);
        let compiled = compile(&bytecode, &rules, &CompileOptions::for_tier(Tier::Optimising)).unwrap();
        let mut counts = RunCounts::default();
        let machine = Machine {
            instructions: &table,
            gas_table: &gas_table,
            host: &mut host,
        };
        let got = compiled.run(&mut new(), machine, &mut counts);
        assert_eq!(format!("{got:?}"), format!("{expected:?}"));
        (got, counts)
    }

    /// Counts down from 1000 and returns what is left and the sum.
    const COUNTDOWN: &[u8] = &[
        op::PUSH0,
        op::PUSH2,
        3,
        232,
        op::JUMPDEST,
        op::DUP1,
        op::SWAP2,
        op::ADD,
        op::SWAP1,
        op::PUSH1,
        1,
        op::SWAP1,
        op::SUB,
        op::DUP1,
        op::PUSH1,
        4,
        op::JUMPI,
        op::PUSH0,
        op::MSTORE,
        op::PUSH1,
        32,
        op::MSTORE,
        op::PUSH1,
        64,
        op::PUSH0,
        op::RETURN,
    ];

    #[test]
    fn a_loop_runs_as_the_interpreter_runs_it() {
        let (action, counts) = run_both(COUNTDOWN, 1_000_000);
        assert_eq!(counts.entered, 1, "the loop stays in compiled code");
        assert!(action.is_return());
    }

    #[test]
    fn every_gas_limit_ends_alike() {
        for gas in 0..400 {
            run_both(COUNTDOWN, gas);
        }
    }
}
