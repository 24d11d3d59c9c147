//! The EVM under test: revm's own, with the way that a frame runs exchanged.

use super::workload::{CALLER, Call};
use alloy_primitives::{B256, map::B256Map};
use eyre::{WrapErr, bail};
use rapid_jit::{CompiledCode, Machine, RunCounts};
use revm::{
    Context, Database, MainBuilder, MainContext, MainnetEvm,
    bytecode::Bytecode,
    context::{
        BlockEnv, ContextTr, FrameStack, JournalTr, TxEnv,
        result::{EVMError, ExecutionResult, ResultVecAndState},
    },
    database::{EmptyDB, InMemoryDB},
    database_interface::WrapDatabaseRef,
    handler::{
        EthFrame, EvmTr, FrameInitOrResult, FrameResult, FrameTr, Handler, ItemOrResult, MainnetContext,
        MainnetHandler,
        evm::{ContextDbError, FrameInitResult},
        instructions::{EthInstructions, InstructionProvider},
    },
    interpreter::{
        InterpreterAction,
        interpreter::EthInterpreter,
        interpreter_types::{Jumps, LoopControl},
    },
    primitives::hardfork::SpecId,
    state::EvmState,
};
use std::sync::Arc;

/// The fork everything runs under.
pub(crate) const SPEC: SpecId = SpecId::OSAKA;

/// How frames run.
#[derive(Debug)]
pub(crate) enum Engine {
    /// revm's interpreter.
    Interpreter,
    /// revm's interpreter, one step at a time, with a tally.
    Counting(Box<Tally>),
    /// Compiled code where there is some for the contract, else the interpreter.
    Compiled(B256Map<Arc<CompiledCode>>),
}

/// What a counting run saw.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Instructions by opcode.
    pub(crate) opcodes: [u64; 256],
    /// Times that a frame ran or went on.
    pub(crate) frame_runs: u64,
    /// The contracts that ran.
    pub(crate) contracts: B256Map<Bytecode>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            opcodes: [0; 256],
            frame_runs: 0,
            contracts: B256Map::default(),
        }
    }
}

type Db<'a> = WrapDatabaseRef<&'a InMemoryDB>;
type Ctx<'a> = MainnetContext<Db<'a>>;
type Inner<'a> = MainnetEvm<Ctx<'a>>;
type DbError<'a> = <Db<'a> as Database>::Error;

/// What the transactions of a run came to.
pub(crate) type Outcome = ResultVecAndState<ExecutionResult, EvmState>;

/// One EVM, kept over all runs of one side, as a node keeps one over a block.
pub(crate) struct BenchEvm<'a> {
    inner: Inner<'a>,
    engine: Engine,
    counts: RunCounts,
}

impl<'a> BenchEvm<'a> {
    /// An EVM on a state that does not change.
    pub(crate) fn new(state: &'a InMemoryDB, engine: Engine) -> Self {
        let inner = Context::<BlockEnv, TxEnv, _, EmptyDB>::mainnet()
            .with_ref_db(state)
            .modify_cfg_chained(|cfg| {
                cfg.set_spec_and_mainnet_gas_params(SPEC);
                cfg.disable_nonce_check = true;
                cfg.tx_gas_limit_cap = Some(u64::MAX);
                cfg.limit_contract_code_size = Some(usize::MAX);
                cfg.limit_contract_initcode_size = Some(usize::MAX);
            })
            .modify_block_chained(|block| {
                block.gas_limit = u64::MAX;
                block.number = 1_000.try_into().expect("fits");
                block.timestamp = 1_700_000_000.try_into().expect("fits");
            })
            .build_mainnet();
        Self {
            inner,
            engine,
            counts: RunCounts::default(),
        }
    }

    /// The tally of a counting EVM.
    pub(crate) fn into_tally(self) -> Option<Tally> {
        match self.engine {
            Engine::Counting(tally) => Some(*tally),
            Engine::Interpreter | Engine::Compiled(_) => None,
        }
    }

    /// How often compiled code was entered and left since the last call.
    pub(crate) fn take_counts(&mut self) -> RunCounts {
        std::mem::take(&mut self.counts)
    }

    /// Runs transactions after each other. What they changed is handed out, and forgotten here.
    ///
    /// # Errors
    /// If a transaction is invalid.
    pub(crate) fn run(&mut self, calls: &[TxEnv]) -> eyre::Result<Outcome> {
        let mut results = Vec::with_capacity(calls.len());
        for call in calls {
            self.inner.ctx.tx = call.clone();
            let result = MainnetHandler::<Self, EVMError<DbError<'a>>, EthFrame>::default()
                .run(self)
                .wrap_err("transaction refused")?;
            results.push(result);
        }
        let state = self.inner.ctx.journal_mut().finalize();
        Ok(Outcome::new(results, state))
    }
}

