//! Limbs of values as operands, and constants.

use revm::primitives::{HashMap, U256};

use super::{
    assembler::Label,
    encoding::{Mem, RAX, RBX, RCX, RSP, Reg, Rm},
    scalar::Alu,
    trace::Emitter,
};
use crate::analysis::ir::{Expression, Value};

/// 64 bits of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limb {
    Constant(u64),
    Reg(Reg),
    Mem(Mem),
}

/// Constants in the code.
#[derive(Debug, Default)]
pub(super) struct ConstantPool {
    labels: HashMap<U256, Label>,
    words: Vec<(Label, U256)>,
}

/// A cell of the native stack.
pub(super) const fn cell(number: u16) -> Mem {
    Mem::At(RSP, 8 * number as i32)
}

/// A word of the EVM's stack.
pub(super) const fn stack_word(position: i16) -> Mem {
    Mem::At(RBX, 32 * position as i32)
}

/// The constant as an operand of an instruction on 64 bits, which extends the sign.
pub(super) fn immediate(constant: u64) -> Option<i32> {
    i32::try_from(constant.cast_signed()).ok()
}

impl Emitter<'_> {
    pub(super) fn constant(&self, value: Value) -> Option<U256> {
        match self.trace.values[value.0 as usize].expression {
            Expression::Constant(constant) => Some(constant),
            _ => None,
        }
    }

    /// A limb of a value that is somewhere.
    pub(super) fn limb(&self, value: Value, index: usize) -> Limb {
        if let Some(constant) = self.constant(value) {
            return Limb::Constant(constant.as_limbs()[index]);
        }
        if index >= self.limbs(value) {
            return Limb::Constant(0);
        }
        let place = self.places.of(value);
        if let Some(&reg) = place.regs().get(index) {
            return Limb::Reg(reg);
        }
        let word = match (place.home(), place.cell()) {
            (Some(position), _) => stack_word(position),
            (None, Some(number)) => cell(number),
            (None, None) => {
                debug_assert!(false, "{value:?} is nowhere");
                cell(0)
            }
        };
        Limb::Mem(word.plus(8 * index as i32))
    }

    /// Puts a limb into a register. Leaves the flags as they are.
    pub(super) fn load(&mut self, to: Reg, from: Limb) {
        match from {
            Limb::Constant(constant) => self.asm.mov_immediate(to, constant),
            Limb::Reg(reg) if reg == to => {}
            Limb::Reg(reg) => self.asm.mov(to, reg),
            Limb::Mem(mem) => self.asm.mov(to, mem),
        }
    }

    /// The register that has the limb; `scratch` if it was in none.
    pub(super) fn in_register(&mut self, limb: Limb, scratch: Reg) -> Reg {
        if let Limb::Reg(reg) = limb {
            return reg;
        }
        self.load(scratch, limb);
        scratch
    }

    /// The limb as an operand; in `scratch` if it is a constant.
    pub(super) fn operand(&mut self, limb: Limb, scratch: Reg) -> Rm {
        match limb {
            Limb::Constant(constant) => {
                self.asm.mov_immediate(scratch, constant);
                scratch.into()
            }
            Limb::Reg(reg) => reg.into(),
            Limb::Mem(mem) => mem.into(),
        }
    }

    /// `to` operation `limb`. Overwrites rcx.
    pub(super) fn alu(&mut self, operation: Alu, to: Reg, limb: Limb) {
        if let Limb::Constant(constant) = limb
            && let Some(constant) = immediate(constant)
        {
            return self.asm.alu_immediate(operation, to, constant);
        }
        let operand = self.operand(limb, RCX);
        self.asm.alu(operation, to, operand);
    }

    /// Stores a limb. Overwrites rax, unless it is in a register.
    pub(super) fn store_limb(&mut self, to: Mem, limb: Limb) {
        if let Limb::Constant(constant) = limb
            && let Some(constant) = immediate(constant)
        {
            return self.asm.store_immediate(to, constant);
        }
        let reg = self.in_register(limb, RAX);
        self.asm.store(to, reg);
    }

    /// Where in the code the constant is, as a word in memory.
    pub(super) fn pooled(&mut self, constant: U256) -> Mem {
        let label = match self.pool.labels.get(&constant) {
            Some(&label) => label,
            None => {
                let label = self.asm.new_label();
                self.pool.labels.insert(constant, label);
                self.pool.words.push((label, constant));
                label
            }
        };
        Mem::Label(label, 0)
    }

    /// Writes the constants.
    pub(super) fn write_pool(&mut self) {
        for (label, constant) in std::mem::take(&mut self.pool.words) {
            self.asm.bind(label);
            self.asm.write(constant.as_le_slice());
        }
    }
}
