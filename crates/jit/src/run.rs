//! Runs a frame: compiled code where there is an entry, the interpreter where there is none.

use revm::bytecode::opcode as op;
use revm::interpreter::{
    CallInput, Gas, Host, InstructionContext, InstructionResult, InstructionTable, Interpreter,
    InterpreterAction,
    instructions::GasTable,
    interpreter::EthInterpreter,
    interpreter_types::{InputsTr, Jumps, LoopControl, MemoryTr, ReturnData},
};
use revm::primitives::{U256, hardfork::SpecId};

use crate::{
    CompiledCode, ExitReason,
    frame::{ENDED, Frame},
};

/// The EVM around a frame.
#[derive(Debug)]
pub struct Machine<'a, H: Host> {
    /// The EVM's instruction table: revm's own, or one with the same results. Compiled code knows what the opcodes mean.
    pub instructions: &'a InstructionTable<EthInterpreter, H>,
    /// Its static gas: that of the [`crate::Rules`] the code was compiled for.
    pub gas_table: &'a GasTable,
    /// Its host.
    pub host: &'a mut H,
}

/// What happened while compiled code ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// Times compiled code was entered.
    pub entered: u64,
    /// Times it left, by [`ExitReason`].
    pub exits: [u64; ExitReason::COUNT],
}

/// Words of the EVM stack.
const STACK_LIMIT: usize = 1024;

/// After so many side exits in one run of a frame the interpreter runs it to its end: compiled code that leaves all the
/// time is slower than none.
const EXITS_MAX: u64 = 256;

/// Where a seeded run forces exits and how long the interpreter then goes on; see
/// [`crate::CompileOptions::forced_exits`].
#[derive(Clone, Copy, Debug)]
pub struct ForcedExits {
    state: u64,
}

impl ForcedExits {
    /// A reproducible sequence.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self { state: seed | 1 }
    }

    const fn never() -> Self {
        Self { state: 0 }
    }

    /// Sections until the next exit.
    const fn countdown(&mut self) -> u64 {
        match self.state {
            0 => u64::MAX,
            _ => 1 + self.next() % 8,
        }
    }

    /// Instructions for which entries are passed over after an exit.
    const fn hold_off(&mut self) -> u64 {
        match self.state {
            0 => 0,
            _ => self.next() % 12,
        }
    }

    /// xorshift64*.
    const fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
    }
}

impl CompiledCode {
    /// Runs `interpreter` until its frame ends or calls another, as [`Interpreter::run_plain`] does. The code must be
    /// that of the interpreter's bytecode, compiled for the machine's rules.
    pub fn run<H: Host>(
        &self,
        interpreter: &mut Interpreter,
        machine: Machine<'_, H>,
        counts: &mut RunCounts,
    ) -> InterpreterAction {
        self.run_with(interpreter, machine, counts, &mut ForcedExits::never())
    }

    /// As [`Self::run`], with code compiled to exit at random places.
    pub fn run_forced<H: Host>(
        &self,
        interpreter: &mut Interpreter,
        machine: Machine<'_, H>,
        counts: &mut RunCounts,
        forced: &mut ForcedExits,
    ) -> InterpreterAction {
        self.run_with(interpreter, machine, counts, forced)
    }

