//! Traces that come back to their start: words that stay in registers from round to round.

use super::{
    assembler::Label,
    encoding::{RAX, Reg},
    limbs::{Limb, stack_word},
    trace::Emitter,
};
use crate::analysis::ir::{Value, Write};

impl Emitter<'_> {
    /// Loads what the loop carries. Returns the start of its rounds.
    pub(super) fn begin_rounds(&mut self) -> Label {
        self.carried.clear();
        for carried in &self.trace.carried {
            let word = stack_word(carried.position);
            let registers = std::array::from_fn(|limb| {
                let reg = self.places.add_register(carried.before);
                self.asm.mov(reg, word.plus(8 * limb as i32));
                reg
            });
            self.carried.push(registers);
        }
        self.asm.here()
    }

    pub(super) fn is_carried(&self, value: Value) -> bool {
        self.trace.carried.iter().any(|carried| carried.before == value)
    }

    /// Goes to the next round.
    pub(super) fn repeat(&mut self, writes: &[Write], start: Label) {
        // What is carried on must not be lost by the writes: it counts as needed behind them.
        self.at -= 1;
        for write in writes {
            self.keep_without(write.position);
            self.places.forget_memory(write.position);
        }
        self.at += 1;
        self.write_aside(writes);
        let mut moves = Vec::with_capacity(4 * self.carried.len());
        for (carried, registers) in self.trace.carried.iter().zip(&self.carried) {
            for (index, &register) in registers.iter().enumerate() {
                moves.push((register, self.limb(carried.after, index)));
            }
        }
        self.move_together(moves);
        self.asm.jump(start);
    }

    /// Makes all moves as if at once. Overwrites rax.
    fn move_together(&mut self, mut moves: Vec<(Reg, Limb)>) {
        moves.retain(|&(to, from)| from != Limb::Reg(to));
        while !moves.is_empty() {
            let ready = moves
                .iter()
                .position(|&(to, _)| moves.iter().all(|&(_, from)| from != Limb::Reg(to)));
            match ready {
                Some(index) => {
                    let (to, from) = moves.swap_remove(index);
                    self.load(to, from);
                }
                None => {
                    // Only rings are left: one register of a ring waits in rax.
                    let (waiting, _) = moves[0];
                    self.asm.mov(RAX, waiting);
                    for (_, from) in &mut moves {
                        if *from == Limb::Reg(waiting) {
                            *from = Limb::Reg(RAX);
                        }
                    }
                }
            }
        }
    }
}
