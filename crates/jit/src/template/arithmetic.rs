//! Operations on words.

use super::{
    assembler::Part,
    encoding::{Mem, RAX, RCX, RDX, Reg},
    limbs::{Limb, immediate},
    routines::SCRATCH,
    scalar::{Alu, Condition, Group},
    trace::Emitter,
};
use crate::{
    analysis::ir::{Binary, Ternary, Value},
    arithmetic::{self, Operation as Function},
};

/// An operation that is a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Divide,
    Remainder,
    DivideSigned,
    RemainderSigned,
    AddModulo,
    MultiplyModulo,
    ExtendSign,
}

impl Operation {
    pub(super) const COUNT: usize = 7;
    pub(super) const ALL: [Self; Self::COUNT] = [
        Self::Divide,
        Self::Remainder,
        Self::DivideSigned,
        Self::RemainderSigned,
        Self::AddModulo,
        Self::MultiplyModulo,
        Self::ExtendSign,
    ];

    pub(super) fn function(self) -> Function {
        match self {
            Self::Divide => arithmetic::divide,
            Self::Remainder => arithmetic::remainder,
            Self::DivideSigned => arithmetic::divide_signed,
            Self::RemainderSigned => arithmetic::remainder_signed,
            Self::AddModulo => arithmetic::add_modulo,
            Self::MultiplyModulo => arithmetic::multiply_modulo,
            Self::ExtendSign => arithmetic::extend_sign,
        }
    }
}