    #[inline]
    fn run_with<H: Host>(
        &self,
        interpreter: &mut Interpreter,
        mut machine: Machine<'_, H>,
        counts: &mut RunCounts,
        forced: &mut ForcedExits,
    ) -> InterpreterAction {
        let exits_max = if forced.state == 0 { EXITS_MAX } else { u64::MAX };
        let mut exits = 0;
        let pc = interpreter.bytecode.pc();
        let mut entry = self.entry_at(pc);
        if interpreter.stack.data().capacity() < STACK_LIMIT {
            entry = None;
        }
        loop {
            let Some(at) = entry else {
                return interpreter.run_plain(machine.instructions, machine.gas_table, machine.host);
            };
            counts.entered += 1;
            let reason = match self.enter_at(at, interpreter, &mut machine, forced) {
                Left::Exited(reason) => reason,
                Left::Ended(result) => return ended(interpreter, result),
            };
            counts.exits[reason as usize] += 1;
            exits += 1;
            if exits > exits_max {
                entry = None;
                continue;
            }
            let mut hold_off = forced.hold_off();
            entry = loop {
                let stepped = interpreter.step(machine.instructions, machine.gas_table, machine.host);
                if let Err(result) = stepped {
                    return ended(interpreter, result);
                }
                if hold_off > 0 {
                    hold_off -= 1;
                    continue;
                }
                let entry = self.entry_at(interpreter.bytecode.pc());
                if entry.is_some() {
                    break entry;
                }
            };
        }
    }

    /// Runs compiled code from an entry on until it leaves, and brings the interpreter up to date.
    #[expect(unsafe_code, reason = "calls machine code")]
    #[inline]
    fn enter_at<H: Host>(
        &self,
        entry: u16,
        interpreter: &mut Interpreter,
        machine: &mut Machine<'_, H>,
        forced: &mut ForcedExits,
    ) -> Left {
        let host: *mut H = &raw mut *machine.host;
        let mut frame = Frame {
            gas: interpreter.gas.remaining(),
            sp: std::ptr::null_mut(),
            stack: std::ptr::null_mut(),
            memory: std::ptr::null_mut(),
            memory_len: 0,
            calldata: std::ptr::NonNull::dangling().as_ptr(),
            calldata_len: 0,
            return_data_len: 0,
            input: std::ptr::null(),
            destinations: self.destinations.as_ptr(),
            targets: self.targets.as_ptr().cast(),
            table_op: table_op::<H>,
            light_table_op: light_table_op::<H>,
            host_word: host_word::<H>,
            grow: grow::<H>,
            interpreter: std::ptr::null_mut(),
            host: host.cast(),
            instructions: std::ptr::from_ref(machine.instructions).cast(),
            exit_row: 0,
            result: 0,
            forced_exit_countdown: forced.countdown(),
            scratch: std::mem::MaybeUninit::uninit(),
        };
        frame.take_over(interpreter);
        let interpreter: *mut Interpreter = interpreter;
        frame.interpreter = interpreter;
        // SAFETY: it was a reference a moment ago; no reference to the field is made.
        frame.input = unsafe { &raw const (*interpreter).input };
        // SAFETY: the code was compiled for this bytecode and these rules (contract of `run`); every pointer in the
        // frame lives as long as the call, and the exclusive borrows behind `interpreter` and `host` are not used
        // meanwhile but by the functions of the frame, through these pointers.
        let status = unsafe { self.enter()(&raw mut frame, u64::from(entry)) };
        // SAFETY: as above; machine code has left, so the borrow is exclusive again.
        let interpreter = unsafe { &mut *interpreter };
        if status == ENDED {
            return Left::Ended(frame.result);
        }
        let row = self.exits[frame.exit_row as usize];
        // SAFETY: compiled code leaves `sp` within the stack, which has room for all its words. Those that the interpreter can
        // read from here on are written; a word is a number, for which any bits will do.
        unsafe {
            let words = frame.sp.offset_from(frame.stack) + isize::from(row.stack_delta);
            debug_assert!((0..=STACK_LIMIT.cast_signed()).contains(&words));
            interpreter.stack.data_mut().set_len(words.cast_unsigned());
        }
        interpreter
            .gas
            .set_remaining(frame.gas.wrapping_add(u64::from(row.gas_refund)));
        interpreter.bytecode.absolute_jump(row.pc as usize);
        Left::Exited(row.reason)
    }
}

/// How compiled code came back.
enum Left {
    Exited(ExitReason),
    Ended(u32),
}

