//! MUL: column by column, as on paper.

use super::{
    encoding::{RAX, RCX, RDX, Reg},
    limbs::{Limb, immediate},
    scalar::{Alu, Group},
    trace::Emitter,
};
use crate::analysis::ir::Value;

/// Limbs of the result, and which of them have something in them already.
struct Columns<'a> {
    to: &'a [Reg],
    begun: [bool; 4],
}

impl Emitter<'_> {
    pub(super) fn multiply(&mut self, value: Value, a: Value, b: Value) {
        if self.limbs(value) == 1 {
            return self.multiply_limbs(value, a, b);
        }
        let to = self.destination(value, None, &[a, b]);
        let mut columns = Columns {
            to: &to,
            begun: [false; 4],
        };
        for column in 0..to.len() {
            for index in 0..=column {
                let (left, right) = (self.limb(a, index), self.limb(b, column - index));
                if left != Limb::Constant(0) && right != Limb::Constant(0) {
                    self.add_product(&mut columns, column, left, right);
                }
            }
        }
        for (&reg, begun) in to.iter().zip(columns.begun) {
            if !begun {
                self.asm.zero(reg);
            }
        }
    }

    fn multiply_limbs(&mut self, value: Value, a: Value, b: Value) {
        let to = self.destination(value, Some(a), &[a, b]);
        let (left, right) = (self.limb(a, 0), self.limb(b, 0));
        let [to] = *to else { return };
        if let Limb::Constant(constant) = right
            && let Some(constant) = immediate(constant)
        {
            let operand = self.operand(left, RCX);
            return self.asm.multiply_immediate(to, operand, constant);
        }
        self.load(to, left);
        let operand = self.operand(right, RCX);
        self.asm.multiply(to, operand);
    }

    fn add_product(&mut self, columns: &mut Columns<'_>, column: usize, left: Limb, right: Limb) {
        self.load(RAX, left);
        let operand = self.operand(right, RCX);
        let Some(&next) = columns.to.get(column + 1) else {
            self.asm.multiply(RAX, operand);
            self.add_to(columns, column, RAX);
            return;
        };
        self.asm.group(Group::Multiply, operand);
        let carries = self.add_to(columns, column, RAX);
        if !columns.begun[column + 1] {
            // The upper half of a product has room for a carry.
            if carries {
                self.asm.alu_immediate(Alu::Adc, RDX, 0);
            }
            self.asm.mov(next, RDX);
            columns.begun[column + 1] = true;
            return;
        }
        let operation = if carries { Alu::Adc } else { Alu::Add };
        self.asm.alu(operation, next, RDX);
        if let Some(&after) = columns.to.get(column + 2) {
            if !columns.begun[column + 2] {
                self.asm.mov_immediate(after, 0);
                columns.begun[column + 2] = true;
            }
            self.asm.alu_immediate(Alu::Adc, after, 0);
        }
    }

    /// Adds a register to a column. Whether there can be a carry, in the flags.
    fn add_to(&mut self, columns: &mut Columns<'_>, column: usize, from: Reg) -> bool {
        let begun = std::mem::replace(&mut columns.begun[column], true);
        if begun {
            self.asm.alu(Alu::Add, columns.to[column], from);
        } else {
            self.asm.mov(columns.to[column], from);
        }
        begun
    }
}
