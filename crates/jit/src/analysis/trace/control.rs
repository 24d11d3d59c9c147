//! Jumps, instructions of the table, and the ends of a trace.

use super::super::{
    exit_at,
    ir::{Statement, Target, Touches, Value},
    opcode::stack_io,
};
use super::{Flow, INSTRUCTIONS_MAX, TraceBuilder};
use crate::{EndedStack, ExitReason};
use revm::bytecode::opcode as op;

impl TraceBuilder<'_, '_> {
    pub(super) fn by_table(&mut self, opcode: u8, pc: usize) {
        let (inputs, outputs) = stack_io(opcode);
        for depth in 0..inputs {
            self.stack.peek(u16::from(depth), &mut self.values);
        }
        self.define_new_values();
        self.write_stack();
        self.is_carriable = false;
        self.statements.push(Statement::Table {
            opcode,
            pc: pc as u32,
            height: self.stack.height(),
            touches: touches(opcode),
        });
        self.close_section();
        self.stack.replaced_by_table(inputs, outputs, &mut self.values);
        if writes_memory(opcode) {
            self.memory.forget_words();
        }
        self.define_new_values();
        self.open_section();
    }

    pub(super) fn jump(&mut self, pc: usize) -> Flow {
        let target = self.stack.peek(0, &mut self.values);
        let Some(constant) = self.values.as_constant(target) else {
            return self.jump_dynamically(pc, target);
        };
        let Some(destination) = self.analyser.contract.destination(constant) else {
            return self.fail_jump(op::JUMP, pc);
        };
        self.pop();
        self.jump_to(destination)
    }

    pub(super) fn jump_to(&mut self, destination: usize) -> Flow {
        self.pc = destination;
        let comes_round = destination == self.start || self.visited.contains(&destination);
        if comes_round || self.instructions >= INSTRUCTIONS_MAX || !self.analyser.runs_on_into(destination) {
            return self.end_by_jump_to(destination);
        }
        Flow::On
    }

    pub(super) fn jump_dynamically(&mut self, pc: usize, target: Value) -> Flow {
        self.note_computed_target(target);
        self.define_new_values();
        self.write_stack();
        let gas = self.analyser.contract.rules().static_gas(op::JUMP) as u32;
        let row = self
            .analyser
            .row(exit_at(pc, self.stack.height(), ExitReason::Jump));
        self.analyser.refund(row, gas);
        self.pop();
        self.close_section();
        self.statements.push(Statement::Jump(Target::Dynamic {
            pc: target,
            height: self.stack.height(),
            row,
        }));
        Flow::Ended
    }

    /// A jump to a place that is no destination: the interpreter fails it.
    pub(super) fn fail_jump(&mut self, opcode: u8, pc: usize) -> Flow {
        self.section.gas -= self.analyser.contract.rules().static_gas(opcode) as u32;
        self.pc = pc;
        // The operands, of which a jump has two at most.
        self.leave_here(ExitReason::Jump, self.stack.height() - 2)
    }

    pub(super) fn end_by_jump_to(&mut self, destination: usize) -> Flow {
        self.define_new_values();
        if destination >= self.analyser.contract.len() {
            self.pc = destination;
            return self.exit(op::STOP);
        }
        if destination == self.start && self.stack.height() == 0 {
            return self.repeat();
        }
        self.write_stack();
        self.close_section();
        let target = Target::Trace {
            id: self.analyser.entry(destination),
            height: self.stack.height(),
        };
        self.statements.push(Statement::Jump(target));
        Flow::Ended
    }

    /// Hands over to the interpreter before the instruction at `pc`, which ends the frame. Nobody sees the words below its
    /// operands any more: they are not written.
    pub(super) fn exit(&mut self, opcode: u8) -> Flow {
        let (inputs, _) = stack_io(opcode);
        for depth in 0..inputs {
            self.stack.peek(u16::from(depth), &mut self.values);
        }
        let operands = self.stack.height() - i16::from(inputs);
        self.leave_here(ExitReason::Instruction, operands)
    }

    /// Leaves for good at `pc`, with the words from `lowest` on in memory.
    pub(super) fn leave_here(&mut self, reason: ExitReason, lowest: i16) -> Flow {
        self.define_new_values();
        match self.analyser.ended_stack {
            EndedStack::Dropped => self.write_stack_from(lowest),
            EndedStack::Written => self.write_stack(),
        }
        let row = self.analyser.row(exit_at(self.pc, self.stack.height(), reason));
        self.close_section();
        self.statements.push(Statement::Jump(Target::Exit(row)));
        Flow::Ended
    }
}

/// What an instruction of the table may do besides taking and giving words and gas.
const fn touches(opcode: u8) -> Touches {
    match opcode {
        op::SLOAD
        | op::SSTORE
        | op::TLOAD
        | op::TSTORE
        | op::BALANCE
        | op::SELFBALANCE
        | op::EXTCODESIZE
        | op::EXTCODEHASH
        | op::BLOCKHASH
        | op::BLOBHASH
        | op::EXP => Touches::Nothing,
        _ => Touches::Memory,
    }
}

/// Whether an instruction of the table writes to EVM memory.
const fn writes_memory(opcode: u8) -> bool {
    matches!(
        opcode,
        op::CALLDATACOPY | op::CODECOPY | op::EXTCODECOPY | op::RETURNDATACOPY | op::MCOPY | op::CREATE
            ..=op::STATICCALL
    )
}
