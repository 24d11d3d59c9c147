//! The values of a trace: numbered, each computed once, folded where they are constant.

use revm::{
    bytecode::opcode as op,
    interpreter::instructions::i256::{i256_cmp, i256_div, i256_mod},
    primitives::{HashMap, U256},
};

use super::ir::{Binary, Environment, Expression, Ternary, Unary, Value, ValueData};

/// Bits of a length in memory: far above what any gas pays for.
const LENGTH_BITS: u16 = 48;

/// Values under construction.
#[derive(Debug, Default)]
pub(crate) struct Values {
    data: Vec<ValueData>,
    numbers: HashMap<Expression, Value>,
}

/// A value as a base and what is added to it, modulo 2^256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) base: Option<Value>,
    pub(crate) displacement: U256,
}

impl Values {
    pub(crate) fn into_data(self) -> Vec<ValueData> {
        self.data
    }

    pub(crate) const fn len(&self) -> usize {
        self.data.len()
    }

    pub(crate) fn expression(&self, value: Value) -> Expression {
        self.data[value.0 as usize].expression
    }

    pub(crate) fn expression_mut(&mut self, value: Value) -> &mut Expression {
        &mut self.data[value.0 as usize].expression
    }

    pub(crate) fn width(&self, value: Value) -> u16 {
        self.data[value.0 as usize].width
    }

    /// Says that the value is one less than one that is not zero. It must be new: nothing counts on its width yet.
    pub(crate) fn set_decrement(&mut self, value: Value, width: u16) {
        let data = &mut self.data[value.0 as usize];
        data.is_decrement = true;
        data.width = width;
    }

    pub(crate) fn is_decrement(&self, value: Value) -> bool {
        self.data[value.0 as usize].is_decrement
    }

    pub(crate) fn constant(&mut self, constant: U256) -> Value {
        self.number(Expression::Constant(constant))
    }

    pub(crate) fn as_constant(&self, value: Value) -> Option<U256> {
        match self.expression(value) {
            Expression::Constant(constant) => Some(constant),
            _ => None,
        }
    }

    /// The value as base plus displacement.
    pub(crate) fn address(&self, value: Value) -> Address {
        match self.expression(value) {
            Expression::Constant(displacement) => Address {
                base: None,
                displacement,
            },
            Expression::Binary(Binary::Add, base, added) if self.as_constant(added).is_some() => Address {
                base: Some(base),
                displacement: self.as_constant(added).unwrap_or_default(),
            },
            _ => Address {
                base: Some(value),
                displacement: U256::ZERO,
            },
        }
    }

    /// The number of an expression, new or known.
    pub(crate) fn number(&mut self, expression: Expression) -> Value {
        if let Some(&value) = self.numbers.get(&expression) {
            return value;
        }
        let width = self.width_of(&expression);
        let value = Value(self.data.len() as u32);
        self.data.push(ValueData {
            expression,
            width,
            is_decrement: false,
        });
        self.numbers.insert(expression, value);
        value
    }

    pub(crate) fn unary(&mut self, operation: Unary, a: Value) -> Value {
        if let Some(constant) = self.as_constant(a) {
            return self.constant(fold_unary(operation, constant));
        }
        match (operation, self.expression(a)) {
            (Unary::Not, Expression::Unary(Unary::Not, inner)) => return inner,
            (Unary::IsZero, Expression::Unary(Unary::IsZero, inner)) if self.width(inner) <= 1 => {
                return inner;
            }
            (Unary::IsZero, Expression::Binary(Binary::Sub | Binary::Xor, left, right)) => {
                return self.binary(Binary::Eq, left, right);
            }
            (Unary::IsZero, Expression::Binary(Binary::Add, base, added)) => {
                if let Some(added) = self.as_constant(added) {
                    let equal_to = self.constant(added.wrapping_neg());
                    return self.binary(Binary::Eq, base, equal_to);
                }
            }
            _ => {}
        }
        self.number(Expression::Unary(operation, a))
    }

