//! The one EVM of this node: revm's, whose frames run as machine code where there is some.

use alloy_evm::{Database, EvmEnv, eth::EthEvmContext, precompiles::PrecompilesMap};
use alloy_primitives::U256;
use rapid_jit::Machine;
use revm::{
    Inspector,
    context::{Evm, FrameStack, TxEnv},
    context_interface::{
        JournalTr,
        result::{EVMError, ExecutionResult, ResultAndState},
    },
    handler::{
        EthFrame, EvmTr, FrameInitOrResult, FrameResult, Handler, MainnetHandler,
        evm::{ContextDbError, FrameInitResult},
        instructions::{EthInstructions, InstructionProvider},
    },
    inspector::{InspectorEvmTr, InspectorHandler, NoOpInspector},
    interpreter::{interpreter::EthInterpreter, interpreter_action::FrameInit},
    precompile::{PrecompileSpecId, Precompiles},
    state::EvmState,
};

use crate::{
    Compiler,
    compiled_frames::CompiledFrames,
    fee::FeeWithholding,
    keccak,
    shadow::{self, Outcome, Verdict},
};

/// revm's EVM as Ethereum configures it.
type Interpreting<DB, I> =
    Evm<EthEvmContext<DB>, I, EthInstructions<EthInterpreter, EthEvmContext<DB>>, PrecompilesMap, EthFrame>;

/// An Ethereum virtual machine over a database.
///
/// Frames run as machine code where the compiler has some for their code, and are interpreted otherwise; nobody can tell
/// which but by the time it takes. With an inspector everything is interpreted, so that it sees each step.
///
/// The configuration changes with the fork only: compiled code was made for it.
#[expect(missing_debug_implementations, reason = "revm's EVM has none")]
pub struct RapidEvm<DB: Database, I = NoOpInspector> {
    pub(crate) inner: Interpreting<DB, I>,
    pub(crate) inspection: Inspection,
    pub(crate) withheld_fee: U256,
    compiled: Option<CompiledFrames>,
}

/// Accounts that a journal has room for between transactions: clearing it takes time by its size.
const JOURNAL_KEPT: usize = 64;

/// Whether the inspector is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inspection {
    On,
    Off,
}

/// How the transaction in the context is entered.
#[derive(Clone, Copy, Debug)]
enum Entry {
    /// As a transaction.
    Transaction,
    /// As a transaction whose fee the beneficiary does not get.
    Withholding,
    /// As a call of the protocol: nobody pays and nothing is checked.
    SystemCall,
}

impl<DB: Database, I> RapidEvm<DB, I> {
    pub(crate) fn new(database: DB, env: EvmEnv, inspector: I, compiler: &Compiler) -> Self {
        let EvmEnv { cfg_env, block_env } = env;
        let spec = cfg_env.spec;
        let instruction = keccak::instructions(spec);
        let compiled = CompiledFrames::new(compiler, &cfg_env, instruction.gas_table());
        let precompiles = Precompiles::new(PrecompileSpecId::from_spec_id(spec));
        Self {
            inner: Evm {
                ctx: EthEvmContext::new(database, spec)
                    .with_block(block_env)
                    .with_cfg(cfg_env),
                inspector,
                instruction,
                precompiles: PrecompilesMap::from_static(precompiles),
                frame_stack: FrameStack::new(),
            },
            inspection: Inspection::Off,
            withheld_fee: U256::ZERO,
            compiled,
        }
    }

    /// Goes on with another block. Where its fork is the same, what was made for the configuration stays.
    pub(crate) fn enter_block(&mut self, env: EvmEnv, compiler: &Compiler) {
        let EvmEnv { cfg_env, block_env } = env;
        let spec = cfg_env.spec;
        if spec != self.inner.ctx.cfg.spec {
            self.inner.instruction = keccak::instructions(spec);
            self.inner.precompiles =
                PrecompilesMap::from_static(Precompiles::new(PrecompileSpecId::from_spec_id(spec)));
            self.compiled = CompiledFrames::new(compiler, &cfg_env, self.inner.instruction.gas_table());
        }
        self.inner.ctx.modify_cfg(|cfg| *cfg = cfg_env);
        self.inner.ctx.block = block_env;
    }

    /// The context: block, configuration, database.
    pub const fn context(&self) -> &EthEvmContext<DB> {
        &self.inner.ctx
    }

    /// The database.
    pub const fn database(&self) -> &DB {
        &self.inner.ctx.journaled_state.database
    }

    /// The database, to change.
    pub const fn database_mut(&mut self) -> &mut DB {
        &mut self.inner.ctx.journaled_state.database
    }

    /// Gives the database back.
    pub fn into_database(self) -> DB {
        self.inner.ctx.journaled_state.database
    }

    /// Takes a journal back for the next transaction, if it is not one of the few that touched very much.
    pub(crate) fn reuse(&mut self, mut journal: EvmState) {
        let current = &mut self.inner.ctx.journaled_state.inner.state;
        if current.capacity() == 0 && journal.capacity() <= JOURNAL_KEPT {
            journal.clear();
            *current = journal;
        }
    }

    /// Executes a transaction, and keeps nothing of what it changes.
    pub(crate) fn run_transaction(&mut self, transaction: TxEnv) -> Outcome<DB::Error> {
        self.inner.ctx.tx = transaction;
        self.execute(Entry::Transaction)
    }

    /// Executes a transaction without crediting the beneficiary, and keeps nothing of what it changes; what the
    /// beneficiary is owed is in `withheld_fee` afterwards.
    pub(crate) fn run_withholding_fee(&mut self, transaction: TxEnv) -> Outcome<DB::Error> {
        self.inner.ctx.tx = transaction;
        self.execute(Entry::Withholding)
    }

