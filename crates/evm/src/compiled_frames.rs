//! Running the frames of one EVM as machine code, where there is some.

use std::sync::Arc;

use alloy_primitives::B256;
use rapid_jit::{
    Machine, RunCounts,
    runtime::{Found, Runtime, Session},
};
use revm::{
    context::CfgEnv,
    context_interface::Host,
    handler::{EthFrame, FrameData},
    interpreter::{FrameInput, Interpreter, InterpreterAction, instructions::GasTable},
};

use crate::Compiler;

/// Contracts that one transaction under check may run as machine code: further ones are interpreted, so that the list of
/// suspects is short. A cold account costs 2,600 gas, so only few transactions call more.
const SUSPECTS_MAX: usize = 256;

/// The compiler's side of one EVM.
#[derive(Debug)]
pub(crate) struct CompiledFrames {
    compiler: Compiler,
    session: Session,
    /// What the transaction in execution did so far.
    counts: RunCounts,
    /// Code that the transaction ran as machine code, if it is to be executed again.
    suspects: Option<Vec<B256>>,
}

impl CompiledFrames {
    /// For an EVM of this configuration; `None` if nothing is compiled.
    pub(crate) fn new(compiler: &Compiler, cfg: &CfgEnv, gas_table: &GasTable) -> Option<Self> {
        let runtime = Arc::clone(compiler.runtime()?);
        let session = Session::new(runtime, cfg.spec, gas_table, &cfg.gas_params);
        Some(Self {
            session: session.heated_by(compiler.heat_source()),
            compiler: compiler.clone(),
            counts: RunCounts::default(),
            suspects: None,
        })
    }

    /// Runs a frame until it ends or calls another. Init code runs once and is not compiled.
    #[inline]
    pub(crate) fn run<H: Host>(
        &mut self,
        frame: &mut EthFrame,
        machine: Machine<'_, H>,
    ) -> InterpreterAction {
        let interpreter = &mut frame.interpreter;
        let hash = interpreter.bytecode.hash();
        let (FrameData::Call(_), Some(hash), true) = (&frame.data, hash, interpreter.bytecode.is_legacy())
        else {
            return interpret(interpreter, machine);
        };
        let before = interpreter.gas.remaining();
        let (action, heat) = match self.session.find(hash, &interpreter.bytecode) {
            Found::Compiled(code) if is_admitted(self.suspects.as_mut(), hash) => {
                (code.run(interpreter, machine, &mut self.counts), code.heat())
            }
            Found::Compiled(code) => (interpret(interpreter, machine), code.heat()),
            Found::Interpret(heat) => (interpret(interpreter, machine), heat),
        };
        let spent = before.saturating_sub(interpreter.gas.remaining());
        heat.add(spent.saturating_sub(gas_passed_on(&action)));
        action
    }

    /// A transaction begins.
    pub(crate) fn begin(&mut self) {
        self.counts = RunCounts::default();
        self.suspects = self.compiler.is_shadow_due().then(Vec::new);
    }

    /// The transaction ended. Tells what to suspect if it is to be executed again.
    pub(crate) fn end(&mut self) -> Option<Vec<B256>> {
        if self.counts.entered == 0 {
            return None;
        }
        self.session.record(&self.counts);
        self.compiler.ran_compiled();
        self.suspects.take()
    }

    /// Interprets these contracts from now on.
    pub(crate) fn quarantine(&self, codes: &[B256]) {
        let runtime = self.compiler.runtime().map(Arc::as_ref);
        let quarantine = |runtime: &Runtime| codes.iter().for_each(|&code| runtime.quarantine(code));
        runtime.into_iter().for_each(quarantine);
    }
}

#[inline]
fn interpret<H: Host>(interpreter: &mut Interpreter, machine: Machine<'_, H>) -> InterpreterAction {
    interpreter.run_plain(machine.instructions, machine.gas_table, machine.host)
}

/// Notes a suspect, if suspects are noted; false if there are too many.
fn is_admitted(suspects: Option<&mut Vec<B256>>, hash: B256) -> bool {
    let Some(suspects) = suspects else {
        return true;
    };
    if suspects.contains(&hash) {
        return true;
    }
    let room = suspects.len() < SUSPECTS_MAX;
    if room {
        suspects.push(hash);
    }
    room
}

/// Gas that a frame gave to the one it calls: it is spent there, or comes back.
const fn gas_passed_on(action: &InterpreterAction) -> u64 {
    match action {
        InterpreterAction::NewFrame(FrameInput::Call(inputs)) => inputs.gas_limit,
        InterpreterAction::NewFrame(FrameInput::Create(inputs)) => inputs.gas_limit(),
        InterpreterAction::NewFrame(FrameInput::Empty) | InterpreterAction::Return(_) => 0,
    }
}
