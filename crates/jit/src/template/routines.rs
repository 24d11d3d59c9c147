//! Code that all traces share: the way in and out, and calls of Rust.
//!
//! | register | in traces |
//! |---|---|
//! | rbp | the frame |
//! | rbx | the trace's stack pointer |
//! | r15 | gas left |
//! | rsp | the cells; a multiple of 16 |
//! | rax, rcx, rdx | scratch, and what routines are called with |
//! | the others | values: routines leave them as they are |

use std::mem::offset_of;

use super::{
    arithmetic::Operation,
    assembler::{Assembled, Assembler, Label},
    control::{FRAME, GAS, PC_BITS, SP},
    encoding::{Mem, R12, R13, R14, R15, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP, Reg},
    places::OVERWRITTEN_BY_CALLS,
    scalar::{Alu, Condition, Group, Shift},
    trace::Emitter,
};
use crate::{
    arithmetic,
    frame::{ENDED, EXITED, Frame, NO_ENTRY},
};

const FRAME_GAS: i32 = offset_of!(Frame, gas) as i32;
const FRAME_SP: i32 = offset_of!(Frame, sp) as i32;
pub(super) const STACK: i32 = offset_of!(Frame, stack) as i32;
pub(super) const MEMORY: i32 = offset_of!(Frame, memory) as i32;
pub(super) const MEMORY_LEN: i32 = offset_of!(Frame, memory_len) as i32;
pub(super) const CALLDATA: i32 = offset_of!(Frame, calldata) as i32;
pub(super) const CALLDATA_LEN: i32 = offset_of!(Frame, calldata_len) as i32;
pub(super) const RETURN_DATA_LEN: i32 = offset_of!(Frame, return_data_len) as i32;
pub(super) const INPUT: i32 = offset_of!(Frame, input) as i32;
pub(super) const FORCED_EXIT_COUNTDOWN: i32 = offset_of!(Frame, forced_exit_countdown) as i32;
pub(super) const SCRATCH: i32 = offset_of!(Frame, scratch) as i32;
const ENTRIES: i32 = offset_of!(Frame, destinations) as i32;
const TARGETS: i32 = offset_of!(Frame, targets) as i32;
const TABLE_OP: i32 = offset_of!(Frame, table_op) as i32;
const LIGHT_TABLE_OP: i32 = offset_of!(Frame, light_table_op) as i32;
const HOST_WORD: i32 = offset_of!(Frame, host_word) as i32;
const GROW: i32 = offset_of!(Frame, grow) as i32;
const EXIT_ROW: i32 = offset_of!(Frame, exit_row) as i32;

/// Registers that belong to our caller.
const CALLER_OWNED: [Reg; 6] = [RBX, RBP, R12, R13, R14, R15];

/// The native stack is touched in steps of this, so that it cannot grow past the page that guards its end.
const GUARDED_STEP: i32 = 4096;

/// A shared piece of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Routine {
    /// Leaves at the row in eax.
    Exit,
    /// Leaves with the status in rax.
    Return,
    /// Goes to the entry at program counter rax, with stack pointer rcx, or leaves at the row in edx.
    Dynamic,
    /// Runs an instruction of the table: rax has the stack pointer, ecx opcode and program counter. Values in registers that
    /// calls overwrite are lost.
    Table,
    /// As `Table`, and saves those registers.
    TableSaving,
    /// As `Table`, for instructions that touch no memory.
    LightTable,
    /// As `LightTable`, and saves those registers.
    LightTableSaving,
    /// Puts the word of the host that opcode ecx gives into the first word of scratch.
    HostWord,
    /// Grows memory to rax bytes, or leaves at the row in ecx.
    Grow,
    /// Hashes ecx bytes at rax into the first word of scratch.
    Hash,
    /// Reads the word of the input that ends at rax. Gives in rax the end of a copy of it.
    Calldata,
    /// SHL of the third word of scratch by rcx into the first.
    ShiftLeft,
    /// SHR, likewise.
    ShiftRight,
    /// SAR, likewise.
    ShiftRightSigned,
    /// Byte number rcx of the third word of scratch, in rax.
    Byte,
}

