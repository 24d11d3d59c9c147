//! Statements that no compiler would write. Most of them end the frame, so they usually hide behind a condition.

use revm::{bytecode::opcode::*, primitives::U256};

use super::contract::Generator;

/// Opcodes that no fork has.
const UNDEFINED: &[u8] = &[
    0x0c, 0x1f, 0x21, 0x4c, 0xa5, 0xb0, 0xc0, 0xd0, 0xe0, 0xef, 0xf6, 0xfb,
];

/// Words that the program itself has on the stack at most when it fills it.
const HEIGHT_GUESSED: usize = 64;

impl Generator<'_, '_> {
    /// A statement that a run passes by unless a condition holds.
    pub(super) fn guarded(&mut self, statement: fn(&mut Self)) {
        if self.choices.percent(10) {
            return statement(self);
        }
        let end = self.code.label();
        self.condition();
        if self.choices.percent(70) {
            self.input_bit();
            self.op(AND);
        }
        self.op(ISZERO);
        self.jump_if(end);
        let height = self.height;
        statement(self);
        self.height = self.height.max(height);
        self.restore_height(height);
        self.code.destination(end);
    }

    fn input_bit(&mut self) {
        let bit = self.choices.below(256);
        let word = self.choices.below(3);
        self.push(U256::ONE << bit);
        self.push_number(32 * word);
        self.ops(&[CALLDATALOAD, AND, ISZERO]);
    }

    /// Ends the frame.
    pub(super) fn terminate(&mut self) {
        let opcode = self.pick_opcode(&[STOP, RETURN, REVERT, INVALID, SELFDESTRUCT]);
        match opcode {
            RETURN | REVERT => {
                self.length();
                self.offset(2);
            }
            SELFDESTRUCT => self.address(),
            _ => {}
        }
        self.op(opcode);
    }

    /// A jump to where none may go, or one that is not taken.
    pub(super) fn odd_jump(&mut self) {
        let label = self.code.label();
        match self.choices.below(8) {
            7 => {
                // The low bits are those of a destination, the high ones come from outside.
                let word = self.choices.below(3);
                let high = *self.choices.pick(&[16, 32, 63, 64, 65, 128, 255]);
                self.push_label(label);
                self.push_number(32 * word);
                self.op(CALLDATALOAD);
                self.push(U256::ONE << high);
                self.ops(&[AND, OR, JUMP]);
                self.code.destination(label);
            }
            0 => {
                // Into the immediate of a PUSH that looks like a jump destination.
                self.code.push_labels(&[label], 2);
                self.op(JUMP);
                self.code.op(PUSH3);
                self.code.mark(label);
                self.code.raw(&[JUMPDEST; 3]);
                self.op(POP);
            }
            1 => {
                // To an instruction that is no destination.
                self.push_label(label);
                self.op(JUMP);
                self.code.mark(label);
                self.op(PC);
            }
            2 => {
                // The low bits are those of a destination.
                let high = *self.choices.pick(&[16, 32, 63, 64, 128, 255]);
                self.push_label(label);
                self.push(U256::ONE << high);
                self.ops(&[OR, JUMP]);
                self.code.destination(label);
            }
            3 => {
                let target = super::values::word(self.choices);
                self.push(target);
                self.op(JUMP);
            }
            4 => {
                // Nobody looks at the destination of a jump that is not taken.
                self.push(U256::ZERO);
                let target = super::values::huge(self.choices);
                self.push(target);
                self.op(JUMPI);
            }
            5 => {
                self.condition();
                let target = super::values::word(self.choices);
                self.push(target);
                self.op(JUMPI);
            }
            _ => {
                self.value(2);
                self.op(JUMP);
            }
        }
    }

    /// Anything.
    pub(super) fn raw(&mut self) {
        match self.choices.below(3) {
            0 => {
                let opcode = *self.choices.pick(UNDEFINED);
                self.op(opcode);
            }
            1 => {
                let opcode = self.choices.below(256) as u8;
                self.op(opcode);
            }
            _ => {
                let count = self.choices.below(8);
                let bytes = self.choices.bytes(count);
                self.code.raw(&bytes);
            }
        }
    }

    /// A loop that leaves, or takes, a word each round, until the stack is full or empty.
    pub(super) fn runaway_stack(&mut self) {
        let start = self.code.label();
        let height = self.height;
        if self.choices.percent(70) {
            for _ in 0..self.choices.between(1, 3) {
                self.constant();
            }
            self.code.destination(start);
            for _ in 0..self.choices.between(1, 20) {
                self.op(DUP1);
            }
            if self.choices.percent(50) {
                // Stops near the limit, on one side of it or the other.
                self.ops(&[ADDRESS, POP]);
            }
        } else {
            self.code.destination(start);
            let opcode = *self.choices.pick(&[POP, ADD, MSTORE, ADDMOD, SWAP3]);
            self.op(opcode);
        }
        self.jump(start);
        self.height = height;
    }

    /// Words that nobody looks at, until there is room for a few more only.
    pub(super) fn fill_stack(&mut self) {
        if self.nesting > 0 || self.function.is_some() || self.choices.percent(50) {
            return self.operate();
        }
        let start = self.code.label();
        let room = self.choices.below(10);
        let words = 1024 - room - self.height.min(HEIGHT_GUESSED);
        self.push_number(words);
        self.code.destination(start);
        let opcode = *self.choices.pick(&[DUP1, CALLER, DUP1]);
        self.op(opcode);
        self.op(SWAP1);
        self.push(U256::ONE);
        self.ops(&[SWAP1, SUB, DUP1]);
        self.jump_if(start);
        self.op(POP);
        self.height -= 1;
    }

    /// Words as deep as DUPN, SWAPN and EXCHANGE reach.
    pub(super) fn deep_stack(&mut self) {
        if self.spec < revm::primitives::hardfork::SpecId::AMSTERDAM && self.choices.percent(80) {
            return self.shuffle();
        }
        let words = self.choices.between(15, 60);
        for word in 0..words {
            match word % 8 {
                0 => self.value(0),
                _ => self.push_number(word),
            }
        }
        for _ in 0..self.choices.between(1, 5) {
            let opcode = *self.choices.pick(&[DUPN, SWAPN, EXCHANGE, DUP16, SWAP16]);
            self.op(opcode);
            if matches!(opcode, DUPN | SWAPN | EXCHANGE) {
                let reach = match self.choices.percent(85) {
                    // 145 less than the depth, modulo 256; depths start at 17.
                    true => 128 + self.choices.below(words.max(18) - 17),
                    false => self.choices.below(256),
                };
                self.code.raw(&[reach as u8]);
            }
        }
        for _ in 0..words - 1 {
            let opcode = *self.choices.pick(&[XOR, ADD, POP]);
            self.op(opcode);
        }
    }

    /// Bytes that no run reaches, among them jump destinations and PUSHes that swallow what follows.
    pub(super) fn dead_code(&mut self) {
        let end = self.code.label();
        self.jump(end);
        let count = self.choices.below(12);
        let bytes = self.choices.bytes(count);
        self.code.raw(&bytes);
        // So that the destination is one.
        self.code.raw(&[JUMPDEST; 33]);
        self.code.destination(end);
    }
}