fn ended(interpreter: &mut Interpreter, result: impl Into<EndedBy>) -> InterpreterAction {
    if interpreter.bytecode.action().is_none() {
        interpreter.halt(result.into().0);
    }
    interpreter.take_next_action()
}

struct EndedBy(InstructionResult);

impl From<InstructionResult> for EndedBy {
    fn from(result: InstructionResult) -> Self {
        Self(result)
    }
}

impl From<u32> for EndedBy {
    #[expect(unsafe_code, reason = "the number was made from the enum")]
    fn from(result: u32) -> Self {
        // SAFETY: `table_op` stores nothing but `InstructionResult`s, which are `repr(u8)`.
        Self(unsafe { std::mem::transmute::<u8, InstructionResult>(result as u8) })
    }
}

impl Frame {
    /// Takes stack, memory, input and return data from the interpreter.
    #[expect(unsafe_code, reason = "hands out addresses within the interpreter")]
    #[inline]
    fn take_over(&mut self, interpreter: &mut Interpreter) {
        let stack = interpreter.stack.data_mut();
        self.stack = stack.as_mut_ptr();
        // SAFETY: the length is within the vector.
        self.sp = unsafe { self.stack.add(stack.len()) };
        self.return_data_len = interpreter.return_data.buffer().len() as u64;
        self.take_memory(interpreter);
    }

    /// Memory may have moved; input that lies in shared memory with it.
    #[expect(unsafe_code, reason = "hands out addresses within the interpreter")]
    #[inline]
    fn take_memory(&mut self, interpreter: &mut Interpreter) {
        {
            let mut memory = interpreter.memory.context_memory_mut();
            self.memory = memory.as_mut_ptr();
            self.memory_len = memory.len() as u64;
        }
        match interpreter.input.input() {
            CallInput::Bytes(bytes) => {
                self.calldata = bytes.as_ptr();
                self.calldata_len = bytes.len() as u64;
            }
            CallInput::SharedBuffer(range) if range.is_empty() => self.calldata_len = 0,
            CallInput::SharedBuffer(range) => {
                self.calldata_len = range.len() as u64;
                let before_own = interpreter.memory.local_memory_offset() - range.start;
                // SAFETY: the range lies in the memory of callers, below this frame's own, in one buffer.
                self.calldata = unsafe { self.memory.sub(before_own) };
            }
        }
    }
}

/// What the calls of machine code work on.
struct Parts<'a, H> {
    frame: &'a mut Frame,
    interpreter: &'a mut Interpreter,
    host: &'a mut H,
    instructions: &'a InstructionTable<EthInterpreter, H>,
}

impl<H: Host> Parts<'_, H> {
    /// # Safety
    /// The frame must be the one that `enter_at` made for this type of host, in use by the machine code it entered.
    #[expect(unsafe_code, reason = "machine code hands over no more than an address")]
    #[inline]
    unsafe fn of(frame: *mut Frame) -> Self {
        // SAFETY: the frame's pointers are live, of the types said there, and to different things; nothing else uses them
        // while the machine code waits for this call.
        unsafe {
            let frame = &mut *frame;
            Self {
                interpreter: &mut *frame.interpreter,
                host: &mut *frame.host.cast(),
                instructions: &*frame.instructions.cast(),
                frame,
            }
        }
    }

    /// Runs an instruction with stack and gas as the frame has them.
    #[expect(unsafe_code, reason = "machine code keeps the stack's height")]
    #[inline]
    fn execute(&mut self, operation: u64) -> Result<(), InstructionResult> {
        // SAFETY: `sp` is within the stack, and the words below it that anyone reads are written.
        unsafe {
            let words = self.frame.sp.offset_from_unsigned(self.frame.stack);
            self.interpreter.stack.data_mut().set_len(words);
        }
        self.interpreter.gas.set_remaining(self.frame.gas);
        let opcode = (operation >> 32) as u8;
        let result = self.instructions[opcode as usize].execute(InstructionContext {
            interpreter: self.interpreter,
            host: self.host,
        });
        self.frame.gas = self.interpreter.gas.remaining();
        result
    }

    /// The status of an instruction.
    #[inline]
    fn status(&mut self, result: Result<(), InstructionResult>) -> u64 {
        match result {
            Ok(()) => 0,
            Err(result) => {
                self.frame.result = u32::from(result as u8);
                1
            }
        }
    }
}