impl Routine {
    /// In an order in which each comes before those it goes on in.
    const ALL: [Self; Self::COUNT] = [
        Self::Dynamic,
        Self::Table,
        Self::TableSaving,
        Self::LightTable,
        Self::LightTableSaving,
        Self::Grow,
        Self::Hash,
        Self::Calldata,
        Self::HostWord,
        Self::ShiftLeft,
        Self::ShiftRight,
        Self::ShiftRightSigned,
        Self::Byte,
        Self::Exit,
        Self::Return,
    ];
    const COUNT: usize = 15;
}

/// The routines' places.
#[derive(Debug)]
pub(super) struct Routines {
    labels: [Label; Routine::COUNT],
    operations: [Option<Label>; Operation::COUNT],
}

impl Routines {
    pub(super) fn new(asm: &mut Assembler) -> Self {
        Self {
            labels: std::array::from_fn(|_| asm.new_label()),
            operations: [None; Operation::COUNT],
        }
    }

    pub(super) const fn label(&self, routine: Routine) -> Label {
        self.labels[routine as usize]
    }

    /// The routine of an operation: replaces the first word of scratch by the result for the words of scratch.
    pub(super) fn operation(&mut self, asm: &mut Assembler, operation: Operation) -> Label {
        *self.operations[operation as usize].get_or_insert_with(|| asm.new_label())
    }
}