    pub(crate) fn ternary(&mut self, operation: Ternary, a: Value, b: Value, modulus: Value) -> Value {
        let constants = (
            self.as_constant(a),
            self.as_constant(b),
            self.as_constant(modulus),
        );
        match constants {
            (Some(a), Some(b), Some(modulus)) => {
                return self.constant(match operation {
                    Ternary::AddMod => a.add_mod(b, modulus),
                    Ternary::MulMod => a.mul_mod(b, modulus),
                });
            }
            (_, _, Some(modulus)) if modulus <= U256::ONE => return self.constant(U256::ZERO),
            _ => {}
        }
        self.number(Expression::Ternary(operation, a, b, modulus))
    }

    /// `a` is the top of the stack, `b` the word below it.
    pub(crate) fn binary(&mut self, operation: Binary, a: Value, b: Value) -> Value {
        if let (Some(a), Some(b)) = (self.as_constant(a), self.as_constant(b)) {
            return self.constant(fold_binary(operation, a, b));
        }
        match self.simplify(operation, a, b) {
            Some(value) => value,
            None => self.number(Expression::Binary(operation, a, b)),
        }
    }

    fn simplify(&mut self, operation: Binary, a: Value, b: Value) -> Option<Value> {
        let (left, right) = (self.as_constant(a), self.as_constant(b));
        match operation {
            Binary::Add => self.simplify_add(a, b),
            Binary::Sub => self.simplify_sub(a, b),
            Binary::Mul | Binary::And | Binary::Or | Binary::Xor | Binary::Eq => {
                if left.is_some() {
                    return Some(self.binary(operation, b, a));
                }
                match operation {
                    Binary::Mul => self.simplify_mul(a, right?),
                    Binary::And => self.simplify_and(a, b),
                    Binary::Or => self.simplify_or(a, b),
                    Binary::Xor if a == b => Some(self.constant(U256::ZERO)),
                    Binary::Xor if right == Some(U256::ZERO) => Some(a),
                    Binary::Eq if a == b => Some(self.constant(U256::ONE)),
                    Binary::Eq => self.simplify_eq(a, right?),
                    _ => None,
                }
            }
            Binary::Div => self.simplify_div(a, b),
            Binary::Mod => self.simplify_mod(a, b),
            Binary::SDiv if self.both_not_negative(a, b) => Some(self.binary(Binary::Div, a, b)),
            Binary::SMod if self.both_not_negative(a, b) => Some(self.binary(Binary::Mod, a, b)),
            Binary::SDiv if right == Some(U256::ONE) => Some(a),
            Binary::Gt => Some(self.binary(Binary::Lt, b, a)),
            Binary::Sgt => Some(self.binary(Binary::Slt, b, a)),
            Binary::Slt if a == b => Some(self.constant(U256::ZERO)),
            Binary::Slt if self.both_not_negative(a, b) => Some(self.binary(Binary::Lt, a, b)),
            Binary::Lt => self.simplify_lt(a, b),
            Binary::Byte => self.simplify_byte(left?, b),
            Binary::Shl | Binary::Shr | Binary::Sar => self.simplify_shift(operation, left?, b),
            Binary::SignExtend => {
                let bytes = left?;
                let enough =
                    bytes >= U256::from(31) || u64::from(self.width(b)) < 8 * bytes.as_limbs()[0] + 8;
                enough.then_some(b)
            }
            _ => None,
        }
    }

    fn both_not_negative(&self, a: Value, b: Value) -> bool {
        self.width(a) < 256 && self.width(b) < 256
    }

    fn simplify_add(&mut self, a: Value, b: Value) -> Option<Value> {
        if self.as_constant(a).is_some() {
            return Some(self.binary(Binary::Add, b, a));
        }
        let added = self.as_constant(b)?;
        if added.is_zero() {
            return Some(a);
        }
        if let Expression::Binary(Binary::Add, base, before) = self.expression(a) {
            let sum = self.as_constant(before)?.wrapping_add(added);
            let sum = self.constant(sum);
            return Some(self.binary(Binary::Add, base, sum));
        }
        None
    }

    fn simplify_sub(&mut self, a: Value, b: Value) -> Option<Value> {
        if a == b {
            return Some(self.constant(U256::ZERO));
        }
        if let Some(taken) = self.as_constant(b) {
            let added = self.constant(taken.wrapping_neg());
            return Some(self.binary(Binary::Add, a, added));
        }
        let (left, right) = (self.address(a), self.address(b));
        if left.base.is_some() && left.base == right.base {
            return Some(self.constant(left.displacement.wrapping_sub(right.displacement)));
        }
        None
    }

