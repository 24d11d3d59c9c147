//! The form between bytecode and machine code: traces of statements over 256-bit values.
//!
//! A [`Trace`] starts at an entry with everything in memory: the operand stack, and EVM memory, which always is. It runs
//! straight on, through jumps whose target is known, and leaves by side branches. Words of the stack are named by their
//! position relative to the stack's height at the trace's start: 0 is the first word pushed, -1 the topmost that was there.
//!
//! Gas is paid ahead per section. An exit inside a section goes back to a point whose state is in memory (a *row*): what
//! has been done since, paying for memory and writing to it, can be done again with the same result.

use revm::primitives::U256;

use crate::ExitRow;

/// A contract as code generation gets it.
#[derive(Debug, Default)]
pub(crate) struct Program {
    /// The traces; the number of a trace is also that of its entry.
    pub(crate) traces: Vec<Trace>,
    /// Where code can leave.
    pub(crate) rows: Vec<ExitRow>,
    /// Instructions in all traces, copies counted.
    pub(crate) instructions: usize,
}

/// Index of a row of [`Program::rows`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row(pub(crate) u32);

/// Number of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TraceId(pub(crate) u32);

/// A value of its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Value(pub(crate) u32);

/// Straight-line code with one way in.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Words it needs on the stack.
    pub(crate) stack_need: u16,
    /// Words it adds at most.
    pub(crate) stack_growth: u16,
    /// Row of its start, for when the stack does not fit.
    pub(crate) stack_row: Row,
    pub(crate) values: Vec<ValueData>,
    pub(crate) statements: Vec<Statement>,
    /// If [`Statement::Repeat`] ends the trace: words of the stack that stay in registers from one round to the next. They are
    /// read from memory before the first round; within a round memory does not have them until a list of writes says so.
    pub(crate) carried: Vec<Carried>,
    pub(crate) instructions: usize,
}

/// A word of the stack that a loop changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried {
    pub(crate) kind: CarriedKind,
    pub(crate) position: i16,
    /// The word as the round begins: an [`Expression::Slot`].
    pub(crate) before: Value,
    /// The word as the next round begins.
    pub(crate) after: Value,
}

/// How a word that a loop changes can stay in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CarriedKind {
    /// As a whole.
    Word,
    /// In one register as long as it is below 2^63: a constant is added to it each round. [`Statement::Repeat`] writes it, for
    /// rounds in which it is not.
    Counter,
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValueData {
    pub(crate) expression: Expression,
    /// No bit at or above this one is set; at most 256.
    pub(crate) width: u16,
    /// It is one less than a value that is not zero, and so no wider than that.
    pub(crate) is_decrement: bool,
}

/// How a value comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Expression {
    Constant(U256),
    /// A word of the stack in memory. Reads of one position between two changes of it by others share a `version`.
    Slot {
        position: i16,
        version: u16,
    },
    Unary(Unary, Value),
    Binary(Binary, Value, Value),
    Ternary(Ternary, Value, Value, Value),
    /// A word of EVM memory; it has been [`Statement::Touch`]ed. Never the same as another one.
    MemoryWord {
        offset: Value,
        number: u32,
    },
    /// Hash of a piece of EVM memory that has been touched.
    Keccak {
        offset: Value,
        len: u32,
        number: u32,
    },
    CalldataWord(Value),
    Environment(Environment),
    /// MSIZE: bytes of memory at this point.
    MemorySize {
        number: u32,
    },
    /// Gas left, plus what was paid ahead for the instructions after the one that asks.
    GasLeft {
        paid_ahead: u32,
        number: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Unary {
    IsZero,
    Not,
    CountLeadingZeros,
}

/// Operations of two words; the first operand is the top of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Binary {
    Add,
    Mul,
    Sub,
    Div,
    SDiv,
    Mod,
    SMod,
    SignExtend,
    Lt,
    Gt,
    Slt,
    Sgt,
    Eq,
    And,
    Or,
    Xor,
    Byte,
    Shl,
    Shr,
    Sar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ternary {
    AddMod,
    MulMod,
}

/// What does not change while a frame runs from entry to exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Environment {
    Address,
    Caller,
    CallValue,
    CalldataSize,
    ReturnDataSize,
    /// What an instruction gives that asks for a word of the block or the transaction, or for the balance, which only other
    /// frames change; by its opcode.
    Host(u8),
}

/// A word that has to be written to the stack in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    pub(crate) position: i16,
    pub(crate) value: Value,
}

/// One step of a trace.
#[derive(Debug)]
pub(crate) enum Statement {
    /// The gas of a section is paid, or the trace left at its row, with the gas paid all the same, below zero if need be:
    /// the row gives it back.
    Section(Section),
    /// The value is to be had from here on. Order matters for memory, stack and gas.
    Define(Value),
    /// The stack in memory is brought up to date.
    Write(Write),
    /// Memory is made to hold `offset + len` bytes and paid for, or the trace left at `row`.
    Touch { offset: Value, len: u32, row: Row },
    /// MSTORE to touched memory.
    Store { offset: Value, value: Value },
    /// MSTORE8 to touched memory.
    StoreByte { offset: Value, value: Value },
    /// An instruction of the EVM's own table. The stack is in memory, `height` words above the trace's start. Afterwards
    /// everything in memory may have changed but the words of the stack below its operands.
    Table {
        opcode: u8,
        pc: u32,
        height: i16,
        touches: Touches,
    },
    /// Goes elsewhere if `condition` is not zero, after these writes.
    BranchIf {
        condition: Value,
        writes: Vec<Write>,
        target: Target,
    },
    /// Ends the trace.
    Jump(Target),
    /// Ends the trace: back to its start after these writes, with the stack's height as it was then and the words of
    /// [`Trace::carried`] in their registers.
    Repeat { writes: Vec<Write> },
}

/// What an instruction of the table may do besides taking and giving words and gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touches {
    /// Nothing: [`crate::frame::Frame::light_table_op`] is enough.
    Nothing,
    /// It grows or writes memory, changes the return data, or suspends the frame.
    Memory,
}

/// The start of a section.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) gas: u32,
    pub(crate) row: Row,
    /// What brings the stack in memory up to date with this point.
    pub(crate) writes: Vec<Write>,
    pub(crate) when: WriteWhen,
}

/// When a section's writes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteWhen {
    /// Before the section: later exits come back to its start.
    Always,
    /// Only if the section's gas cannot be paid.
    OnExit,
}

/// Where a jump goes. The stack in memory is up to date.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// To another trace, `height` words above this trace's start.
    Trace { id: TraceId, height: i16 },
    /// To the entry at a program counter known at run time, or to the row if there is none.
    Dynamic { pc: Value, height: i16, row: Row },
    /// To the interpreter.
    Exit(Row),
}