impl Emitter<'_> {
    /// Writes all routines; returns the way in.
    pub(super) fn routines(&mut self) -> Label {
        let enter = self.enter();
        for routine in Routine::ALL {
            let label = self.routines.label(routine);
            if self.asm.is_used(label) {
                self.asm.bind(label);
                self.routine(routine);
            }
        }
        for operation in Operation::ALL {
            if let Some(label) = self.routines.operations[operation as usize] {
                self.operation(operation, label);
            }
        }
        enter
    }

    /// Puts everything together.
    pub(super) fn finish(mut self) -> Assembled {
        self.asm.switch_to(super::assembler::Part::Cold);
        self.write_pool();
        self.asm.finish()
    }

    fn routine(&mut self, routine: Routine) {
        match routine {
            Routine::Exit => self.leave_at_row(),
            Routine::Return => self.return_to_rust(),
            Routine::Dynamic => self.dynamic(),
            Routine::Table | Routine::TableSaving | Routine::LightTable | Routine::LightTableSaving => {
                self.table_operation(routine);
            }
            Routine::Grow => self.grow(),
            Routine::Hash => self.hash(),
            Routine::Calldata => self.calldata(),
            Routine::HostWord => self.host_word(),
            Routine::ShiftLeft | Routine::ShiftRight | Routine::ShiftRightSigned => {
                self.shift_routine(routine)
            }
            Routine::Byte => self.byte_routine(),
        }
    }

    /// Bytes of the native stack below the registers of the caller, so that it is aligned to 16.
    fn native_stack_bytes(&self) -> i32 {
        let cells = 8 * i32::from(self.places.cells_high());
        (cells + 15) / 16 * 16 + 8
    }

    fn enter(&mut self) -> Label {
        let label = self.asm.here();
        for reg in CALLER_OWNED {
            self.asm.push(reg);
        }
        let bytes = self.native_stack_bytes();
        for step in 1..=bytes / GUARDED_STEP {
            self.asm
                .alu_immediate(Alu::Or, Mem::At(RSP, -step * GUARDED_STEP), 0);
        }
        self.asm.alu_immediate(Alu::Sub, RSP, bytes);
        self.asm.mov(FRAME, RDI);
        self.asm.mov(SP, Mem::At(FRAME, FRAME_SP));
        self.asm.mov(GAS, Mem::At(FRAME, FRAME_GAS));
        self.asm.mov(RAX, Mem::At(FRAME, TARGETS));
        self.asm.jump_to(Mem::Scaled(RAX, RSI, 3));
        label
    }

    fn leave_at_row(&mut self) {
        self.asm.store_short(Mem::At(FRAME, EXIT_ROW), RAX);
        self.asm.store(Mem::At(FRAME, FRAME_GAS), GAS);
        self.asm.store(Mem::At(FRAME, FRAME_SP), SP);
        self.asm.mov_immediate(RAX, EXITED);
        self.asm.jump(self.routines.label(Routine::Return));
    }

    fn return_to_rust(&mut self) {
        self.asm.forget_upper_halves(self.features);
        let bytes = self.native_stack_bytes();
        self.asm.alu_immediate(Alu::Add, RSP, bytes);
        for reg in CALLER_OWNED.into_iter().rev() {
            self.asm.pop(reg);
        }
        self.asm.ret();
    }

    fn dynamic(&mut self) {
        let no_entry = self.asm.new_label();
        // No value outlives its trace: their registers are free here.
        self.asm.mov_immediate(RSI, self.code_len as u64);
        self.asm.alu(Alu::Cmp, RAX, RSI);
        self.asm.jump_if(Condition::NotBelow, no_entry);
        self.asm.mov(RSI, Mem::At(FRAME, ENTRIES));
        self.asm.load_half(RAX, Mem::Scaled(RSI, RAX, 1));
        self.asm.alu_short_immediate(Alu::Cmp, RAX, i32::from(NO_ENTRY));
        self.asm.jump_if(Condition::Zero, no_entry);
        self.asm.mov(SP, RCX);
        self.asm.mov(RCX, Mem::At(FRAME, TARGETS));
        self.asm.jump_to(Mem::Scaled(RCX, RAX, 3));
        self.asm.bind(no_entry);
        self.asm.mov(RAX, RDX);
        self.asm.jump(self.routines.label(Routine::Exit));
    }

    /// Calls Rust from a routine that saved registers or not.
    fn save(&mut self) {
        for reg in OVERWRITTEN_BY_CALLS {
            self.asm.push(reg);
        }
        self.align();
    }

    fn restore(&mut self) {
        self.unalign();
        for reg in OVERWRITTEN_BY_CALLS.into_iter().rev() {
            self.asm.pop(reg);
        }
    }

    /// A routine's stack is 8 off a multiple of 16.
    fn align(&mut self) {
        self.asm.forget_upper_halves(self.features);
        self.asm.push(RAX);
    }

    fn unalign(&mut self) {
        self.asm.pop(RCX);
    }

    fn table_operation(&mut self, routine: Routine) {
        self.asm.store(Mem::At(FRAME, FRAME_GAS), GAS);
        self.asm.store(Mem::At(FRAME, FRAME_SP), RAX);
        let saves = matches!(routine, Routine::TableSaving | Routine::LightTableSaving);
        if saves {
            self.save();
        } else {
            self.align();
        }
        self.asm.mov(RDI, FRAME);
        self.asm.mov(RSI, RCX);
        self.asm.shift(Shift::Right, RSI, PC_BITS);
        self.asm.shift(Shift::Left, RSI, 32);
        self.asm.alu_short_immediate(Alu::And, RCX, (1 << PC_BITS) - 1);
        self.asm.alu(Alu::Or, RSI, RCX);
        let function = match routine {
            Routine::LightTable | Routine::LightTableSaving => LIGHT_TABLE_OP,
            _ => TABLE_OP,
        };
        self.asm.call_to(Mem::At(FRAME, function));
        if saves {
            self.restore();
        } else {
            self.unalign();
        }
        self.asm.test(RAX);
        let ended = self.asm.short_jump(0x70 | Condition::NotZero as u8);
        self.asm.mov(GAS, Mem::At(FRAME, FRAME_GAS));
        self.asm.ret();
        self.asm.land(ended);
        self.asm.pop(RCX);
        self.asm.mov_immediate(RAX, ENDED);
        self.asm.jump(self.routines.label(Routine::Return));
    }

    fn grow(&mut self) {
        self.asm.store(Mem::At(FRAME, FRAME_GAS), GAS);
        self.asm.store(Mem::At(FRAME, FRAME_SP), SP);
        self.asm.store_short(Mem::At(FRAME, EXIT_ROW), RCX);
        self.save();
        self.asm.mov(RDI, FRAME);
        self.asm.mov(RSI, RAX);
        self.asm.call_to(Mem::At(FRAME, GROW));
        self.restore();
        self.asm.mov(GAS, Mem::At(FRAME, FRAME_GAS));
        self.asm.test(RAX);
        let failed = self.asm.short_jump(0x70 | Condition::NotZero as u8);
        self.asm.ret();
        self.asm.land(failed);
        self.asm.pop(RCX);
        self.asm.mov_short(RAX, Mem::At(FRAME, EXIT_ROW));
        self.asm.jump(self.routines.label(Routine::Exit));
    }

    fn host_word(&mut self) {
        self.save();
        self.asm.mov(RDI, FRAME);
        self.asm.mov(RSI, RCX);
        self.asm.call_to(Mem::At(FRAME, HOST_WORD));
        self.restore();
        self.asm.ret();
    }

    fn hash(&mut self) {
        self.save();
        self.asm.lea(RDI, Mem::At(FRAME, SCRATCH));
        self.asm.mov(RSI, RAX);
        self.asm.mov(RDX, RCX);
        self.call_function(arithmetic::hash as *const () as u64);
        self.restore();
        self.asm.ret();
    }

    fn call_function(&mut self, address: u64) {
        self.asm.mov_immediate(RAX, address);
        self.asm.call_to(RAX);
    }

    /// The word is copied with its bytes reversed, as they were in the input.
    fn calldata(&mut self) {
        let word = |index: i32| Mem::At(FRAME, SCRATCH + 32 * index);
        self.save();
        self.asm.alu_immediate(Alu::Sub, RAX, 32);
        self.asm.store(word(1), RAX);
        for limb in 1..4 {
            self.asm.store_immediate(word(1).plus(8 * limb), 0);
        }
        self.asm.lea(RDI, word(0));
        self.asm.mov(RSI, FRAME);
        self.asm.lea(RDX, word(1));
        self.call_function(arithmetic::read_calldata as *const () as u64);
        for limb in 0..4 {
            self.asm.mov(RAX, word(0).plus(8 * limb));
            self.asm.swap_bytes(RAX);
            self.asm.store(word(1).plus(24 - 8 * limb), RAX);
        }
        self.asm.lea(RAX, word(2));
        self.restore();
        self.asm.ret();
    }

    fn operation(&mut self, operation: Operation, label: Label) {
        self.asm.bind(label);
        match operation {
            Operation::Divide => self.divide_short(RAX),
            Operation::Remainder => self.divide_short(RDX),
            _ => {}
        }
        self.save();
        self.asm.lea(RDI, Mem::At(FRAME, SCRATCH));
        self.asm.mov(RSI, RDI);
        self.call_function(operation.function() as usize as u64);
        self.restore();
        self.asm.ret();
    }

    /// The division of words that are one limb each; goes on behind it for others, and for a divisor of zero.
    fn divide_short(&mut self, result: Reg) {
        let word = |limb: i32| Mem::At(FRAME, SCRATCH + 8 * limb);
        self.asm.mov(RAX, word(1));
        for limb in [2, 3, 5, 6, 7] {
            self.asm.alu(Alu::Or, RAX, word(limb));
        }
        let long = self.asm.short_jump(0x70 | Condition::NotZero as u8);
        self.asm.mov(RCX, word(4));
        self.asm.test(RCX);
        let by_zero = self.asm.short_jump(0x70 | Condition::Zero as u8);
        self.asm.mov(RAX, word(0));
        self.asm.zero(RDX);
        self.asm.group(Group::Divide, RCX);
        self.asm.store(word(0), result);
        self.asm.ret();
        self.asm.land(long);
        self.asm.land(by_zero);
    }
}
