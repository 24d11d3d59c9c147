//! Statements that repeat.

use revm::{bytecode::opcode::*, primitives::U256};

use super::{contract::Generator, control::NESTING_MAX};

impl Generator<'_, '_> {
    /// How often a loop runs: a small constant, or part of a value.
    pub(super) fn trip_count(&mut self) {
        if self.choices.percent(60) {
            let count = self.choices.between(1, 9);
            self.push_number(count);
        } else {
            self.value(1);
            let mask = *self.choices.pick(&[3, 7, 15]);
            self.push_number(mask);
            self.op(AND);
        }
    }

    /// A loop with its counter on the stack, counting up or down.
    pub(super) fn counted_loop(&mut self) {
        if self.nesting >= NESTING_MAX {
            return self.operate();
        }
        let (start, end) = (self.code.label(), self.code.label());
        let floor = self.floor;
        let down = self.choices.percent(50);
        if down {
            self.trip_count();
        } else {
            self.push(U256::ZERO);
        }
        self.floor = if self.choices.percent(95) {
            self.height
        } else {
            floor
        };
        let height = self.height;
        self.code.destination(start);
        self.op(DUP1);
        if !down {
            self.trip_count();
            self.op(GT);
        }
        self.op(ISZERO);
        self.jump_if(end);
        self.block(4);
        self.restore_height(height);
        if down {
            self.push(U256::ONE);
            self.ops(&[SWAP1, SUB]);
        } else {
            let step = self.choices.between(1, 2);
            self.push_number(step);
            self.op(ADD);
        }
        self.jump(start);
        self.code.destination(end);
        self.floor = floor;
        if self.choices.percent(70) {
            self.op(POP);
        }
    }

    /// A loop that changes a few words on the stack from one round to the next.
    pub(super) fn loop_with_values(&mut self) {
        if self.nesting >= NESTING_MAX || self.height > 8 {
            return self.operate();
        }
        let start = self.code.label();
        let floor = self.floor;
        self.trip_count();
        self.push(U256::ONE);
        self.op(ADD);
        self.floor = self.height;
        let words = self.choices.between(1, 4);
        for _ in 0..words {
            self.value(1);
        }
        let height = self.height;
        let swap = SWAP1 + words as u8 - 1;
        let end = self.code.label();
        let tests_first = self.choices.percent(50);
        self.code.destination(start);
        if tests_first {
            self.ops(&[DUP1 + words as u8, ISZERO]);
            self.jump_if(end);
        }
        for _ in 0..self.choices.between(1, 4) {
            match self.choices.below(10) {
                0 | 1 => self.operate(),
                2 | 3 => self.access_by_word(words),
                4..=7 => self.replace_word(words),
                _ => self.statement(),
            }
            if self.choices.percent(12) {
                // Another way out, with the words as they are here.
                self.restore_height(height);
                self.condition();
                self.jump_if(end);
            }
        }
        self.restore_height(height);
        self.op(swap);
        self.push(U256::ONE);
        self.ops(&[SWAP1, SUB, swap]);
        if tests_first {
            self.jump(start);
        } else {
            self.op(DUP1 + words as u8);
            self.jump_if(start);
        }
        self.code.destination(end);
        self.floor = floor;
        if self.choices.percent(50) {
            self.op(swap);
            self.op(POP);
        }
    }

    /// Accesses memory at an offset that one of the top words decides.
    fn access_by_word(&mut self, words: usize) {
        let (word, stored) = (self.choices.below(words), self.choices.below(words));
        let mask = *self.choices.pick(&[0x1f, 0x60, 0x1ff, 0x7ff, 0x1fff]);
        let is_load = self.choices.percent(40);
        if !is_load {
            self.op(DUP1 + stored as u8);
        }
        self.op(DUP1 + (word + usize::from(!is_load)) as u8);
        self.push_number(mask);
        self.op(AND);
        if is_load {
            let replaced = self.choices.below(words);
            self.ops(&[MLOAD, SWAP1 + replaced as u8, POP]);
        } else {
            let opcode = *self.choices.pick(&[MSTORE, MSTORE8]);
            self.op(opcode);
        }
    }

    /// Moves one of the top words, or computes it anew of two of them.
    fn replace_word(&mut self, words: usize) {
        if words > 1 && self.choices.percent(45) {
            let other = self.choices.between(1, words - 1);
            self.op(SWAP1 + other as u8 - 1);
            return;
        }
        let (left, right) = (self.choices.below(words), self.choices.below(words));
        self.op(DUP1 + left as u8);
        self.op(DUP2 + right as u8);
        let opcode = self.pick_opcode(&[ADD, MUL, SUB, XOR, AND, LT, DIV, SHR, SHL, EQ, SLT, OR]);
        self.op(opcode);
        let replaced = self.choices.below(words);
        self.op(SWAP1 + replaced as u8);
        self.op(POP);
    }

    /// One block that jumps back to itself.
    pub(super) fn self_loop(&mut self) {
        let start = self.code.label();
        self.trip_count();
        self.code.destination(start);
        self.push(U256::ONE);
        self.ops(&[SWAP1, SUB]);
        match self.choices.below(4) {
            0 => self.ops(&[DUP1, DUP1, MSTORE]),
            1 => self.ops(&[DUP1, MLOAD, POP]),
            2 => self.ops(&[DUP1, GAS, XOR, POP]),
            _ => {}
        }
        self.op(DUP1);
        // A count of zero wraps around: at the latest after so many rounds it stops.
        self.push_number(0x1f);
        self.ops(&[AND]);
        self.jump_if(start);
        self.op(POP);
    }
}
