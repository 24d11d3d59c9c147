//! Comparisons, as values and as conditions of branches.

use super::{
    encoding::{RAX, RCX, RDX},
    limbs::{Limb, immediate},
    scalar::{Alu, Condition},
    trace::Emitter,
};
use crate::analysis::ir::{Binary, Expression, Unary, Value};

impl Emitter<'_> {
    /// Sets the flags; gives the condition under which the value is not zero. Overwrites the scratch registers.
    pub(super) fn condition(&mut self, value: Value) -> Condition {
        if self.constant(value).is_none() && self.uses.is_deferred(value) {
            return self.evaluate(value);
        }
        self.is_not_zero(value)
    }

    fn evaluate(&mut self, value: Value) -> Condition {
        match self.trace.values[value.0 as usize].expression {
            Expression::Unary(Unary::IsZero, a) => self.condition(a).negated(),
            Expression::Binary(Binary::Eq, a, b) => self.are_equal(a, b),
            Expression::Binary(Binary::Lt, a, b) => self.is_less(a, b, Condition::Below),
            Expression::Binary(Binary::Gt, a, b) => self.is_less(b, a, Condition::Below),
            Expression::Binary(Binary::Slt, a, b) => self.is_less(a, b, Condition::Less),
            Expression::Binary(Binary::Sgt, a, b) => self.is_less(b, a, Condition::Less),
            _ => self.is_not_zero(value),
        }
    }

    /// Computes a comparison as a value.
    pub(super) fn define_condition(&mut self, value: Value) {
        let condition = self.evaluate(value);
        let operands = super::uses::operands(&self.trace.values[value.0 as usize].expression);
        let keep: Vec<Value> = operands.into_iter().flatten().collect();
        // Making room moves values, which leaves the flags as they are.
        let to = self.destination(value, None, &keep);
        if let [to] = *to {
            self.asm.set(to, condition);
        }
    }

    /// A condition that was evaluated for its branch ends there, and what it is made of.
    pub(super) fn release_condition(&mut self, value: Value) {
        if self.constant(value).is_some() {
            return;
        }
        if self.uses.is_deferred(value) {
            let operands = super::uses::operands(&self.trace.values[value.0 as usize].expression);
            for operand in operands.into_iter().flatten() {
                self.release_condition(operand);
            }
        } else {
            self.release_if_dead(value);
        }
    }

    fn is_not_zero(&mut self, value: Value) -> Condition {
        let limbs = self.limbs(value);
        let lowest = self.limb(value, 0);
        match (limbs, lowest) {
            (1, Limb::Reg(reg)) => self.asm.test(reg),
            (1, Limb::Mem(mem)) => self.asm.alu_immediate(Alu::Cmp, mem, 0),
            (0 | 1, _) => {
                self.load(RAX, lowest);
                self.asm.test(RAX);
            }
            _ => {
                self.load(RAX, lowest);
                for index in 1..limbs {
                    let limb = self.limb(value, index);
                    self.alu(Alu::Or, RAX, limb);
                }
            }
        }
        Condition::NotZero
    }

    fn are_equal(&mut self, a: Value, b: Value) -> Condition {
        let limbs = self.limbs(a).max(self.limbs(b)).max(1);
        let (left, right) = (self.limb(a, 0), self.limb(b, 0));
        if limbs == 1 {
            self.compare_limbs(left, right);
            return Condition::Zero;
        }
        self.differing_bits(RAX, left, right);
        for index in 1..limbs {
            let (left, right) = (self.limb(a, index), self.limb(b, index));
            match (left, right) {
                (limb, Limb::Constant(0)) | (Limb::Constant(0), limb) => self.alu(Alu::Or, RAX, limb),
                _ => {
                    self.differing_bits(RDX, left, right);
                    self.asm.alu(Alu::Or, RAX, RDX);
                }
            }
        }
        Condition::Zero
    }

    fn differing_bits(&mut self, to: super::encoding::Reg, left: Limb, right: Limb) {
        let (left, right) = match left {
            Limb::Constant(_) => (right, left),
            _ => (left, right),
        };
        self.load(to, left);
        if right != Limb::Constant(0) {
            self.alu(Alu::Xor, to, right);
        }
    }

    fn compare_limbs(&mut self, left: Limb, right: Limb) {
        if let (Limb::Mem(mem), Limb::Constant(constant)) = (left, right)
            && let Some(constant) = immediate(constant)
        {
            return self.asm.alu_immediate(Alu::Cmp, mem, constant);
        }
        let left = self.in_register(left, RAX);
        self.alu(Alu::Cmp, left, right);
    }

    /// Subtracts and looks at the sign or the borrow.
    fn is_less(&mut self, a: Value, b: Value, condition: Condition) -> Condition {
        let limbs = match condition {
            Condition::Less => 4,
            _ => self.limbs(a).max(self.limbs(b)).max(1),
        };
        let (left, right) = (self.limb(a, 0), self.limb(b, 0));
        self.compare_limbs(left, right);
        for index in 1..limbs {
            let (left, right) = (self.limb(a, index), self.limb(b, index));
            self.load(RAX, left);
            debug_assert_ne!(right, Limb::Reg(RCX), "scratch");
            self.alu(Alu::Sbb, RAX, right);
        }
        condition
    }
}
