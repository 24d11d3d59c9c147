//! Side exits: where compiled code hands a frame back to the interpreter.

/// Why compiled code left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitReason {
    /// Not enough gas for what follows.
    Gas,
    /// Too few or too many words on the stack for what follows.
    Stack,
    /// Memory cannot grow as asked.
    Memory,
    /// A jump to a place that is not compiled, or not a jump destination.
    Jump,
    /// An instruction that only the interpreter runs: undefined here, or ending the frame.
    Instruction,
    /// The exit was forced to try the way back ([`crate::CompileOptions::forced_exits`]).
    Forced,
}

impl ExitReason {
    /// How many reasons there are.
    pub const COUNT: usize = 6;
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Gas,
        Self::Stack,
        Self::Memory,
        Self::Jump,
        Self::Instruction,
        Self::Forced,
    ];

    /// The reason's name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gas => "gas",
            Self::Stack => "stack",
            Self::Memory => "memory",
            Self::Jump => "jump",
            Self::Instruction => "instruction",
            Self::Forced => "forced",
        }
    }
}

/// One place where code can leave. The EVM stack in memory is that of `pc`.
#[derive(Clone, Copy, Debug)]
pub struct ExitRow {
    /// The instruction that the interpreter goes on with.
    pub pc: u32,
    /// Gas that was paid ahead for instructions that were not run; it may not have been there.
    pub gas_refund: u32,
    /// Words on the stack above the stack pointer that compiled code left with.
    pub stack_delta: i16,
    /// Why.
    pub reason: ExitReason,
}
