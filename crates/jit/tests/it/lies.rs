//! The comparison finds what is wrong: a runner that lies in one thing is caught, in each thing.

use rapid_jit::Machine;
use rapid_testing::differential::{
    Aspect, Call, Case, Choices, Contract, Dimensions, Interpreted, Observation, Prestate, Prices, RunFrame,
    Target, generate, mismatches,
};
use revm::{
    bytecode::opcode::*,
    interpreter::{Host, InstructionResult, Interpreter, InterpreterAction},
    primitives::{Address, Bytes, Log, U256, hardfork::SpecId},
};

/// What a runner lies about, in the frame with the given number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    Gas,
    Refund,
    StateGas,
    HaltReason,
    Output,
    ExtraLog,
    Storage,
    WarmSlot,
    WarmAccount,
    StackBit,
    MemoryBit,
    MemoryLength,
    CalleeGas,
}

const LIES: &[Lie] = &[
    Lie::Gas,
    Lie::Refund,
    Lie::StateGas,
    Lie::HaltReason,
    Lie::Output,
    Lie::ExtraLog,
    Lie::Storage,
    Lie::WarmSlot,
    Lie::WarmAccount,
    Lie::StackBit,
    Lie::MemoryBit,
    Lie::MemoryLength,
    Lie::CalleeGas,
];

/// The interpreter, but for one lie about one run of a frame.
struct Liar {
    lie: Lie,
    /// Runs of frames before the lie.
    honest: usize,
}

impl RunFrame for Liar {
    fn run<H: Host>(&mut self, interpreter: &mut Interpreter, machine: Machine<'_, H>) -> InterpreterAction {
        let lies = self.honest == 0;
        self.honest = self.honest.wrapping_sub(1);
        if !lies {
            return Interpreted.run(interpreter, machine);
        }
        let Machine {
            instructions,
            gas_table,
            host,
        } = machine;
        self.lie_before(interpreter, host);
        let machine = Machine {
            instructions,
            gas_table,
            host,
        };
        let mut action = Interpreted.run(interpreter, machine);
        self.lie_after(interpreter, &mut action);
        action
    }
}

impl Liar {
    fn lie_before<H: Host>(&self, interpreter: &mut Interpreter, host: &mut H) {
        let address = interpreter.input.target_address;
        match self.lie {
            Lie::ExtraLog => host.log(Log::new_unchecked(address, Vec::new(), Bytes::new())),
            Lie::Storage => {
                host.sload(address, U256::from(77));
                host.sstore(address, U256::from(77), U256::from(1));
            }
            Lie::WarmSlot => {
                host.sload(address, U256::from(78));
            }
            Lie::WarmAccount => {
                host.balance(Address::repeat_byte(0x77));
            }
            Lie::StackBit => {
                if let Some(top) = interpreter.stack.data_mut().last_mut() {
                    *top ^= U256::ONE << 200;
                }
            }
            _ => {}
        }
    }

    fn lie_after(&self, interpreter: &mut Interpreter, action: &mut InterpreterAction) {
        match (self.lie, action) {
            (Lie::Gas, InterpreterAction::Return(result)) => {
                let left = result.gas.remaining();
                result.gas.set_remaining(left.saturating_sub(1));
            }
            (Lie::Refund, InterpreterAction::Return(result)) => result.gas.record_refund(1),
            (Lie::StateGas, InterpreterAction::Return(result)) => {
                let spent = result.gas.state_gas_spent();
                result.gas.set_state_gas_spent(spent + 1);
            }
            (Lie::HaltReason, InterpreterAction::Return(result)) => {
                result.result = InstructionResult::StackOverflow;
            }
            (Lie::Output, InterpreterAction::Return(result)) => {
                result.output = [&result.output[..], &[0]].concat().into();
            }
            (Lie::MemoryBit, InterpreterAction::NewFrame(_)) => {
                if let Some(byte) = interpreter.memory.context_memory_mut().last_mut() {
                    *byte ^= 1;
                }
            }
            (Lie::MemoryLength, InterpreterAction::NewFrame(_)) => {
                let len = interpreter.memory.len();
                interpreter.memory.resize(len + 32);
            }
            (Lie::CalleeGas, InterpreterAction::NewFrame(input)) => input.reduce_gas_limit(1),
            _ => {}
        }
    }
}

