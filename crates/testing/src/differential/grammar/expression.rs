//! Values: code that leaves one word on the stack.

use revm::{bytecode::opcode::*, primitives::U256};

use super::{contract::Generator, values};
use crate::differential::Case;

const BINARY: &[u8] = &[
    ADD, SUB, MUL, DIV, SDIV, MOD, SMOD, EXP, SIGNEXTEND, LT, GT, SLT, SGT, EQ, AND, OR, XOR, BYTE, SHL, SHR,
    SAR, ADD, SUB, MUL, AND, OR, SHL, SHR, LT, EQ,
];
const UNARY: &[u8] = &[ISZERO, NOT, CLZ, ISZERO];
const TERNARY: &[u8] = &[ADDMOD, MULMOD];
const ENVIRONMENT: &[u8] = &[
    CALLER,
    ADDRESS,
    ORIGIN,
    CALLVALUE,
    CALLDATASIZE,
    CODESIZE,
    GASPRICE,
    RETURNDATASIZE,
    COINBASE,
    TIMESTAMP,
    NUMBER,
    DIFFICULTY,
    GASLIMIT,
    CHAINID,
    SELFBALANCE,
    BASEFEE,
    BLOBBASEFEE,
    SLOTNUM,
    PC,
    MSIZE,
    GAS,
];
const LOOKUPS: &[u8] = &[BALANCE, EXTCODESIZE, EXTCODEHASH, BLOCKHASH, BLOBHASH];

impl Generator<'_, '_> {
    /// A value, with operands down to a depth.
    pub(super) fn value(&mut self, depth: usize) {
        let weights: &[u32] = match depth {
            0 => &[8, 6, 8, 3],
            _ => &[8, 6, 8, 3, 10, 6, 6, 2],
        };
        match self.choices.weighted(weights) {
            0 => self.constant(),
            1 => self.input_word(),
            2 => self.duplicate(),
            3 => {
                let opcode = self.pick_opcode(ENVIRONMENT);
                self.op(opcode);
            }
            4 => self.operation(depth - 1),
            5 => self.load(depth - 1),
            6 => self.narrow(depth - 1),
            _ => self.relatives(depth - 1),
        }
    }

    /// A value of few bits, as types shorter than a word have them.
    fn narrow(&mut self, depth: usize) {
        self.value(depth);
        let bits = *self.choices.pick(&[
            1, 8, 16, 32, 63, 64, 64, 65, 96, 127, 128, 128, 129, 160, 192, 193, 255,
        ]);
        if self.choices.percent(70) {
            self.push((U256::ONE << bits) - U256::ONE);
            self.op(AND);
        } else {
            self.push(U256::ONE << (256 - bits));
            self.ops(&[SWAP1, DIV]);
        }
    }

    /// Two values that are one value apart from a constant each.
    fn relatives(&mut self, depth: usize) {
        self.value(depth);
        self.op(DUP1);
        let (left, right) = (values::word(self.choices), values::word(self.choices));
        self.push(left);
        self.ops(&[ADD, SWAP1]);
        self.push(right);
        let first = *self.choices.pick(&[ADD, ADD, SUB]);
        let second = *self.choices.pick(&[SUB, SUB, LT, GT, EQ, SLT, XOR]);
        self.ops(&[first, second]);
    }

    /// A word of the call's input, also beyond its end.
    fn input_word(&mut self) {
        match self.choices.below(8) {
            0 => self.value(0),
            1 => {
                let offset = values::huge(self.choices);
                self.push(offset);
            }
            2 => {
                let offset = self.choices.below(200);
                self.push_number(offset);
            }
            _ => {
                let offset = 32 * self.choices.below(6);
                self.push_number(offset);
            }
        }
        self.op(CALLDATALOAD);
    }

    fn duplicate(&mut self) {
        match self.height {
            0 => self.constant(),
            height => {
                let word = self.choices.below(height.min(16));
                self.op(DUP1 + word as u8);
            }
        }
    }

    fn operation(&mut self, depth: usize) {
        match self.choices.below(10) {
            0 | 1 => {
                self.value(depth);
                let opcode = self.pick_opcode(UNARY);
                self.op(opcode);
            }
            2 => {
                self.value(depth);
                self.value(depth);
                self.value(depth);
                let opcode = *self.choices.pick(TERNARY);
                self.op(opcode);
            }
            _ => {
                let opcode = self.pick_opcode(BINARY);
                self.value(depth);
                self.first_operand(opcode, depth);
                self.op(opcode);
            }
        }
    }

    /// The operand on top: of shifts and the like often one that is near a limit.
    fn first_operand(&mut self, opcode: u8, depth: usize) {
        let special = match opcode {
            SHL | SHR | SAR => &[
                0, 1, 7, 8, 63, 64, 65, 96, 128, 160, 192, 224, 248, 254, 255, 256, 257,
            ][..],
            BYTE | SIGNEXTEND => &[0, 1, 7, 8, 15, 23, 29, 30, 31, 32, 33][..],
            _ => &[],
        };
        if special.is_empty() || self.choices.percent(40) {
            return self.value(depth);
        }
        let number = *self.choices.pick(special);
        self.push_number(number);
    }

