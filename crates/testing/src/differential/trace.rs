//! What a transaction's frames did, as far as compiled code must do the same.

use revm::interpreter::{
    CallInput, CallInputs, CreateInputs, FrameInput, Gas, InstructionResult, Interpreter, InterpreterAction,
    interpreter_types::{Jumps, MemoryTr},
};

/// Events kept one by one; what comes after them goes into one digest.
const EVENTS_MAX: usize = 512;

/// The events of a transaction: one each time a frame ends or calls another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    events: Vec<FrameEvent>,
    more: u64,
    more_digest: u64,
}

/// A frame ended or called another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameEvent {
    /// The frame's depth.
    pub depth: usize,
    /// Gas it was given.
    pub gas_limit: u64,
    /// What it did.
    pub action: FrameAction,
    /// Reservoir, state gas spent and state gas spilled (EIP-8037).
    pub state_gas: (u64, i64, u64),
    /// Gas left, the refund counter, and memory; nothing after a halt, which takes them all.
    pub left: Option<Left>,
    /// Program counter, stack and memory, if the frame goes on after the call.
    pub suspended: Option<Suspended>,
    /// Digest of the output, or of the other frame's inputs.
    pub data: u64,
}

/// What a frame did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameAction {
    /// It calls.
    Call,
    /// It creates a contract.
    Create,
    /// It ended.
    Ended(InstructionResult),
}

/// Gas and memory of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Gas left.
    pub gas: u64,
    /// The refund counter.
    pub refunded: i64,
    /// Words of memory that were paid for.
    pub memory_words: usize,
    /// What they cost.
    pub memory_cost: u64,
    /// Bytes of memory there are.
    pub memory_len: usize,
}

/// The rest of a frame that will go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspended {
    /// The next instruction.
    pub pc: usize,
    /// Words on the stack.
    pub stack_len: usize,
    /// Digest of the stack.
    pub stack: u64,
    /// Digest of the memory.
    pub memory: u64,
}

impl Trace {
    /// Forgets all events.
    pub fn clear(&mut self) {
        self.events.clear();
        self.more = 0;
        self.more_digest = 0;
    }

    /// The first events.
    #[must_use]
    pub fn events(&self) -> &[FrameEvent] {
        &self.events
    }

    /// Records what a frame is about to do.
    pub fn record(&mut self, interpreter: &Interpreter, action: &InterpreterAction) {
        let event = FrameEvent::of(interpreter, action);
        if self.events.len() < EVENTS_MAX {
            self.events.push(event);
        } else {
            self.more += 1;
            let mut digest = Digest(self.more_digest);
            digest.bytes(format!("{event:?}").as_bytes());
            self.more_digest = digest.0;
        }
    }

    /// Number of events.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.events.len() as u64 + self.more
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl FrameEvent {
    fn of(interpreter: &Interpreter, action: &InterpreterAction) -> Self {
        let (action, data, suspended, gas) = match action {
            InterpreterAction::NewFrame(input) => {
                let (action, data) = digest_input(interpreter, input);
                let suspended = Some(Suspended::of(interpreter));
                (action, data, suspended, interpreter.gas)
            }
            InterpreterAction::Return(result) => {
                let mut digest = Digest::default();
                digest.bytes(&result.output);
                (FrameAction::Ended(result.result), digest.0, None, result.gas)
            }
        };
        let halted = matches!(action, FrameAction::Ended(result) if !result.is_ok_or_revert());
        Self {
            depth: interpreter.input.depth,
            gas_limit: interpreter.gas.limit(),
            action,
            state_gas: (gas.reservoir(), gas.state_gas_spent(), gas.state_gas_spilled()),
            left: (!halted).then(|| Left::of(interpreter, &gas)),
            suspended,
            data,
        }
    }
}

impl Left {
    fn of(interpreter: &Interpreter, gas: &Gas) -> Self {
        Self {
            gas: gas.remaining(),
            refunded: gas.refunded(),
            memory_words: gas.memory().words_num,
            memory_cost: gas.memory().expansion_cost,
            memory_len: interpreter.memory.len(),
        }
    }
}

impl Suspended {
    fn of(interpreter: &Interpreter) -> Self {
        let mut stack = Digest::default();
        for word in interpreter.stack.data() {
            word.as_limbs().iter().for_each(|limb| stack.number(*limb));
        }
        let mut memory = Digest::default();
        memory.bytes(&interpreter.memory.context_memory());
        Self {
            pc: interpreter.bytecode.pc(),
            stack_len: interpreter.stack.len(),
            stack: stack.0,
            memory: memory.0,
        }
    }
}

fn digest_input(interpreter: &Interpreter, input: &FrameInput) -> (FrameAction, u64) {
    let mut digest = Digest::default();
    let action = match input {
        FrameInput::Call(inputs) => {
            digest.call(interpreter, inputs);
            FrameAction::Call
        }
        FrameInput::Create(inputs) => {
            digest.create(inputs);
            FrameAction::Create
        }
        FrameInput::Empty => FrameAction::Call,
    };
    (action, digest.0)
}

/// A hash that is quick on the kilobytes of memory it is taken of thousands of times; nobody attacks it.
#[derive(Default)]
struct Digest(u64);

impl Digest {
    const fn number(&mut self, number: u64) {
        self.0 = (self.0 ^ number)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
            .wrapping_add(1);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        let (chunks, rest) = bytes.as_chunks::<8>();
        for chunk in chunks {
            self.number(u64::from_le_bytes(*chunk));
        }
        rest.iter().for_each(|byte| self.number(u64::from(*byte)));
    }

    fn call(&mut self, interpreter: &Interpreter, inputs: &CallInputs) {
        match &inputs.input {
            CallInput::Bytes(bytes) => self.bytes(bytes),
            CallInput::SharedBuffer(range) => {
                self.number(range.start as u64);
                // An empty one lies anywhere.
                if !range.is_empty() {
                    self.bytes(&interpreter.memory.global_slice(range.clone()));
                }
            }
        }
        self.number(inputs.return_memory_offset.start as u64);
        self.number(inputs.return_memory_offset.end as u64);
        self.number(inputs.gas_limit);
        self.number(inputs.reservoir);
        self.bytes(inputs.bytecode_address.as_slice());
        self.bytes(inputs.known_bytecode.0.as_slice());
        self.bytes(inputs.target_address.as_slice());
        self.bytes(inputs.caller.as_slice());
        let value = inputs.value.get();
        value.as_limbs().iter().for_each(|limb| self.number(*limb));
        self.number(u64::from(inputs.value.is_transfer()));
        self.number(inputs.scheme as u64);
        self.number(u64::from(inputs.is_static));
        self.number(u64::from(inputs.charged_new_account_state_gas));
    }

    fn create(&mut self, inputs: &CreateInputs) {
        self.bytes(inputs.caller().as_slice());
        self.bytes(format!("{:?} {}", inputs.scheme(), inputs.value()).as_bytes());
        self.bytes(inputs.init_code());
        self.number(inputs.gas_limit());
        self.number(inputs.reservoir());
        self.number(u64::from(inputs.charged_create_state_gas()));
    }
}