    /// Executes a call that the protocol makes (EIP-4788, EIP-2935, EIP-7002, EIP-7251), and keeps nothing of what it
    /// changes.
    pub(crate) fn run_system_call(&mut self, call: TxEnv) -> Outcome<DB::Error> {
        self.inner.ctx.tx = call;
        self.execute(Entry::SystemCall)
    }

    fn execute(&mut self, entry: Entry) -> Outcome<DB::Error> {
        let Some(compiled) = &mut self.compiled else {
            return self.run(entry);
        };
        compiled.begin();
        let outcome = self.run(entry);
        match self.compiled.as_mut().and_then(CompiledFrames::end) {
            None => outcome,
            Some(suspects) => self.check(entry, outcome, &suspects),
        }
    }

    /// Executes again without compiled code. Nothing was committed, so the state before is the same. Where the outcomes
    /// differ the interpreter's stands.
    #[cold]
    fn check(
        &mut self,
        entry: Entry,
        outcome: Outcome<DB::Error>,
        suspects: &[alloy_primitives::B256],
    ) -> Outcome<DB::Error> {
        let compiled = self.compiled.take();
        let interpreted = self.run(entry);
        let verdict = shadow::compare(&outcome, &interpreted);
        shadow::report(verdict, suspects);
        if verdict == Verdict::Differs
            && let Some(compiled) = &compiled
        {
            compiled.quarantine(suspects);
        }
        self.compiled = compiled;
        match verdict {
            Verdict::Differs => interpreted,
            Verdict::Equal | Verdict::Unknown => outcome,
        }
    }

    /// Executes what is in the context and empties the journal.
    fn run(&mut self, entry: Entry) -> Outcome<DB::Error> {
        let mut handler = MainnetHandler::<_, EVMError<DB::Error>, EthFrame>::default();
        let result = match entry {
            Entry::Transaction => handler.run(self),
            Entry::Withholding => FeeWithholding::default().run(self),
            Entry::SystemCall => handler.run_system_call(self),
        };
        self.finalize(result)
    }

    fn finalize(&mut self, result: Result<ExecutionResult, EVMError<DB::Error>>) -> Outcome<DB::Error> {
        let state = self.inner.ctx.journaled_state.finalize();
        Ok(ResultAndState::new(result?, state))
    }
}

impl<DB: Database, I: Inspector<EthEvmContext<DB>>> RapidEvm<DB, I> {
    /// As [`Self::run_transaction`], with the inspector watching.
    pub(crate) fn inspect_transaction(&mut self, transaction: TxEnv) -> Outcome<DB::Error> {
        self.inner.ctx.tx = transaction;
        let result = MainnetHandler::<_, EVMError<DB::Error>, EthFrame>::default().inspect_run(self);
        self.finalize(result)
    }
}

impl<DB: Database, I> EvmTr for RapidEvm<DB, I> {
    type Context = EthEvmContext<DB>;
    type Instructions = EthInstructions<EthInterpreter, EthEvmContext<DB>>;
    type Precompiles = PrecompilesMap;
    type Frame = EthFrame;

    #[inline]
    fn all(
        &self,
    ) -> (
        &Self::Context,
        &Self::Instructions,
        &Self::Precompiles,
        &FrameStack<EthFrame>,
    ) {
        self.inner.all()
    }

    #[inline]
    fn all_mut(
        &mut self,
    ) -> (
        &mut Self::Context,
        &mut Self::Instructions,
        &mut Self::Precompiles,
        &mut FrameStack<EthFrame>,
    ) {
        self.inner.all_mut()
    }

    #[inline]
    fn frame_init(
        &mut self,
        frame: FrameInit,
    ) -> Result<FrameInitResult<'_, EthFrame>, ContextDbError<Self::Context>> {
        self.inner.frame_init(frame)
    }

    #[inline]
    fn frame_run(&mut self) -> Result<FrameInitOrResult<EthFrame>, ContextDbError<Self::Context>> {
        let Some(compiled) = &mut self.compiled else {
            return self.inner.frame_run();
        };
        let Evm {
            ctx,
            instruction,
            frame_stack,
            ..
        } = &mut self.inner;
        let frame = frame_stack.get();
        let machine = Machine {
            instructions: instruction.instruction_table(),
            gas_table: instruction.gas_table(),
            host: ctx,
        };
        let action = compiled.run(frame, machine);
        frame.process_next_action(ctx, action).inspect(|next| {
            if next.is_result() {
                frame.set_finished(true);
            }
        })
    }

    #[inline]
    fn frame_return_result(
        &mut self,
        result: FrameResult,
    ) -> Result<Option<FrameResult>, ContextDbError<Self::Context>> {
        self.inner.frame_return_result(result)
    }
}

impl<DB: Database, I: Inspector<EthEvmContext<DB>>> InspectorEvmTr for RapidEvm<DB, I> {
    type Inspector = I;

    fn all_inspector(
        &self,
    ) -> (
        &Self::Context,
        &Self::Instructions,
        &Self::Precompiles,
        &FrameStack<EthFrame>,
        &I,
    ) {
        self.inner.all_inspector()
    }

    fn all_mut_inspector(
        &mut self,
    ) -> (
        &mut Self::Context,
        &mut Self::Instructions,
        &mut Self::Precompiles,
        &mut FrameStack<EthFrame>,
        &mut I,
    ) {
        self.inner.all_mut_inspector()
    }
}
