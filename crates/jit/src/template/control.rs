//! Sections, branches, and the ways out of a trace.

use revm::bytecode::opcode::OPCODE_INFO;

use super::{
    assembler::{Label, Part},
    encoding::{Mem, R15, RAX, RBP, RBX, RCX, RDX, Reg},
    limbs::Limb,
    places::OVERWRITTEN_BY_CALLS,
    routines::{FORCED_EXIT_COUNTDOWN, Routine, STACK},
    scalar::{Alu, Condition},
    trace::Emitter,
};
use crate::{
    ForcedExitPoints,
    analysis::ir::{Row, Section, Target, Touches, TraceId, Value, Write, WriteWhen},
};

/// The register of the gas left.
pub(super) const GAS: Reg = R15;
/// The register of the trace's stack pointer.
pub(super) const SP: Reg = RBX;
/// The register of the frame.
pub(super) const FRAME: Reg = RBP;

/// Words of the EVM's stack.
const STACK_WORDS: i32 = 1024;

/// Bits of a program counter where it shares a word with the opcode.
pub(super) const PC_BITS: u8 = 24;

impl Emitter<'_> {
    /// Leaves if the stack does not fit the trace.
    pub(super) fn check_stack(&mut self) {
        let (need, growth) = (
            i32::from(self.trace.stack_need),
            i32::from(self.trace.stack_growth),
        );
        let exit = self.exit(self.trace.stack_row);
        let spare = STACK_WORDS - growth - need;
        if spare < 0 {
            return self.asm.jump(exit);
        }
        self.asm.lea(RAX, Mem::At(SP, -32 * need));
        self.asm.alu(Alu::Sub, RAX, Mem::At(FRAME, STACK));
        self.asm.alu_immediate(Alu::Cmp, RAX, 32 * spare);
        self.asm.jump_if(Condition::Above, exit);
    }

    pub(super) fn section(&mut self, section: &Section) {
        if section.when == WriteWhen::Always {
            self.write(&section.writes);
        }
        let is_forced = self.forced_exits == ForcedExitPoints::Present;
        if section.gas > 0 || is_forced {
            let leave = self.leave_section(section);
            // The row gives the gas back.
            if section.gas > 0 {
                self.take_gas(section.gas);
                self.asm.jump_if(Condition::Below, leave);
            }
            if is_forced {
                self.asm.decrement(Mem::At(FRAME, FORCED_EXIT_COUNTDOWN));
                self.asm.jump_if(Condition::Zero, leave);
            }
        }
        self.release_written(&section.writes);
    }

    fn take_gas(&mut self, gas: u32) {
        let operand = Limb::Constant(u64::from(gas));
        self.alu(Alu::Sub, GAS, operand);
    }

    /// The code that leaves at the start of a section.
    fn leave_section(&mut self, section: &Section) -> Label {
        if !section.writes.iter().any(|write| self.is_missing(write)) {
            return self.exit(section.row);
        }
        let part = self.asm.switch_to(Part::Cold);
        let leave = self.asm.here();
        self.write_aside(&section.writes);
        self.leave(section.row);
        self.asm.switch_to(part);
        leave
    }

    fn release_written(&mut self, writes: &[Write]) {
        for write in writes {
            self.release_if_dead(write.value);
        }
    }

    pub(super) fn branch_if(&mut self, condition: Value, writes: &[Write], target: &Target) {
        let taken = self.condition(condition);
        match *target {
            Target::Trace { id, height: 0 } if !writes.iter().any(|write| self.is_missing(write)) => {
                let start = self.start_of(id, 0);
                self.asm.jump_if(taken, start);
            }
            _ => {
                let edge = self.asm.new_label();
                self.asm.jump_if(taken, edge);
                let part = self.asm.switch_to(Part::Cold);
                self.asm.bind(edge);
                self.write_aside(writes);
                self.go_to(target, None);
                self.asm.switch_to(part);
            }
        }
        self.release_condition(condition);
        self.release_written(writes);
        if let Target::Dynamic { pc, .. } = *target {
            self.release_if_dead(pc);
        }
    }

    pub(super) fn jump(&mut self, target: &Target, number: usize) {
        self.go_to(target, Some(number + 1));
    }

    /// Goes on elsewhere. `next` is the number of the trace that follows in the code.
    fn go_to(&mut self, target: &Target, next: Option<usize>) {
        match *target {
            Target::Trace { id, height } => {
                if height != 0 {
                    self.asm.alu_immediate(Alu::Add, SP, 32 * i32::from(height));
                }
                if next != Some(id.0 as usize) {
                    let start = self.start_of(id, height);
                    self.asm.jump(start);
                }
            }
            Target::Dynamic { pc, height, row } => self.go_to_dynamic(pc, height, row),
            Target::Exit(row) => self.leave(row),
        }
    }

    /// Where to enter a trace whose start is `height` words above ours: behind its check if ours implies it.
    fn start_of(&self, id: TraceId, height: i16) -> Label {
        let id = id.0 as usize;
        let (from, to, height) = (self.trace, &self.program.traces[id], i32::from(height));
        let is_deep_enough = i32::from(to.stack_need) <= i32::from(from.stack_need) + height;
        let has_room = i32::from(to.stack_growth) + height <= i32::from(from.stack_growth);
        if is_deep_enough && has_room {
            self.checked[id]
        } else {
            self.traces[id]
        }
    }

    fn go_to_dynamic(&mut self, pc: Value, height: i16, row: Row) {
        let low = self.limb(pc, 0);
        self.load(RAX, low);
        if self.limbs(pc) > 1 {
            let limb = self.limb(pc, 1);
            self.load(RDX, limb);
            for index in 2..self.limbs(pc) {
                let limb = self.limb(pc, index);
                self.alu(Alu::Or, RDX, limb);
            }
            self.asm.test(RDX);
            let exit = self.exit(row);
            self.asm.jump_if(Condition::NotZero, exit);
        }
        self.asm.mov_immediate(RDX, u64::from(row.0));
        self.asm.lea(RCX, Mem::At(SP, 32 * i32::from(height)));
        self.asm.jump(self.routines.label(Routine::Dynamic));
    }

    /// The code that leaves at a row.
    pub(super) fn exit(&mut self, row: Row) -> Label {
        if let Some(exit) = self.exits[row.0 as usize] {
            return exit;
        }
        let part = self.asm.switch_to(Part::Cold);
        let exit = self.asm.here();
        self.leave(row);
        self.asm.switch_to(part);
        self.exits[row.0 as usize] = Some(exit);
        exit
    }

    fn leave(&mut self, row: Row) {
        self.asm.mov_immediate(RAX, u64::from(row.0));
        self.asm.jump(self.routines.label(Routine::Exit));
    }

    pub(super) fn table(&mut self, opcode: u8, pc: u32, height: i16, touches: Touches) {
        let inputs = OPCODE_INFO[usize::from(opcode)].map_or(0, |info| info.inputs());
        let changed = self.places.positions_from(height - i16::from(inputs));
        for position in changed.clone() {
            self.places.mark(position);
        }
        for position in changed.clone() {
            self.keep_without(position);
        }
        for position in changed {
            self.places.unmark(position);
            self.places.forget_memory(position);
        }
        self.asm.lea(RAX, Mem::At(SP, 32 * i32::from(height)));
        self.asm
            .mov_immediate(RCX, u64::from(opcode) << PC_BITS | u64::from(pc));
        let is_saving = OVERWRITTEN_BY_CALLS.iter().any(|&reg| self.places.is_in_use(reg));
        let routine = match (touches, is_saving) {
            (Touches::Memory, true) => Routine::TableSaving,
            (Touches::Memory, false) => Routine::Table,
            (Touches::Nothing, true) => Routine::LightTableSaving,
            (Touches::Nothing, false) => Routine::LightTable,
        };
        self.asm.call(self.routines.label(routine));
    }
}
