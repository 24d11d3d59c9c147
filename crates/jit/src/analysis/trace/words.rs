//! Instructions over words of the stack.

use super::super::{
    ir::{Binary, Environment, Expression, Ternary, Unary, Value},
    opcode::{Kind, exchange_operands, single_operand},
};
use super::{Flow, TraceBuilder, sections::paid_ahead};
use revm::primitives::U256;

impl TraceBuilder<'_, '_> {
    pub(super) fn pop(&mut self) -> Value {
        self.stack.pop(&mut self.values)
    }

    pub(super) fn push_constant(&mut self, constant: U256) {
        let value = self.values.constant(constant);
        self.stack.push(value);
    }

    pub(super) fn duplicate(&mut self, depth: u16) {
        let value = self.stack.peek(depth - 1, &mut self.values);
        self.stack.push(value);
    }

    pub(super) fn by_immediate(&mut self, kind: Kind, opcode: u8, pc: usize) -> Flow {
        let immediate = self.analyser.contract.opcode(pc + 1);
        match (kind, single_operand(immediate), exchange_operands(immediate)) {
            (Kind::DupN, Some(depth), _) => self.duplicate(depth),
            (Kind::SwapN, Some(depth), _) => self.stack.exchange(0, depth, &mut self.values),
            (Kind::Exchange, _, Some((first, second))) => {
                self.stack.exchange(first, second, &mut self.values);
            }
            _ => {
                self.section.gas -= self.analyser.contract.rules().static_gas(opcode) as u32;
                self.pc = pc;
                return self.exit(opcode);
            }
        }
        self.pc += 1;
        Flow::On
    }

    pub(super) fn unary(&mut self, operation: Unary) {
        let a = self.pop();
        let value = self.values.unary(operation, a);
        self.stack.push(value);
    }

    pub(super) fn binary(&mut self, operation: Binary) {
        let (a, b) = (self.pop(), self.pop());
        let known = self.values.len();
        let value = self.values.binary(operation, a, b);
        if value.0 as usize >= known {
            self.note_decrement(value);
        }
        self.stack.push(value);
    }

    pub(super) fn note_decrement(&mut self, value: Value) {
        if let Expression::Binary(Binary::Add, base, added) = self.values.expression(value)
            && self.values.as_constant(added) == Some(U256::MAX)
            && self.not_zero.contains(&base)
        {
            self.values.set_decrement(value, self.values.width(base));
        }
    }

    pub(super) fn ternary(&mut self, operation: Ternary) {
        let (a, b, modulus) = (self.pop(), self.pop(), self.pop());
        let value = self.values.ternary(operation, a, b, modulus);
        self.stack.push(value);
    }

    pub(super) fn environment(&mut self, environment: Environment) {
        let value = self.values.number(Expression::Environment(environment));
        self.stack.push(value);
    }

    pub(super) fn gas_left(&mut self) {
        let number = self.next_number();
        let value = self.values.number(Expression::GasLeft {
            paid_ahead: 0,
            number,
        });
        self.section.gas_reads.push((value, self.section.gas));
        self.memory.read_what_growth_changes();
        self.stack.push(value);
    }

    pub(super) fn exponentiate(&mut self, opcode: u8, pc: usize) -> Flow {
        let base = self.stack.peek(0, &mut self.values);
        let exponent = self.stack.peek(1, &mut self.values);
        let constant = self.values.as_constant(exponent);
        let Some(gas) = constant.and_then(|exponent| self.exponent_gas(exponent)) else {
            self.by_table(opcode, pc);
            return Flow::On;
        };
        let value = match (self.values.as_constant(base), constant) {
            (Some(base), Some(exponent)) => self.values.constant(base.pow(exponent)),
            (None, Some(exponent)) if exponent == U256::from(2) => {
                self.values.binary(Binary::Mul, base, base)
            }
            (None, Some(U256::ONE)) => base,
            (None, Some(U256::ZERO)) => self.values.constant(U256::ONE),
            _ => {
                self.by_table(opcode, pc);
                return Flow::On;
            }
        };
        self.section.gas += gas;
        self.pop();
        self.pop();
        self.stack.push(value);
        Flow::On
    }

    pub(super) fn exponent_gas(&self, exponent: U256) -> Option<u32> {
        let params = self.analyser.contract.rules().gas_params();
        paid_ahead(params.exp_cost(exponent))
    }

    pub(super) fn hash_gas(&self, len: u32) -> Option<u32> {
        let params = self.analyser.contract.rules().gas_params();
        paid_ahead(params.keccak256_cost(len as usize))
    }
}