    fn simplify_mul(&mut self, a: Value, factor: U256) -> Option<Value> {
        if factor.is_zero() {
            return Some(self.constant(U256::ZERO));
        }
        if !factor.is_power_of_two() {
            return None;
        }
        let shift = self.constant(U256::from(factor.trailing_zeros()));
        Some(self.binary(Binary::Shl, shift, a))
    }

    fn simplify_and(&mut self, a: Value, b: Value) -> Option<Value> {
        if a == b {
            return Some(a);
        }
        let mask = self.as_constant(b)?;
        if mask.is_zero() {
            return Some(b);
        }
        if (!mask).trailing_zeros() >= usize::from(self.width(a)) {
            return Some(a);
        }
        if let Expression::Binary(Binary::And, inner, before) = self.expression(a) {
            let both = self.as_constant(before)? & mask;
            let both = self.constant(both);
            return Some(self.binary(Binary::And, inner, both));
        }
        None
    }

    fn simplify_or(&mut self, a: Value, b: Value) -> Option<Value> {
        match self.as_constant(b) {
            _ if a == b => Some(a),
            Some(U256::ZERO) => Some(a),
            Some(U256::MAX) => Some(b),
            _ => None,
        }
    }

    fn simplify_eq(&mut self, a: Value, constant: U256) -> Option<Value> {
        if constant.is_zero() {
            return Some(self.unary(Unary::IsZero, a));
        }
        if constant.bit_len() > usize::from(self.width(a)) {
            return Some(self.constant(U256::ZERO));
        }
        (self.width(a) == 1).then_some(a)
    }

    fn simplify_lt(&mut self, a: Value, b: Value) -> Option<Value> {
        if a == b || self.as_constant(b) == Some(U256::ZERO) {
            return Some(self.constant(U256::ZERO));
        }
        if self.as_constant(b) == Some(U256::ONE) {
            return Some(self.unary(Unary::IsZero, a));
        }
        if self.as_constant(a) == Some(U256::ZERO) {
            let zero = self.unary(Unary::IsZero, b);
            return Some(self.unary(Unary::IsZero, zero));
        }
        let below = self.as_constant(b)?;
        (below.bit_len() > usize::from(self.width(a))).then(|| self.constant(U256::ONE))
    }

    fn simplify_div(&mut self, a: Value, b: Value) -> Option<Value> {
        let divisor = self.as_constant(b)?;
        if divisor.is_zero() {
            return Some(b);
        }
        if !divisor.is_power_of_two() {
            return None;
        }
        let shift = self.constant(U256::from(divisor.trailing_zeros()));
        Some(self.binary(Binary::Shr, shift, a))
    }

    fn simplify_mod(&mut self, a: Value, b: Value) -> Option<Value> {
        let divisor = self.as_constant(b)?;
        if divisor.is_zero() {
            return Some(b);
        }
        if !divisor.is_power_of_two() {
            return None;
        }
        let mask = self.constant(divisor - U256::ONE);
        Some(self.binary(Binary::And, a, mask))
    }

    fn simplify_byte(&mut self, index: U256, b: Value) -> Option<Value> {
        if index >= U256::from(32) {
            return Some(self.constant(U256::ZERO));
        }
        let shift = self.constant(U256::from(8 * (31 - index.as_limbs()[0])));
        let mask = self.constant(U256::from(0xff));
        let shifted = self.binary(Binary::Shr, shift, b);
        Some(self.binary(Binary::And, shifted, mask))
    }

    fn simplify_shift(&mut self, operation: Binary, shift: U256, b: Value) -> Option<Value> {
        if shift.is_zero() {
            return Some(b);
        }
        if operation == Binary::Sar {
            if self.width(b) == 256 {
                return None;
            }
            let shift = self.constant(shift);
            return Some(self.binary(Binary::Shr, shift, b));
        }
        let gone = match operation {
            Binary::Shr => shift >= U256::from(self.width(b)),
            _ => shift >= U256::from(256),
        };
        gone.then(|| self.constant(U256::ZERO))
    }

