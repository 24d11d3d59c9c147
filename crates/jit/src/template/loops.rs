//! Traces that come back to their start: words that stay in registers from round to round.

use super::{
    assembler::{Label, Part},
    encoding::{RAX, Reg},
    limbs::{Limb, stack_word},
    scalar::{Alu, Condition, Shift},
    trace::Emitter,
};
use crate::analysis::ir::{Carried, CarriedKind, Value, Write};

/// A counter below this many bits can be added to without leaving its register.
const COUNTER_BITS: u16 = 63;

impl Emitter<'_> {
    pub(super) fn has_counters(&self) -> bool {
        self.trace
            .carried
            .iter()
            .any(|carried| carried.kind == CarriedKind::Counter)
    }

    /// Goes elsewhere if a counter of the loop is too wide to be in one register.
    pub(super) fn check_counters(&mut self, otherwise: Label) {
        for carried in &self.trace.carried {
            if carried.kind == CarriedKind::Counter {
                let word = stack_word(carried.position);
                self.asm.mov(RAX, word);
                self.asm.shift(Shift::Right, RAX, COUNTER_BITS as u8);
                for limb in 1..4 {
                    self.asm.alu(Alu::Or, RAX, word.plus(8 * limb));
                }
                self.asm.jump_if(Condition::NotZero, otherwise);
            }
        }
    }

    fn is_kept(&self, carried: &Carried) -> bool {
        carried.kind == CarriedKind::Word || self.counting.is_some()
    }

    /// Loads what the loop carries. Returns the start of its rounds.
    pub(super) fn begin_rounds(&mut self) -> Label {
        self.carried.clear();
        for carried in &self.trace.carried {
            let mut registers = Vec::new();
            if self.is_kept(carried) {
                if carried.kind == CarriedKind::Counter {
                    self.narrow(carried.before, COUNTER_BITS);
                }
                let word = stack_word(carried.position);
                for limb in 0..self.limbs(carried.before) {
                    let reg = self.places.add_register(carried.before);
                    self.asm.mov(reg, word.plus(8 * limb as i32));
                    registers.push(reg);
                }
            } else {
                self.places.set_memory(carried.position, carried.before);
            }
            self.carried.push(registers);
        }
        self.asm.here()
    }

    pub(super) fn is_carried(&self, value: Value) -> bool {
        self.trace
            .carried
            .iter()
            .any(|carried| carried.before == value && self.is_kept(carried))
    }

    /// Goes to the next round.
    pub(super) fn repeat(&mut self, writes: &[Write], start: Label) {
        if let Some(otherwise) = self.counting {
            self.leave_if_counters_are_wide(writes, otherwise);
        }
        let trace = self.trace;
        let is_written = |emitter: &Self, write: &Write| {
            !trace
                .carried
                .iter()
                .any(|carried| carried.position == write.position && emitter.is_kept(carried))
        };
        let writes: Vec<Write> = writes
            .iter()
            .copied()
            .filter(|write| is_written(self, write))
            .collect();
        // What is carried on must not be lost by the writes: it counts as needed behind them.
        self.at -= 1;
        for write in &writes {
            self.keep_without(write.position);
            self.places.forget_memory(write.position);
        }
        self.at += 1;
        self.write_aside(&writes);
        let mut moves = Vec::with_capacity(4 * self.carried.len());
        for (carried, registers) in trace.carried.iter().zip(&self.carried) {
            for (index, &register) in registers.iter().enumerate() {
                moves.push((register, self.limb(carried.after, index)));
            }
        }
        self.move_together(moves);
        self.asm.jump(start);
    }

    /// Goes on with the rounds that count in whole words if a counter no longer fits a register.
    fn leave_if_counters_are_wide(&mut self, writes: &[Write], otherwise: Label) {
        let trace = self.trace;
        let wide = self.asm.new_label();
        for carried in &trace.carried {
            if carried.kind == CarriedKind::Counter && self.width(carried.after) > COUNTER_BITS {
                let low = self.limb(carried.after, 0);
                self.load(RAX, low);
                self.asm.shift(Shift::Right, RAX, COUNTER_BITS as u8);
                for index in 1..self.limbs(carried.after) {
                    let limb = self.limb(carried.after, index);
                    self.alu(Alu::Or, RAX, limb);
                }
                self.asm.jump_if(Condition::NotZero, wide);
            }
        }
        let part = self.asm.switch_to(Part::Cold);
        self.asm.bind(wide);
        let words = trace
            .carried
            .iter()
            .filter(|carried| carried.kind == CarriedKind::Word)
            .map(|carried| Write {
                position: carried.position,
                value: carried.after,
            });
        let all: Vec<Write> = writes.iter().copied().chain(words).collect();
        self.write_aside(&all);
        self.asm.jump(otherwise);
        self.asm.switch_to(part);
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
