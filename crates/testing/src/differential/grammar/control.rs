//! Statements about where the program goes on: branches and functions.

use revm::{bytecode::opcode::*, primitives::U256};

use super::contract::Generator;

/// Blocks within blocks.
pub(super) const NESTING_MAX: usize = 4;

impl Generator<'_, '_> {
    /// Runs a block if a condition does not hold.
    pub(super) fn branch(&mut self) {
        if self.nesting >= NESTING_MAX {
            return self.keep();
        }
        let end = self.code.label();
        self.condition();
        self.jump_if(end);
        self.block(4);
        if self.choices.percent(4) {
            // The two ways meet with different heights.
            self.constant();
            self.height -= 1;
        }
        self.code.destination(end);
    }

    pub(super) fn two_branches(&mut self) {
        if self.nesting >= NESTING_MAX {
            return self.operate();
        }
        let (other, end) = (self.code.label(), self.code.label());
        let grows = self.choices.below(2);
        self.condition();
        self.jump_if(other);
        let height = self.height;
        self.block(3);
        self.restore_height(height + grows);
        self.jump(end);
        self.height = height;
        self.code.destination(other);
        self.block(3);
        self.restore_height(height + grows);
        self.code.destination(end);
    }

    /// Calls a function: return address, arguments, jump.
    pub(super) fn call_function(&mut self) {
        let first = self.function.map_or(0, |function| function + 1);
        if first >= self.functions.len() {
            return self.operate();
        }
        let index = self.choices.between(first, self.functions.len() - 1);
        let function = self.functions[index];
        let back = self.code.label();
        let height = self.height;
        self.push_label(back);
        for _ in 0..function.arguments {
            self.value(1);
        }
        self.jump(function.entry);
        self.code.destination(back);
        self.height = height + function.results;
    }

    /// Leaves the function before its end, on a condition.
    pub(super) fn return_early(&mut self) {
        let Some(index) = self.function else {
            return self.keep();
        };
        let end = self.code.label();
        self.condition();
        self.jump_if(end);
        let height = self.height;
        self.return_from(self.functions[index]);
        self.height = height;
        self.code.destination(end);
    }

    /// A function that calls itself a few times.
    pub(super) fn recursion(&mut self) {
        let (entry, back, base, after) = (
            self.code.label(),
            self.code.label(),
            self.code.label(),
            self.code.label(),
        );
        let height = self.height;
        self.push_label(after);
        self.trip_count();
        self.jump(entry);
        self.code.destination(entry);
        self.ops(&[DUP1, ISZERO]);
        self.jump_if(base);
        self.push_label(back);
        self.op(DUP2);
        self.push(U256::ONE);
        self.ops(&[SWAP1, SUB]);
        self.jump(entry);
        self.code.destination(back);
        let opcode = *self.choices.pick(&[ADD, MUL, XOR, SUB]);
        self.op(opcode);
        self.code.destination(base);
        self.ops(&[SWAP1, JUMP]);
        self.code.destination(after);
        self.height = height + 1;
    }

    /// One of several ways, by comparing or by a computed address.
    pub(super) fn switch(&mut self) {
        let ways: Vec<_> = (0..*self.choices.pick(&[2, 4]))
            .map(|_| self.code.label())
            .collect();
        let end = self.code.label();
        self.value(1);
        self.push_number(ways.len() - 1);
        self.op(AND);
        match self.choices.below(3) {
            0 => {
                for (number, way) in ways.iter().enumerate() {
                    self.op(DUP1);
                    self.push_number(number);
                    self.op(EQ);
                    self.jump_if(*way);
                }
                self.op(POP);
                self.jump(end);
                // Each way finds the number still on the stack.
                for way in &ways {
                    self.code.destination(*way);
                    self.height += 1;
                    self.op(POP);
                    self.operate_in_place();
                    self.jump(end);
                }
            }
            1 => {
                // The table is a constant, two bytes a way.
                self.push_number(16);
                self.op(MUL);
                self.code.push_labels(&ways, 2 * ways.len());
                self.height += 1;
                self.shift_right();
                self.push_number(0xffff);
                self.ops(&[AND, JUMP]);
                for way in &ways {
                    self.code.destination(*way);
                    self.operate_in_place();
                    self.jump(end);
                }
            }
            _ => self.equal_strides(&ways),
        }
        self.code.destination(end);
    }

    /// Shifts the top word right by the number below it, in every fork.
    fn shift_right(&mut self) {
        if self.active(SHR) {
            self.ops(&[SWAP1, SHR]);
        } else {
            self.ops(&[SWAP1]);
            self.push_number(2);
            self.ops(&[EXP, SWAP1, DIV]);
        }
    }

    /// Jumps to the first way plus a multiple of the ways' length, and ends the last where it falls through.
    fn equal_strides(&mut self, ways: &[super::assembler::Label]) {
        let end = self.code.label();
        // JUMPDEST, PUSH1, PUSH2, JUMP.
        self.push_number(1 + 2 + 3 + 1);
        self.op(MUL);
        self.push_label(ways[0]);
        self.ops(&[ADD, JUMP]);
        for way in ways {
            self.code.destination(*way);
            let number = self.choices.below(256);
            self.code.push(U256::from(number), 1);
            self.code.push_labels(&[end], 2);
            self.code.op(JUMP);
        }
        self.code.destination(end);
        self.height += 1;
    }

    fn operate_in_place(&mut self) {
        if self.free_words() > 0 {
            let opcode = *self.choices.pick(&[NOT, ISZERO]);
            self.op(opcode);
        }
    }

    /// A jump whose destination is one of two, by arithmetic or by way of memory.
    pub(super) fn chosen_jump(&mut self) {
        let (left, right, end) = (self.code.label(), self.code.label(), self.code.label());
        if self.choices.percent(30) {
            self.push_label(left);
            self.push_number(0x80);
            self.op(MSTORE);
            self.push_number(0x80);
            self.ops(&[MLOAD, JUMP]);
        } else if self.choices.percent(40) {
            // A destination only if the bits above it are zero.
            let word = self.choices.between(1, 5);
            let high = *self.choices.pick(&[16, 32, 63, 64, 65, 128, 192, 255]);
            self.push_number(32 * word);
            self.op(CALLDATALOAD);
            self.push(U256::ONE << high);
            self.op(AND);
            self.push_label(left);
            self.ops(&[OR, JUMP]);
        } else {
            self.condition();
            self.ops(&[ISZERO, DUP1, ISZERO]);
            self.push_label(left);
            self.ops(&[MUL, SWAP1]);
            self.push_label(right);
            self.ops(&[MUL, ADD, JUMP]);
        }
        let height = self.height;
        self.code.destination(left);
        self.keep();
        self.jump(end);
        self.height = height;
        self.code.destination(right);
        self.constant();
        self.code.destination(end);
    }

    /// A jump destination that is also reached from above.
    pub(super) fn fall_through(&mut self) {
        let label = self.code.label();
        if self.choices.percent(50) {
            self.jump(label);
        }
        self.code.destination(label);
    }

    /// Looks at the gas that is left, and at memory's size, in the middle of things.
    pub(super) fn pay_attention_to_gas(&mut self) {
        self.op(GAS);
        self.value(2);
        let opcode = *self.choices.pick(&[GAS, MSIZE, PC]);
        self.op(opcode);
        let opcode = *self.choices.pick(&[XOR, ADD, SUB]);
        self.ops(&[opcode, XOR]);
    }
}