    fn width_of(&self, expression: &Expression) -> u16 {
        match *expression {
            Expression::Constant(constant) => constant.bit_len() as u16,
            Expression::Unary(operation, _) => match operation {
                Unary::IsZero => 1,
                Unary::Not => 256,
                Unary::CountLeadingZeros => 9,
            },
            Expression::Binary(operation, a, b) => self.width_of_binary(operation, a, b),
            Expression::Ternary(_, _, _, modulus) => self.width(modulus),
            Expression::Environment(environment) => match environment {
                Environment::Address | Environment::Caller => 160,
                Environment::CallValue => 256,
                Environment::CalldataSize | Environment::ReturnDataSize => LENGTH_BITS,
                Environment::Host(opcode) => host_word_width(opcode),
            },
            Expression::MemorySize { .. } => LENGTH_BITS,
            Expression::GasLeft { .. } => 64,
            Expression::Slot { .. }
            | Expression::MemoryWord { .. }
            | Expression::Keccak { .. }
            | Expression::CalldataWord(_) => 256,
        }
    }

    fn width_of_binary(&self, operation: Binary, a: Value, b: Value) -> u16 {
        let (left, right) = (self.width(a), self.width(b));
        match operation {
            Binary::Add => (left.max(right) + 1).min(256),
            Binary::Mul => (left + right).min(256),
            Binary::Div => match self.as_constant(b) {
                Some(divisor) => (left + 1).saturating_sub(divisor.bit_len() as u16).max(1),
                None => left,
            },
            Binary::Mod => left.min(right),
            Binary::And => left.min(right),
            Binary::Or | Binary::Xor => left.max(right),
            Binary::Lt | Binary::Gt | Binary::Slt | Binary::Sgt | Binary::Eq => 1,
            Binary::Byte => 8,
            Binary::Shl => match self.as_constant(a) {
                Some(shift) => (right + shift.as_limbs()[0].min(256) as u16).min(256),
                None => 256,
            },
            Binary::Shr => match self.as_constant(a) {
                Some(shift) => right - (shift.as_limbs()[0].min(u64::from(right)) as u16),
                None => right,
            },
            Binary::Sub | Binary::SDiv | Binary::SMod | Binary::SignExtend | Binary::Sar => 256,
        }
    }
}

/// Addresses and what revm keeps in 64 bits are narrow.
const fn host_word_width(opcode: u8) -> u16 {
    match opcode {
        op::ORIGIN | op::COINBASE => 160,
        _ => 256,
    }
}

fn fold_unary(operation: Unary, a: U256) -> U256 {
    match operation {
        Unary::IsZero => U256::from(a.is_zero()),
        Unary::Not => !a,
        Unary::CountLeadingZeros => U256::from(a.leading_zeros()),
    }
}

/// What the instruction gives for constant operands, `a` on top.
pub(crate) fn fold_binary(operation: Binary, a: U256, b: U256) -> U256 {
    match operation {
        Binary::Add => a.wrapping_add(b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Div if b.is_zero() => b,
        Binary::Div => a.wrapping_div(b),
        Binary::SDiv => i256_div(a, b),
        Binary::Mod if b.is_zero() => b,
        Binary::Mod => a.wrapping_rem(b),
        Binary::SMod => i256_mod(a, b),
        Binary::SignExtend => sign_extend(a, b),
        Binary::Lt => U256::from(a < b),
        Binary::Gt => U256::from(a > b),
        Binary::Slt => U256::from(i256_cmp(&a, &b).is_lt()),
        Binary::Sgt => U256::from(i256_cmp(&a, &b).is_gt()),
        Binary::Eq => U256::from(a == b),
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        Binary::Byte if a < U256::from(32) => U256::from(b.byte(31 - a.as_limbs()[0] as usize)),
        Binary::Byte => U256::ZERO,
        Binary::Shl if a < U256::from(256) => b << a.as_limbs()[0] as usize,
        Binary::Shr if a < U256::from(256) => b >> a.as_limbs()[0] as usize,
        Binary::Shl | Binary::Shr => U256::ZERO,
        Binary::Sar => b.arithmetic_shr(a.try_into().unwrap_or(255).min(255)),
    }
}

/// SIGNEXTEND: `word` taken as a signed number of `last_byte + 1` bytes.
pub(crate) fn sign_extend(last_byte: U256, word: U256) -> U256 {
    if last_byte >= U256::from(31) {
        return word;
    }
    let unused_bits = 8 * (31 - last_byte.as_limbs()[0] as usize);
    (word << unused_bits).arithmetic_shr(unused_bits)
}
