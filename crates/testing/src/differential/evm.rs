//! An EVM whose frames can be run in different ways, and which records what they do.

use std::sync::Arc;

use rapid_jit::{CompiledCode, ForcedExits, Machine, RunCounts};
use revm::{
    bytecode::Bytecode,
    context::{ContextTr, Evm, FrameStack},
    handler::{
        EthFrame, EthPrecompiles, EvmTr, FrameInitOrResult, FrameResult, FrameTr, PrecompileProvider,
        evm::{ContextDbError, FrameInitResult},
        instructions::{EthInstructions, InstructionProvider},
    },
    interpreter::{
        Host, Interpreter, InterpreterAction, InterpreterResult, interpreter::EthInterpreter,
        interpreter_action::FrameInit,
    },
    primitives::{B256, hardfork::SpecId},
};

use crate::differential::Trace;

/// A way to run a frame until it ends or calls another.
pub trait RunFrame {
    /// Runs it, as [`Interpreter::run_plain`] does.
    fn run<H: Host>(&mut self, interpreter: &mut Interpreter, machine: Machine<'_, H>) -> InterpreterAction;
}

/// The reference: revm's interpreter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interpreted;

impl RunFrame for Interpreted {
    fn run<H: Host>(&mut self, interpreter: &mut Interpreter, machine: Machine<'_, H>) -> InterpreterAction {
        interpreter.run_plain(machine.instructions, machine.gas_table, machine.host)
    }
}

/// Compiled code, as far as `code_of` has it.
#[derive(Debug)]
pub struct Compiled<F> {
    code_of: F,
    forced: Option<ForcedExits>,
    /// What happened in all frames.
    pub counts: RunCounts,
}

impl<F> Compiled<F>
where
    F: FnMut(B256, &Bytecode) -> Option<Arc<CompiledCode>>,
{
    /// Runs the code that `code_of` returns for a hash and bytecode.
    pub fn new(code_of: F) -> Self {
        Self {
            code_of,
            forced: None,
            counts: RunCounts::default(),
        }
    }

    /// From now on, leaves compiled code at places that a seed decides; the code must have been compiled for that.
    pub const fn force_exits(&mut self, seed: u64) {
        self.forced = Some(ForcedExits::seeded(seed));
    }
}

impl<F> RunFrame for Compiled<F>
where
    F: FnMut(B256, &Bytecode) -> Option<Arc<CompiledCode>>,
{
    fn run<H: Host>(&mut self, interpreter: &mut Interpreter, machine: Machine<'_, H>) -> InterpreterAction {
        let hash = interpreter.bytecode.get_or_calculate_hash();
        let Some(code) = (self.code_of)(hash, &interpreter.bytecode) else {
            return Interpreted.run(interpreter, machine);
        };
        match &mut self.forced {
            None => code.run(interpreter, machine, &mut self.counts),
            Some(forced) => code.run_forced(interpreter, machine, &mut self.counts, forced),
        }
    }
}

/// revm's EVM with frames run by `R`, and their trace.
#[derive(Debug)]
pub struct TracedEvm<C, P, R> {
    /// The EVM.
    pub inner: Evm<C, (), EthInstructions<EthInterpreter, C>, P, EthFrame<EthInterpreter>>,
    /// What runs its frames.
    pub runner: R,
    /// What they did.
    pub trace: Trace,
}

impl<C: Host, R> TracedEvm<C, EthPrecompiles, R> {
    /// With the instructions and precompiles of a fork of Ethereum, in a context for that fork.
    pub fn ethereum(context: C, spec: SpecId, runner: R) -> Self {
        Self {
            inner: Evm::new(
                context,
                EthInstructions::new_mainnet_with_spec(spec),
                EthPrecompiles::new(spec),
            ),
            runner,
            trace: Trace::default(),
        }
    }
}

impl<C, P, R> EvmTr for TracedEvm<C, P, R>
where
    C: ContextTr + Host,
    P: PrecompileProvider<C, Output = InterpreterResult>,
    R: RunFrame,
{
    type Context = C;
    type Instructions = EthInstructions<EthInterpreter, C>;
    type Precompiles = P;
    type Frame = EthFrame<EthInterpreter>;

    fn all(&self) -> (&C, &Self::Instructions, &P, &FrameStack<Self::Frame>) {
        self.inner.all()
    }

    fn all_mut(
        &mut self,
    ) -> (
        &mut C,
        &mut Self::Instructions,
        &mut P,
        &mut FrameStack<Self::Frame>,
    ) {
        self.inner.all_mut()
    }

    fn frame_init(
        &mut self,
        input: FrameInit,
    ) -> Result<FrameInitResult<'_, Self::Frame>, ContextDbError<C>> {
        self.inner.frame_init(input)
    }

    fn frame_run(&mut self) -> Result<FrameInitOrResult<Self::Frame>, ContextDbError<C>> {
        let frame = self.inner.frame_stack.get();
        let context = &mut self.inner.ctx;
        let machine = Machine {
            instructions: InstructionProvider::instruction_table(&self.inner.instruction),
            gas_table: InstructionProvider::gas_table(&self.inner.instruction),
            host: context,
        };
        let action = self.runner.run(&mut frame.interpreter, machine);
        self.trace.record(&frame.interpreter, &action);
        frame.process_next_action(context, action).inspect(|next| {
            if next.is_result() {
                frame.set_finished(true);
            }
        })
    }

    fn frame_return_result(
        &mut self,
        result: <Self::Frame as FrameTr>::FrameResult,
    ) -> Result<Option<FrameResult>, ContextDbError<C>> {
        self.inner.frame_return_result(result)
    }
}
