//! Statements that start another frame.

use revm::{bytecode::opcode::*, primitives::U256};

use super::{contract::Generator, values};

impl Generator<'_, '_> {
    /// Calls a contract, often with what is in memory.
    pub(super) fn call_contract(&mut self) {
        let opcode = self.pick_opcode(&[CALL, CALL, DELEGATECALL, STATICCALL, CALLCODE]);
        if self.choices.percent(30) {
            self.value(1);
            self.offset(0);
            self.op(MSTORE);
        }
        self.length();
        self.offset(1);
        self.length();
        self.offset(1);
        if matches!(opcode, CALL | CALLCODE) {
            self.call_value();
        }
        self.address();
        self.call_gas();
        self.op(opcode);
        match self.choices.below(4) {
            0 => self.op(POP),
            1 if self.active(RETURNDATASIZE) => self.ops(&[RETURNDATASIZE, XOR]),
            _ => {}
        }
    }

    fn call_value(&mut self) {
        match self.choices.below(8) {
            0 => self.push(U256::ONE),
            1 => self.op(CALLVALUE),
            2 => self.value(0),
            _ => self.push(U256::ZERO),
        }
    }

    fn call_gas(&mut self) {
        match self.choices.below(8) {
            0..=2 => self.op(GAS),
            3 => {
                let gas = self.choices.below(3_000);
                self.push_number(gas);
            }
            4 => {
                let gas = self.choices.below(40_000);
                self.push_number(gas);
            }
            5 => {
                // More than there is fails in old forks and means all but a 64th in others.
                let gas = values::huge(self.choices);
                self.push(gas);
            }
            6 => self.push(U256::ZERO),
            _ => {
                self.op(GAS);
                self.push_number(4);
                self.ops(&[SWAP1, DIV]);
            }
        }
    }

    /// Creates a contract from code behind the program, and perhaps calls it.
    pub(super) fn create(&mut self) {
        if self.created {
            return self.operate();
        }
        let code = self.initialisation_code();
        let length = code.len();
        let label = self.code.label();
        self.data.push((label, code));
        self.push_number(length);
        self.push_label(label);
        let offset = values::offset(self.choices);
        self.push(offset);
        self.op(CODECOPY);
        let opcode = self.pick_opcode(&[CREATE, CREATE2]);
        if opcode == CREATE2 {
            self.value(0);
        }
        self.push_number(length);
        self.push(offset);
        self.call_value();
        self.op(opcode);
        if self.choices.percent(50) {
            let height = self.height;
            for _ in 0..5 {
                self.push(U256::ZERO);
            }
            self.ops(&[DUP6, GAS, CALL, XOR]);
            self.height = height;
        }
    }

    /// Code that runs as a contract is created: a program, or the usual code that returns what lies behind it.
    fn initialisation_code(&mut self) -> Vec<u8> {
        let statements = self.choices.between(1, 4);
        let mut inner = Generator::new(self.choices, self.spec, self.contracts);
        inner.created = true;
        let program = inner.program(statements);
        if self.choices.percent(50) {
            return program;
        }
        let mut code = super::assembler::Assembler::default();
        let start = code.label();
        code.push(U256::from(program.len()), 2);
        code.push_labels(&[start], 2);
        code.push(U256::ZERO, 1);
        code.op(CODECOPY);
        code.push(U256::from(program.len()), 2);
        code.push(U256::ZERO, 1);
        code.op(RETURN);
        code.mark(start);
        code.raw(&program);
        code.finish()
    }
}
