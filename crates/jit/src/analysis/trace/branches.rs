//! JUMPI: ways out on the side.

use super::super::{
    exit_at,
    ir::{Expression, Row, Statement, Target, Unary, Value, Write},
};
use super::{Flow, TraceBuilder};
use crate::ExitReason;
use revm::{bytecode::opcode as op, primitives::U256};

impl TraceBuilder<'_, '_> {
    pub(super) fn jump_if(&mut self, pc: usize) -> Flow {
        let target = self.stack.peek(0, &mut self.values);
        let condition = self.stack.peek(1, &mut self.values);
        let destination = self
            .values
            .as_constant(target)
            .map(|target| self.analyser.contract.destination(target));
        match (self.values.as_constant(condition), destination) {
            (Some(U256::ZERO), _) => {
                self.pop();
                self.pop();
                return Flow::On;
            }
            (Some(_), Some(Some(destination))) => {
                self.pop();
                self.pop();
                return self.jump_to(destination);
            }
            (Some(_), Some(None)) => return self.fail_jump(op::JUMPI, pc),
            _ => {}
        }
        let target = match destination {
            Some(Some(destination)) => self.branch_target(destination),
            Some(None) => self.branch_failing(pc),
            None => self.branch_dynamically(pc, target),
        };
        let writes = self.branch_writes(&target);
        self.pop();
        self.pop();
        let condition = self.truth(condition);
        self.define_new_values();
        self.close_section();
        self.statements.push(Statement::BranchIf {
            condition,
            writes,
            target,
        });
        if let Expression::Unary(Unary::IsZero, shown) = self.values.expression(condition) {
            self.not_zero.push(shown);
        }
        self.open_section();
        Flow::On
    }

    pub(super) fn branch_target(&mut self, destination: usize) -> Target {
        Target::Trace {
            id: self.analyser.entry(destination),
            height: self.stack.height() - 2,
        }
    }

    pub(super) fn branch_failing(&mut self, pc: usize) -> Target {
        Target::Exit(self.jumpi_row(pc))
    }

    pub(super) fn branch_dynamically(&mut self, pc: usize, target: Value) -> Target {
        self.note_computed_target(target);
        Target::Dynamic {
            pc: target,
            height: self.stack.height() - 2,
            row: self.jumpi_row(pc),
        }
    }

    /// The row of a JUMPI that has been paid for and is to be failed by the interpreter.
    pub(super) fn jumpi_row(&mut self, pc: usize) -> Row {
        let gas = self.analyser.contract.rules().static_gas(op::JUMPI) as u32;
        let row = self
            .analyser
            .row(exit_at(pc, self.stack.height(), ExitReason::Jump));
        self.analyser.refund(row, gas);
        row
    }

    /// What a branch writes: everything below where it arrives, and its operands if the interpreter may see them.
    pub(super) fn branch_writes(&mut self, target: &Target) -> Vec<Write> {
        let height = match *target {
            Target::Trace { height, .. } => height,
            Target::Dynamic { .. } | Target::Exit(_) => self.stack.height(),
        };
        let writes = self.stack.stale(height);
        self.note_destinations(writes.iter().map(|write| write.value));
        writes
    }

    /// A value that is zero when `condition` is, and simpler.
    pub(super) fn truth(&self, condition: Value) -> Value {
        match self.values.expression(condition) {
            Expression::Unary(Unary::IsZero, inner) => match self.values.expression(inner) {
                Expression::Unary(Unary::IsZero, word) => self.truth(word),
                _ => condition,
            },
            _ => condition,
        }
    }
}