/// [`Frame::table_op`] for a host.
#[expect(
    unsafe_code,
    reason = "called by machine code with the frame it was entered with"
)]
unsafe extern "C" fn table_op<H: Host>(frame: *mut Frame, operation: u64) -> u64 {
    // SAFETY: as this function's contract says.
    let mut parts = unsafe { Parts::<H>::of(frame) };
    let pc = operation as u32 as usize;
    parts.interpreter.bytecode.absolute_jump(pc + 1);
    let result = parts.execute(operation);
    if result.is_ok() {
        parts.frame.take_over(parts.interpreter);
    }
    parts.status(result)
}

/// [`Frame::light_table_op`] for a host.
#[expect(
    unsafe_code,
    reason = "called by machine code with the frame it was entered with"
)]
unsafe extern "C" fn light_table_op<H: Host>(frame: *mut Frame, operation: u64) -> u64 {
    // SAFETY: as this function's contract says.
    let mut parts = unsafe { Parts::<H>::of(frame) };
    let result = parts.execute(operation);
    parts.status(result)
}

/// [`Frame::host_word`] for a host.
#[expect(
    unsafe_code,
    reason = "called by machine code with the frame it was entered with"
)]
unsafe extern "C" fn host_word<H: Host>(frame: *mut Frame, opcode: u64) {
    // SAFETY: as this function's contract says.
    let Parts {
        frame,
        interpreter,
        host,
        ..
    } = unsafe { Parts::<H>::of(frame) };
    let word = match opcode as u8 {
        op::ORIGIN => host.caller().into_word().into(),
        op::GASPRICE => host.effective_gas_price(),
        op::COINBASE => host.beneficiary().into_word().into(),
        op::TIMESTAMP => host.timestamp(),
        op::NUMBER => host.block_number(),
        op::DIFFICULTY if interpreter.runtime_flag.spec_id.is_enabled_in(SpecId::MERGE) => {
            // A block without it is refused before anything runs.
            host.prevrandao().unwrap_or_default()
        }
        op::DIFFICULTY => host.difficulty(),
        op::GASLIMIT => host.gas_limit(),
        op::CHAINID => host.chain_id(),
        op::BASEFEE => host.basefee(),
        op::BLOBBASEFEE => host.blob_gasprice(),
        op::SLOTNUM => host.slot_num(),
        op::SELFBALANCE => {
            // The account whose code runs has been loaded: there is nothing to ask the database for.
            let own = host.balance(interpreter.input.target_address);
            own.map(|balance| balance.data).unwrap_or_default()
        }
        other => unreachable!("the compiler asks for no word by opcode {other:#x}"),
    };
    // SAFETY: the first of the words that there is room for.
    unsafe { frame.scratch.as_mut_ptr().cast::<U256>().write(word) };
}

/// [`Frame::grow`] for a host.
#[expect(
    unsafe_code,
    reason = "called by machine code with the frame it was entered with"
)]
unsafe extern "C" fn grow<H: Host>(frame: *mut Frame, end: u64) -> u64 {
    // SAFETY: as this function's contract says.
    let Parts {
        frame,
        interpreter,
        host,
        ..
    } = unsafe { Parts::<H>::of(frame) };
    interpreter.gas.set_remaining(frame.gas);
    let before: Gas = interpreter.gas;
    let grown = interpreter.resize_memory(host.gas_params(), 0, end as usize);
    if grown.is_err() {
        interpreter.gas = before;
        return 1;
    }
    frame.gas = interpreter.gas.remaining();
    frame.take_memory(interpreter);
    0
}
