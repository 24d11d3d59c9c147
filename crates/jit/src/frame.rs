//! What machine code and Rust hand each other: the frame in execution, in a fixed layout.

use std::mem::MaybeUninit;

use revm::{
    interpreter::{InputsImpl, Interpreter},
    primitives::U256,
};

/// An EVM frame as machine code sees it. Machine code reads and writes the fields at their fixed offsets; Rust fills
/// them in before it enters and takes them out after it left.
///
/// Machine code keeps `gas` and `sp` in registers. It stores them here before every call of a function that reads or may
/// change them, and before it returns.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Frame {
    /// Gas left.
    pub(crate) gas: u64,
    /// One past the top word of the EVM stack.
    pub(crate) sp: *mut U256,
    /// The bottom of the EVM stack, which has room for 1024 words.
    pub(crate) stack: *mut U256,
    /// This frame's EVM memory.
    pub(crate) memory: *mut u8,
    /// Bytes of EVM memory, a multiple of 32. What lies below is paid for.
    pub(crate) memory_len: u64,
    /// The call's input.
    pub(crate) calldata: *const u8,
    /// Bytes of the call's input.
    pub(crate) calldata_len: u64,
    /// Bytes the last call returned.
    pub(crate) return_data_len: u64,
    /// Addresses and value of the call.
    pub(crate) input: *const InputsImpl,
    /// Entry number for each program counter of the code that is a jump destination with an entry, else `NO_ENTRY`.
    pub(crate) destinations: *const u16,
    /// Where each entry's code is.
    pub(crate) targets: *const *const u8,
    /// Runs one instruction of the EVM's own table: `table_op(frame, opcode << 32 | pc)`. Expects `gas` with the
    /// instruction's static gas taken off, the operands in memory and `sp` above them. Returns 0, or 1 if the frame ended
    /// or is suspended.
    pub(crate) table_op: unsafe extern "C" fn(*mut Self, u64) -> u64,
    /// As `table_op`, for instructions that neither touch memory nor suspend the frame; `pc` is not looked at.
    pub(crate) light_table_op: unsafe extern "C" fn(*mut Self, u64) -> u64,
    /// Gives a word of the block, the transaction or the account in the first word of `scratch`: `host_word(frame, opcode)`.
    pub(crate) host_word: unsafe extern "C" fn(*mut Self, u64),
    /// Grows memory so that it holds `end` bytes, and pays for it: `grow(frame, end)`. Returns 0, or 1 if that cannot be
    /// paid or is over the limit; then nothing has changed.
    pub(crate) grow: unsafe extern "C" fn(*mut Self, u64) -> u64,
    /// The interpreter whose frame this is.
    pub(crate) interpreter: *mut Interpreter,
    /// The host, of the type that the functions above were made for.
    pub(crate) host: *mut (),
    /// The EVM's instruction table, of the type that `table_op` was made for.
    pub(crate) instructions: *const (),
    /// Row of the exit table, after the status that says so.
    pub(crate) exit_row: u32,
    /// `InstructionResult` as a number, after the status that says so.
    pub(crate) result: u32,
    /// Code made to exit at random ([`crate::CompileOptions::forced_exits`]) leaves when this count reaches zero.
    pub(crate) forced_exit_countdown: u64,
    /// Room for operands and results of operations that are called.
    pub(crate) scratch: MaybeUninit<[U256; 4]>,
}

/// Status of compiled code: it left at [`Frame::exit_row`], from where the interpreter goes on.
pub(crate) const EXITED: u64 = 0;
/// Status of compiled code: an instruction ended or suspended the frame with [`Frame::result`].
pub(crate) const ENDED: u64 = 1;
/// A program counter that is no entry.
pub(crate) const NO_ENTRY: u16 = u16::MAX;

/// Compiled code from outside: runs from an entry on, returns [`EXITED`] or [`ENDED`].
pub(crate) type Enter = unsafe extern "C" fn(*mut Frame, entry: u64) -> u64;