/// A contract that reads, writes and calls; a second one that returns.
fn case(spec: SpecId) -> Case {
    let calls = [
        &[PUSH1, 7, PUSH1, 3, PUSH1, 0, MSTORE, PUSH1, 9, PUSH1, 1, SSTORE][..],
        // The second contract is called with a word below that stays on the stack.
        &[
            PUSH1, 32, PUSH1, 0, PUSH1, 32, PUSH1, 0, PUSH1, 0, PUSH2, 0xc0, 0xd1, GAS, CALL,
        ],
        &[ADD, PUSH1, 32, MSTORE, PUSH1, 64, PUSH1, 0, RETURN],
    ];
    let returns = [
        PUSH1,
        0,
        CALLDATALOAD,
        PUSH1,
        1,
        ADD,
        PUSH1,
        0,
        MSTORE,
        PUSH1,
        32,
        PUSH1,
        0,
        RETURN,
    ];
    Case {
        spec,
        seed: 0,
        gas_cap: None,
        prices: Prices::Fork,
        memory_limit: None,
        contracts: vec![contract(&calls.concat()), contract(&returns)],
        calls: vec![Call {
            target: Target::Contract,
            gas: 1_000_000,
            value: 0,
            data: Vec::new(),
        }],
    }
}

fn contract(code: &[u8]) -> Contract {
    Contract {
        code: code.to_vec(),
        ..Contract::default()
    }
}

/// Runs of frames in it: up to the call, the callee, and the rest.
const FRAME_RUNS: usize = 3;

fn observe<R: RunFrame>(case: &Case, runner: R) -> Observation {
    let prestate = Prestate::new(case);
    let call = &case.calls[0];
    prestate.evm(runner).observe(prestate.transaction(call, call.gas))
}

fn aspects(case: &Case, lie: Lie, honest: usize) -> Vec<Aspect> {
    let truth = observe(case, Interpreted);
    let lied = observe(case, Liar { lie, honest });
    mismatches(&truth, &lied)
        .into_iter()
        .map(|mismatch| mismatch.aspect)
        .collect()
}

/// Whether a lie about a run of a frame says anything: those about how a frame ends need one that ends, and so on.
fn applies(lie: Lie, run: usize) -> bool {
    match lie {
        Lie::Gas | Lie::Refund | Lie::StateGas | Lie::HaltReason | Lie::Output => run > 0,
        Lie::MemoryBit | Lie::MemoryLength | Lie::CalleeGas => run == 0,
        // Frames start with an empty stack.
        Lie::StackBit => run == 2,
        Lie::ExtraLog | Lie::Storage | Lie::WarmSlot | Lie::WarmAccount => true,
    }
}

#[test]
fn every_lie_is_caught() {
    for spec in [SpecId::BERLIN, SpecId::OSAKA, SpecId::AMSTERDAM] {
        let case = case(spec);
        for lie in LIES {
            for run in (0..FRAME_RUNS).filter(|run| applies(*lie, *run)) {
                let aspects = aspects(&case, *lie, run);
                let expected = match lie {
                    Lie::Gas | Lie::Refund | Lie::StateGas | Lie::HaltReason | Lie::Output => Aspect::Trace,
                    Lie::MemoryBit | Lie::MemoryLength | Lie::CalleeGas => Aspect::Trace,
                    Lie::ExtraLog | Lie::StackBit => Aspect::Outcome,
                    Lie::Storage | Lie::WarmSlot | Lie::WarmAccount => Aspect::State,
                };
                assert!(
                    aspects.contains(&expected),
                    "{spec:?}: {lie:?} about run {run}: {aspects:?}"
                );
            }
        }
    }
}

#[test]
fn the_truth_is_not_called_a_lie() {
    for seed in 0..200 {
        let case = generate(&mut Choices::seeded(seed), &Dimensions::default());
        let found = mismatches(&observe(&case, Interpreted), &observe(&case, Interpreted));
        assert!(found.is_empty(), "seed {seed}: {found:?}");
    }
}

#[test]
fn a_wrong_halt_reason_is_caught() {
    // Gas for a few instructions.
    let case = case(SpecId::OSAKA);
    let prestate = Prestate::new(&case);
    let halted = prestate
        .evm(Interpreted)
        .observe(prestate.transaction(&case.calls[0], 21_020));
    let mut lied = halted.clone();
    if let Ok(revm::context::result::ExecutionResult::Halt { reason, .. }) = &mut lied.outcome {
        *reason = revm::context::result::HaltReason::StackOverflow;
    }
    let found = mismatches(&halted, &lied);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].aspect, Aspect::Outcome);
}