impl Emitter<'_> {
    pub(super) fn binary(&mut self, value: Value, operation: Binary, a: Value, b: Value) {
        match operation {
            Binary::Add => self.add(value, a, b),
            Binary::Sub => self.chain(value, [a, b], Alu::Sub, Alu::Sbb),
            Binary::Mul => self.multiply(value, a, b),
            Binary::Div | Binary::Mod if self.limbs(a) <= 1 && self.limbs(b) <= 1 => {
                self.divide_limbs(value, operation, a, b);
            }
            Binary::Div => self.call(value, Operation::Divide, &[a, b]),
            Binary::Mod => self.call(value, Operation::Remainder, &[a, b]),
            Binary::SDiv => self.call(value, Operation::DivideSigned, &[a, b]),
            Binary::SMod => self.call(value, Operation::RemainderSigned, &[a, b]),
            Binary::SignExtend => self.extend_sign(value, a, b),
            Binary::Lt | Binary::Gt | Binary::Slt | Binary::Sgt | Binary::Eq => self.define_condition(value),
            Binary::And | Binary::Or | Binary::Xor => self.bitwise(value, operation, a, b),
            Binary::Byte => self.byte(value, a, b),
            Binary::Shl => self.shift_left(value, a, b),
            Binary::Shr => self.shift_right(value, a, b),
            Binary::Sar => self.shift_right_signed(value, a, b),
        }
    }

    pub(super) fn ternary(&mut self, value: Value, operation: Ternary, operands: [Value; 3]) {
        let operation = match operation {
            Ternary::AddMod => Operation::AddModulo,
            Ternary::MulMod => Operation::MultiplyModulo,
        };
        self.call(value, operation, &operands);
    }

    /// Calls the routine of an operation.
    pub(super) fn call(&mut self, value: Value, operation: Operation, operands: &[Value]) {
        let scratch = Mem::At(super::control::FRAME, SCRATCH);
        for (index, &operand) in operands.iter().enumerate() {
            self.copy_word(scratch.plus(32 * index as i32), operand);
        }
        let routine = self.routines.operation(&mut self.asm, operation);
        self.asm.call(routine);
        self.load_result(value, operands);
    }

    /// Loads a value from the first word of scratch.
    pub(super) fn load_result(&mut self, value: Value, operands: &[Value]) {
        let scratch = Mem::At(super::control::FRAME, SCRATCH);
        let to = self.destination(value, None, operands);
        for (index, &reg) in to.iter().enumerate() {
            self.asm.mov(reg, scratch.plus(8 * index as i32));
        }
    }

    /// Puts first the operand whose registers the result can have.
    fn with_reusable_first(&mut self, a: Value, b: Value) -> [Value; 2] {
        let is_reusable = |emitter: &mut Self, value: Value| {
            !emitter.places.of(value).regs().is_empty() && !emitter.is_live(value)
        };
        if self.constant(a).is_some() || (!is_reusable(self, a) && is_reusable(self, b)) {
            [b, a]
        } else {
            [a, b]
        }
    }

    fn add(&mut self, value: Value, a: Value, b: Value) {
        if let (1, Limb::Reg(base), Limb::Constant(constant)) =
            (self.limbs(value), self.limb(a, 0), self.limb(b, 0))
            && let Some(displacement) = immediate(constant)
            && self.is_live(a)
        {
            let to = self.destination(value, None, &[a, b]);
            // Making room may have moved it.
            if let ([to], Limb::Reg(_)) = (&*to, self.limb(a, 0)) {
                return self.asm.lea(*to, Mem::At(base, displacement));
            }
            return self.chain_into(&to, [a, b], Alu::Add, Alu::Adc);
        }
        let operands = self.with_reusable_first(a, b);
        self.chain(value, operands, Alu::Add, Alu::Adc);
    }

    /// Limb by limb, with what is carried from one to the next.
    fn chain(&mut self, value: Value, operands: [Value; 2], first: Alu, next: Alu) {
        let to = self.destination(value, Some(operands[0]), &operands);
        self.chain_into(&to, operands, first, next);
    }

    fn chain_into(&mut self, to: &[Reg], [a, b]: [Value; 2], first: Alu, next: Alu) {
        for (index, &reg) in to.iter().enumerate() {
            let limb = self.limb(a, index);
            self.load(reg, limb);
        }
        for (index, &reg) in to.iter().enumerate() {
            let limb = self.limb(b, index);
            self.alu(if index == 0 { first } else { next }, reg, limb);
        }
    }

    fn bitwise(&mut self, value: Value, operation: Binary, a: Value, b: Value) {
        let [a, b] = self.with_reusable_first(a, b);
        let to = self.destination(value, Some(a), &[a, b]);
        for (index, &reg) in to.iter().enumerate() {
            let (left, right) = (self.limb(a, index), self.limb(b, index));
            match operation {
                Binary::And => self.and(reg, left, right),
                Binary::Or => self.or(reg, left, right),
                _ => self.xor(reg, left, right),
            }
        }
    }

    fn and(&mut self, to: Reg, left: Limb, right: Limb) {
        match (left, right) {
            (_, Limb::Constant(0)) | (Limb::Constant(0), _) => self.asm.zero(to),
            (limb, Limb::Constant(u64::MAX)) => self.load(to, limb),
            (Limb::Reg(reg), Limb::Constant(0xffff_ffff)) => self.asm.mov_short(to, reg),
            (Limb::Mem(mem), Limb::Constant(0xffff_ffff)) => self.asm.mov_short(to, mem),
            _ => {
                self.load(to, left);
                self.alu(Alu::And, to, right);
            }
        }
    }

    fn or(&mut self, to: Reg, left: Limb, right: Limb) {
        match (left, right) {
            (limb, Limb::Constant(0)) | (Limb::Constant(0), limb) => self.load(to, limb),
            (_, Limb::Constant(u64::MAX)) => self.load(to, right),
            _ => {
                self.load(to, left);
                self.alu(Alu::Or, to, right);
            }
        }
    }

    fn xor(&mut self, to: Reg, left: Limb, right: Limb) {
        match (left, right) {
            (limb, Limb::Constant(0)) | (Limb::Constant(0), limb) => self.load(to, limb),
            (limb, Limb::Constant(u64::MAX)) => {
                self.load(to, limb);
                self.asm.group(Group::Not, to);
            }
            _ => {
                self.load(to, left);
                self.alu(Alu::Xor, to, right);
            }
        }
    }

    pub(super) fn not(&mut self, value: Value, a: Value) {
        let to = self.destination(value, Some(a), &[a]);
        for (index, &reg) in to.iter().enumerate() {
            match self.limb(a, index) {
                Limb::Constant(constant) => self.load(reg, Limb::Constant(!constant)),
                limb => {
                    self.load(reg, limb);
                    self.asm.group(Group::Not, reg);
                }
            }
        }
    }

    /// 255 less the position of the highest bit, which is -1 if there is none.
    pub(super) fn count_leading_zeros(&mut self, value: Value, a: Value) {
        self.asm.mov_immediate(RAX, u64::MAX);
        for index in 0..self.limbs(a) {
            let limb = self.limb(a, index);
            let operand = self.operand(limb, RCX);
            self.asm.highest_bit(RCX, operand);
            self.asm.lea(RCX, Mem::At(RCX, 64 * index as i32));
            self.asm.mov_if(Condition::NotZero, RAX, RCX);
        }
        let to = self.destination(value, None, &[a]);
        if let [to] = *to {
            self.asm.mov_immediate(to, 255);
            self.asm.alu(Alu::Sub, to, RAX);
        }
    }

    /// DIV and MOD of operands of one limb.
    fn divide_limbs(&mut self, value: Value, operation: Binary, a: Value, b: Value) {
        let (dividend, divisor) = (self.limb(a, 0), self.limb(b, 0));
        let done = self.asm.new_label();
        self.load(RCX, divisor);
        if self.constant(b).is_none() {
            let by_zero = self.asm.new_label();
            self.asm.test(RCX);
            self.asm.jump_if(Condition::Zero, by_zero);
            let part = self.asm.switch_to(Part::Cold);
            self.asm.bind(by_zero);
            self.asm.zero(RAX);
            self.asm.zero(RDX);
            self.asm.jump(done);
            self.asm.switch_to(part);
        }
        self.load(RAX, dividend);
        self.asm.zero(RDX);
        self.asm.group(Group::Divide, RCX);
        self.asm.bind(done);
        let to = self.destination(value, None, &[a, b]);
        if let [to] = *to {
            let result = if operation == Binary::Div { RAX } else { RDX };
            self.asm.mov(to, result);
        }
    }
}
