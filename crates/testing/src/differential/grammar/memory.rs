//! Statements about memory, storage and logs.

use revm::{bytecode::opcode::*, primitives::U256};

use super::contract::Generator;

impl Generator<'_, '_> {
    /// Writes a value to memory.
    pub(super) fn store(&mut self) {
        self.value(2);
        self.offset(2);
        let opcode = *self.choices.pick(&[MSTORE, MSTORE, MSTORE, MSTORE8]);
        self.op(opcode);
    }

    /// Loads and stores around one base that is not constant, at distances that overlap or wrap around.
    pub(super) fn store_nearby(&mut self) {
        self.offset(2);
        // Far enough from zero for the negative distances.
        self.push_number(64);
        self.op(ADD);
        for _ in 0..self.choices.between(2, 6) {
            let distance = self.distance();
            if self.choices.percent(40) {
                self.op(DUP1);
                self.push(distance);
                self.ops(&[ADD, MLOAD, SWAP1]);
                continue;
            }
            self.value(1);
            self.ops(&[DUP2]);
            self.push(distance);
            let opcode = *self.choices.pick(&[MSTORE, MSTORE, MSTORE8]);
            self.ops(&[ADD, opcode]);
        }
        self.op(POP);
    }

    fn distance(&mut self) -> U256 {
        match self.choices.below(6) {
            0 => U256::ZERO,
            1 => U256::from(32 * self.choices.below(6)),
            2 | 3 => U256::from(self.choices.below(70)),
            _ => U256::ZERO.wrapping_sub(U256::from(self.choices.below(65))),
        }
    }

    /// Copies into memory.
    pub(super) fn copy(&mut self) {
        let opcode = self.pick_opcode(&[CALLDATACOPY, CODECOPY, EXTCODECOPY, MCOPY, MCOPY, RETURNDATACOPY]);
        match opcode {
            RETURNDATACOPY => self.copy_return_data(),
            _ => {
                self.length();
                self.offset(1);
                self.offset(1);
            }
        }
        if opcode == EXTCODECOPY {
            self.address();
        }
        self.op(opcode);
    }

    /// Out of range it halts, so it usually stays within.
    fn copy_return_data(&mut self) {
        match self.choices.below(4) {
            0 => {
                self.length();
                self.offset(0);
            }
            1 => {
                self.op(RETURNDATASIZE);
                self.push(U256::ZERO);
            }
            _ => {
                self.push(U256::ZERO);
                self.op(RETURNDATASIZE);
            }
        }
        self.offset(1);
    }

    pub(super) fn write_state(&mut self) {
        self.value(2);
        self.key();
        let opcode = self.pick_opcode(&[SSTORE, SSTORE, TSTORE]);
        self.op(opcode);
    }

    pub(super) fn log(&mut self) {
        let topics = self.choices.below(5);
        for _ in 0..topics {
            self.value(1);
        }
        self.length();
        self.offset(1);
        self.op(LOG0 + topics as u8);
    }

    /// Offsets and lengths that cannot be paid for, or only just.
    pub(super) fn huge_memory(&mut self) {
        let offset = super::values::huge(self.choices);
        match self.choices.below(6) {
            0 => {
                self.push(offset);
                self.op(MLOAD);
            }
            1 => {
                self.value(1);
                self.push(offset);
                let opcode = *self.choices.pick(&[MSTORE, MSTORE8]);
                self.op(opcode);
            }
            2 => {
                self.length();
                self.push(offset);
                self.op(KECCAK256);
            }
            3 => {
                self.push(offset);
                self.offset(1);
                self.op(KECCAK256);
            }
            4 => {
                self.length();
                self.push(offset);
                self.offset(1);
                let opcode = self.pick_opcode(&[CALLDATACOPY, CODECOPY, MCOPY, RETURNDATACOPY]);
                self.op(opcode);
            }
            _ => {
                self.length();
                self.push(offset);
                self.op(LOG0);
            }
        }
    }
}
