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

    /// Loads, stores and copies around two bases that may meet, at a few distances that come again, overlap or wrap
    /// around. What is loaded goes into one word.
    pub(super) fn memory_medley(&mut self) {
        let distances = self.distances();
        self.value(1);
        self.second_base();
        self.first_base();
        let repeats = self.choices.percent(25);
        let start = self.code.label();
        if repeats {
            // The word of what was loaded counts the rounds as well.
            self.code.destination(start);
        }
        for _ in 0..self.choices.between(3, 9) {
            let distance = *self.choices.pick(&distances);
            self.access_near(distance);
        }
        if repeats {
            // Something that ends it.
            self.op(GAS);
            self.mix_in();
            self.op(DUP3);
            self.push_number(3);
            self.op(AND);
            self.jump_if(start);
        }
        self.ops(&[POP, POP]);
    }

    /// A few, many of them a word or a byte less apart.
    fn distances(&mut self) -> Vec<U256> {
        let first = self.distance();
        let mut distances = vec![first];
        for _ in 0..self.choices.between(1, 3) {
            let apart = U256::from(*self.choices.pick(&[1, 31, 31, 32, 33]));
            let next = match self.choices.below(3) {
                0 => first.wrapping_add(apart),
                1 => first.wrapping_sub(apart),
                _ => self.distance(),
            };
            distances.push(next);
        }
        distances
    }

    fn first_base(&mut self) {
        if self.choices.percent(35) {
            let base = 64 + 32 * self.choices.below(4);
            self.push_number(base);
        } else {
            self.offset(2);
            // Far enough from zero for the negative distances.
            self.push_number(64);
            self.op(ADD);
        }
    }

    fn second_base(&mut self) {
        self.value(1);
        let mask = *self.choices.pick(&[0, 1, 0x1f, 0x20, 0x3f]);
        self.push_number(mask);
        self.op(AND);
        let base = 64 + 32 * self.choices.below(4);
        self.push_number(base);
        self.op(ADD);
    }

    fn distance(&mut self) -> U256 {
        match self.choices.below(7) {
            0 => U256::ZERO,
            1 => U256::from(32 * self.choices.below(4)),
            2 | 3 => U256::from(*self.choices.pick(&[1, 8, 16, 31, 33, 63])),
            4 => U256::from(self.choices.below(70)),
            5 => U256::ZERO.wrapping_sub(U256::from(*self.choices.pick(&[1, 31, 32, 33]))),
            _ => U256::ZERO.wrapping_sub(U256::from(self.choices.below(65))),
        }
    }

    /// Pushes one of the bases, which are below `above` words, plus a distance.
    fn near_base(&mut self, above: usize, distance: U256) {
        let base = self.choices.below(2);
        self.op(DUP1 + (above + base) as u8);
        self.push(distance);
        self.op(ADD);
    }

    /// With the word of what was loaded and two bases on the stack.
    fn access_near(&mut self, distance: U256) {
        match self.choices.below(12) {
            0..=3 => {
                self.near_base(0, distance);
                self.op(MLOAD);
                self.mix_in();
            }
            4 | 5 => {
                self.value(1);
                self.near_base(1, distance);
                self.op(MSTORE);
            }
            6 => {
                // What was loaded before goes back.
                self.op(DUP3);
                self.near_base(1, distance);
                self.op(MSTORE);
            }
            7 => {
                self.value(0);
                self.near_base(1, distance);
                self.op(MSTORE8);
            }
            8 => {
                let length = *self.choices.pick(&[1, 31, 32, 33, 64]);
                self.push_number(length);
                self.near_base(1, distance);
                self.op(KECCAK256);
                self.mix_in();
            }
            9 => self.copy_near(distance),
            10 => self.call_near(distance),
            _ => {
                self.op(MSIZE);
                self.mix_in();
            }
        }
    }

    /// Puts the top word into the one below the bases.
    fn mix_in(&mut self) {
        self.op(DUP4);
        self.push_number(3);
        let opcode = *self.choices.pick(&[ADD, XOR, SUB]);
        self.ops(&[MUL, opcode, SWAP3, POP]);
    }

    fn copy_near(&mut self, distance: U256) {
        let opcode = self.pick_opcode(&[CALLDATACOPY, MCOPY, MCOPY, CODECOPY]);
        let length = *self.choices.pick(&[1, 31, 32, 33, 64]);
        self.push_number(length);
        if opcode == MCOPY {
            let near = self.distance();
            self.near_base(1, near);
        } else {
            let from = self.choices.below(64);
            self.push_number(from);
        }
        self.near_base(2, distance);
        self.op(opcode);
    }

    /// The identity precompile writes what it reads.
    fn call_near(&mut self, distance: U256) {
        self.push_number(32);
        self.near_base(1, distance);
        self.push_number(32);
        let from = self.distance();
        self.near_base(3, from);
        self.push(U256::ZERO);
        self.push_number(4);
        self.op(GAS);
        self.ops(&[CALL, POP]);
    }

    /// Uses a word of memory, or its size, as an offset after it has changed: whoever reads it again reads another.
    pub(super) fn stale_pointer(&mut self) {
        let at = 32 * self.choices.below(4);
        self.push_number(32);
        let from = 32 * self.choices.below(4);
        self.push_number(from);
        self.push_number(at);
        self.op(CALLDATACOPY);
        match self.choices.below(4) {
            0 => {
                // Large until memory grows.
                self.op(MSIZE);
                self.push_number(at + 32);
                self.op(EQ);
                self.push(U256::ONE << 62);
                self.op(MUL);
                self.push(U256::ONE);
                self.push_number(at + 64);
                self.op(MSTORE);
            }
            1 => {
                self.push_number(32);
                self.push_number(at);
                self.op(KECCAK256);
            }
            _ => {
                self.push_number(at);
                self.op(MLOAD);
            }
        }
        if self.choices.percent(40) {
            // Large or small, as a bit decides.
            let bit = self.choices.below(40);
            self.push_number(bit);
            self.op(BYTE);
            let high = *self.choices.pick(&[20, 32, 62, 64, 200]);
            self.push(U256::ONE << high);
            self.op(MUL);
        }
        self.push_number(self.height);
        let shift = *self.choices.pick(&[0, 0, 1, 31]);
        self.push_number(at + shift);
        let opcode = *self.choices.pick(&[MSTORE, MSTORE, MSTORE8]);
        self.op(opcode);
        if self.choices.percent(30) {
            self.value(1);
            self.offset(1);
            self.op(MSTORE);
        }
        match self.choices.below(3) {
            0 => self.op(MLOAD),
            1 => {
                self.push(U256::ONE);
                self.ops(&[SWAP1, MSTORE]);
            }
            _ => {
                self.push_number(32);
                self.ops(&[SWAP1, KECCAK256]);
            }
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