/// A transaction as the EVM takes it.
pub(crate) fn transaction(call: &Call) -> TxEnv {
    TxEnv {
        caller: CALLER,
        kind: call.to,
        data: call.data.clone(),
        value: call.value,
        gas_limit: call.gas,
        ..TxEnv::default()
    }
}

/// Runs transactions one by one and commits each.
///
/// # Errors
/// If one does not succeed.
pub(crate) fn commit_all(state: &mut InMemoryDB, calls: &[Call]) -> eyre::Result<()> {
    for (index, call) in calls.iter().enumerate() {
        let outcome = BenchEvm::new(state, Engine::Interpreter).run(&[transaction(call)])?;
        if let Some(failed) = outcome.result.iter().find(|result| !result.is_success()) {
            bail!("setup transaction {index}: {failed:?}");
        }
        revm::DatabaseCommit::commit(state, outcome.state);
    }
    Ok(())
}

impl<'a> EvmTr for BenchEvm<'a> {
    type Context = Ctx<'a>;
    type Instructions = EthInstructions<EthInterpreter, Ctx<'a>>;
    type Precompiles = <Inner<'a> as EvmTr>::Precompiles;
    type Frame = EthFrame;

    fn all(
        &self,
    ) -> (
        &Self::Context,
        &Self::Instructions,
        &Self::Precompiles,
        &FrameStack<Self::Frame>,
    ) {
        self.inner.all()
    }

    fn all_mut(
        &mut self,
    ) -> (
        &mut Self::Context,
        &mut Self::Instructions,
        &mut Self::Precompiles,
        &mut FrameStack<Self::Frame>,
    ) {
        self.inner.all_mut()
    }

    fn frame_init(
        &mut self,
        frame_input: <Self::Frame as FrameTr>::FrameInit,
    ) -> Result<FrameInitResult<'_, Self::Frame>, ContextDbError<Self::Context>> {
        self.inner.frame_init(frame_input)
    }

    #[inline]
    fn frame_run(&mut self) -> Result<FrameInitOrResult<Self::Frame>, ContextDbError<Self::Context>> {
        let (ctx, instructions, _, frames) = self.inner.all_mut();
        let frame = frames.get();
        let interpreter = &mut frame.interpreter;
        let action = match &mut self.engine {
            Engine::Interpreter => {
                interpreter.run_plain(instructions.instruction_table(), instructions.gas_table(), ctx)
            }
            Engine::Counting(tally) => {
                tally.enter(interpreter.bytecode.hash(), &interpreter.bytecode);
                loop {
                    tally.opcodes[interpreter.bytecode.opcode() as usize] += 1;
                    let (table, gas) = (instructions.instruction_table(), instructions.gas_table());
                    if let Err(result) = interpreter.step(table, gas, ctx) {
                        if interpreter.bytecode.action().is_none() {
                            interpreter.halt(result);
                        }
                        break interpreter.take_next_action();
                    }
                }
            }
            Engine::Compiled(codes) => match interpreter.bytecode.hash().and_then(|hash| codes.get(&hash)) {
                Some(code) => {
                    let machine = Machine {
                        instructions: instructions.instruction_table(),
                        gas_table: instructions.gas_table(),
                        host: ctx,
                    };
                    code.run(interpreter, machine, &mut self.counts)
                }
                None => {
                    interpreter.run_plain(instructions.instruction_table(), instructions.gas_table(), ctx)
                }
            },
        };
        process(frame, ctx, action)
    }

    fn frame_return_result(
        &mut self,
        result: FrameResult,
    ) -> Result<Option<FrameResult>, ContextDbError<Self::Context>> {
        self.inner.frame_return_result(result)
    }
}

impl Tally {
    fn enter(&mut self, hash: Option<B256>, code: &Bytecode) {
        self.frame_runs += 1;
        if let Some(hash) = hash {
            self.contracts.entry(hash).or_insert_with(|| code.clone());
        }
    }
}

#[inline]
fn process<'a>(
    frame: &mut EthFrame,
    ctx: &mut Ctx<'a>,
    action: InterpreterAction,
) -> Result<FrameInitOrResult<EthFrame>, ContextDbError<Ctx<'a>>> {
    let next: FrameInitOrResult<EthFrame> =
        frame.process_next_action::<_, ContextDbError<Ctx<'a>>>(ctx, action)?;
    if matches!(next, ItemOrResult::Result(_)) {
        frame.set_finished(true);
    }
    Ok(next)
}