    fn load(&mut self, depth: usize) {
        match self.choices.below(8) {
            0..=2 => {
                self.offset(depth);
                self.op(MLOAD);
            }
            3 => {
                self.key();
                self.op(SLOAD);
            }
            4 => {
                self.key();
                let opcode = self.pick_opcode(&[SLOAD, TLOAD]);
                self.op(opcode);
            }
            5 | 6 => {
                self.length();
                self.offset(depth);
                self.op(KECCAK256);
            }
            _ => {
                self.address();
                let opcode = self.pick_opcode(LOOKUPS);
                self.op(opcode);
            }
        }
    }

    /// A memory offset: constant, or computed and made small.
    pub(super) fn offset(&mut self, depth: usize) {
        if depth > 0 && self.choices.percent(35) {
            self.value(depth - 1);
            let mask = *self.choices.pick(&[0x1f, 0xe0, 0xff, 0x1e0, 0x3ff]);
            self.push_number(mask);
            self.op(AND);
        } else {
            let offset = values::offset(self.choices);
            self.push(offset);
        }
    }

    /// A length, in the same way.
    pub(super) fn length(&mut self) {
        if self.choices.percent(25) {
            self.value(0);
            let mask = *self.choices.pick(&[0x1f, 0x20, 0x7f]);
            self.push_number(mask);
            self.op(AND);
        } else {
            let length = values::length(self.choices);
            self.push(length);
        }
    }

    /// A storage key, one of few so that they meet again.
    pub(super) fn key(&mut self) {
        match self.choices.below(6) {
            0 => self.value(0),
            1 => {
                self.value(0);
                self.push_number(3);
                self.op(AND);
            }
            _ => {
                let key = self.choices.below(4);
                self.push_number(key);
            }
        }
    }

    /// An address: of a contract, of this one, of a precompile, or any.
    pub(super) fn address(&mut self) {
        match self.choices.below(10) {
            0..=4 => {
                let index = self.choices.below(self.contracts);
                self.push(U256::from_be_slice(Case::address(index).as_slice()));
            }
            5 => self.op(ADDRESS),
            6 => self.op(CALLER),
            7 => {
                let number = self.choices.between(0, 20);
                self.push_number(number);
            }
            8 => {
                // The high bits are ignored.
                let index = self.choices.below(self.contracts);
                let address = U256::from_be_slice(Case::address(index).as_slice());
                let high = U256::from(self.choices.any()) << 160;
                self.push(address | high);
            }
            _ => self.value(0),
        }
    }

    /// One more word on the stack.
    pub(super) fn keep(&mut self) {
        let depth = self.choices.between(1, 3);
        self.value(depth);
    }

    /// One word less.
    pub(super) fn drop_word(&mut self) {
        if self.free_words() > 0 {
            self.op(POP);
        }
    }

    pub(super) fn shuffle(&mut self) {
        let free = self.free_words();
        if free >= 2 && self.choices.percent(70) {
            let word = self.choices.below((free - 1).min(16));
            self.op(SWAP1 + word as u8);
        } else {
            self.duplicate();
        }
    }

    /// Operates on what is on the stack already, perhaps since an earlier block.
    pub(super) fn operate(&mut self) {
        match self.free_words() {
            0 => self.keep(),
            1 => {
                self.value(1);
                if self.choices.percent(50) {
                    self.op(SWAP1);
                }
                let opcode = self.pick_opcode(BINARY);
                self.op(opcode);
            }
            words => match self.choices.below(6) {
                0 => {
                    let opcode = self.pick_opcode(UNARY);
                    self.op(opcode);
                }
                1 if words > 2 => {
                    let opcode = *self.choices.pick(TERNARY);
                    self.op(opcode);
                }
                _ => {
                    let opcode = self.pick_opcode(BINARY);
                    self.op(opcode);
                }
            },
        }
    }

    /// A condition: often a comparison, sometimes constant.
    pub(super) fn condition(&mut self) {
        match self.choices.below(8) {
            0 => {
                let constant = *self.choices.pick(&[0, 1, 2]);
                self.push_number(constant);
            }
            1 => self.value(2),
            2 | 3 => {
                self.value(1);
                self.op(ISZERO);
                if self.choices.percent(50) {
                    self.op(ISZERO);
                }
            }
            _ => {
                self.value(1);
                self.value(1);
                let opcode = *self.choices.pick(&[LT, GT, SLT, SGT, EQ, SUB, XOR, AND]);
                self.op(opcode);
                if self.choices.percent(30) {
                    self.op(ISZERO);
                }
            }
        }
    }
}
