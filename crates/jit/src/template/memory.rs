//! EVM memory: growing it, reading, writing and hashing it.

use revm::primitives::U256;

use super::{
    assembler::Part,
    control::{FRAME, GAS},
    encoding::{Mem, RAX, RCX, Reg},
    limbs::{Limb, cell, stack_word},
    routines::{MEMORY, MEMORY_LEN, Routine},
    scalar::{Alu, Condition},
    trace::Emitter,
    wide::{Part256, Wide},
};
use crate::analysis::ir::{Row, Value};

/// Bits of an offset of memory that there is.
const OFFSET_BITS: u16 = 48;

const WORD: Wide = Wide(0);

/// Bytes of a word.
const WORD_BYTES: i32 = 32;

impl Emitter<'_> {
    pub(super) fn touch(&mut self, offset: Value, len: u32, row: Row) {
        let grow = self.asm.new_label();
        let done = self.asm.new_label();
        let constant = match self.constant(offset) {
            Some(constant) => {
                let end = constant.saturating_add(U256::from(len));
                let Ok(end) = i32::try_from(end) else {
                    // More than anyone pays for.
                    let exit = self.exit(row);
                    return self.asm.jump(exit);
                };
                self.asm.alu_immediate(Alu::Cmp, Mem::At(FRAME, MEMORY_LEN), end);
                self.asm.jump_if(Condition::Below, grow);
                Some(end)
            }
            None => {
                self.end_of_memory(offset, len, row);
                self.asm.alu(Alu::Cmp, RAX, Mem::At(FRAME, MEMORY_LEN));
                self.asm.jump_if(Condition::Above, grow);
                None
            }
        };
        self.asm.bind(done);
        let part = self.asm.switch_to(Part::Cold);
        self.asm.bind(grow);
        if let Some(end) = constant {
            self.asm.mov_immediate(RAX, u64::from(end.cast_unsigned()));
        }
        self.asm.mov_immediate(RCX, u64::from(row.0));
        self.asm.call(self.routines.label(Routine::Grow));
        self.asm.jump(done);
        self.asm.switch_to(part);
        self.offset_is_in_memory(offset);
        self.release_if_dead(offset);
    }

    /// The sum in rax, or out if it is not one limb.
    fn end_of_memory(&mut self, offset: Value, len: u32, row: Row) {
        let limbs = self.limbs(offset);
        if limbs > 1 {
            let limb = self.limb(offset, 1);
            self.load(RAX, limb);
            for index in 2..limbs {
                let limb = self.limb(offset, index);
                self.alu(Alu::Or, RAX, limb);
            }
            if limbs == 2 {
                self.asm.test(RAX);
            }
            let exit = self.exit(row);
            self.asm.jump_if(Condition::NotZero, exit);
        }
        let low = self.limb(offset, 0);
        match (low, i32::try_from(len)) {
            (Limb::Reg(reg), Ok(len)) if self.width(offset) < 64 => self.asm.lea(RAX, Mem::At(reg, len)),
            _ => {
                self.load(RAX, low);
                self.alu(Alu::Add, RAX, Limb::Constant(u64::from(len)));
                if self.width(offset) >= 64 {
                    let exit = self.exit(row);
                    self.asm.jump_if(Condition::Below, exit);
                }
            }
        }
    }

    fn offset_is_in_memory(&mut self, offset: Value) {
        if self.constant(offset).is_none() {
            self.narrow(offset, OFFSET_BITS);
        }
    }

    /// The address of memory that has been touched. Uses `base`, which must stay until the address was used.
    fn address(&mut self, offset: Value, base: Reg) -> Mem {
        self.asm.mov(base, Mem::At(FRAME, MEMORY));
        match self.limb(offset, 0) {
            Limb::Constant(constant) => {
                // Where a word ends behind 2^31 has not been touched: this is not reached then.
                let displacement = i32::try_from(constant).ok();
                let reachable = displacement.filter(|&displacement| displacement <= i32::MAX - WORD_BYTES);
                Mem::At(base, reachable.unwrap_or(0))
            }
            Limb::Reg(reg) => Mem::Sum(base, reg, 0),
            Limb::Mem(mem) => {
                self.asm.alu(Alu::Add, base, mem);
                Mem::At(base, 0)
            }
        }
    }

    pub(super) fn store(&mut self, offset: Value, value: Value) {
        let to = self.address(offset, RCX);
        if let Some(constant) = self.constant(value) {
            self.store_constant(to, constant);
        } else if let Some(from) = self.whole_in_memory(value) {
            self.asm.load_wide(self.features, WORD, from, Part256::All);
            self.reverse_wide();
            self.asm.store_wide(self.features, to, WORD);
        } else {
            self.store_limbs(to, value);
        }
        self.offset_is_in_memory(offset);
        self.release_if_dead(offset);
        self.release_if_dead(value);
    }

    fn store_constant(&mut self, to: Mem, constant: U256) {
        let reversed = U256::from_le_bytes(constant.to_be_bytes::<32>());
        if reversed.is_zero() {
            self.asm.zero_wide(self.features, WORD);
        } else {
            let from = self.pooled(reversed);
            self.asm.load_wide(self.features, WORD, from, Part256::All);
        }
        self.asm.store_wide(self.features, to, WORD);
    }

    /// Where a value is that can be loaded and reversed as a whole.
    fn whole_in_memory(&self, value: Value) -> Option<Mem> {
        let place = self.places.of(value);
        if !self.features.avx2 || !place.regs().is_empty() || self.limbs(value) == 0 {
            return None;
        }
        match (place.home(), place.cell()) {
            (Some(home), _) => Some(stack_word(home)),
            (None, Some(first)) if self.limbs(value) == 4 => Some(cell(first)),
            _ => None,
        }
    }

    fn reverse_wide(&mut self) {
        const HALF: u128 = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f;
        let order = self.pooled((U256::from(HALF) << 128) | U256::from(HALF));
        self.asm.exchange_halves(WORD);
        self.asm.shuffle_halves(WORD, order);
    }

    fn store_limbs(&mut self, to: Mem, value: Value) {
        let limbs = self.limbs(value);
        if limbs < 4 {
            self.asm.zero(RAX);
        }
        for index in limbs..4 {
            self.asm.store(to.plus(24 - 8 * index as i32), RAX);
        }
        for index in 0..limbs {
            let limb = self.limb(value, index);
            self.store_reversed(to.plus(24 - 8 * index as i32), limb);
        }
    }

    fn store_reversed(&mut self, to: Mem, limb: Limb) {
        if self.features.movbe {
            let reg = self.in_register(limb, RAX);
            return self.asm.movbe_store(to, reg);
        }
        self.load(RAX, limb);
        self.asm.swap_bytes(RAX);
        self.asm.store(to, RAX);
    }

    pub(super) fn store_byte(&mut self, offset: Value, value: Value) {
        let to = self.address(offset, RCX);
        match self.limb(value, 0) {
            Limb::Constant(constant) => self.asm.store_byte_immediate(to, constant as u8),
            limb => {
                self.load(RAX, limb);
                self.asm.store_byte_of_rax(to);
            }
        }
        self.offset_is_in_memory(offset);
        self.release_if_dead(offset);
        self.release_if_dead(value);
    }

    pub(super) fn memory_word(&mut self, value: Value, offset: Value) {
        let to = self.destination(value, None, &[offset]);
        let from = self.address(offset, RCX);
        self.load_reversed(&to, from);
        self.offset_is_in_memory(offset);
    }

    /// Loads a word whose bytes are in the EVM's order.
    pub(super) fn load_reversed(&mut self, to: &[Reg], from: Mem) {
        for (index, &reg) in to.iter().enumerate() {
            self.load_limb_reversed(reg, from.plus(24 - 8 * index as i32));
        }
    }

    pub(super) fn load_limb_reversed(&mut self, to: Reg, from: Mem) {
        if self.features.movbe {
            return self.asm.movbe_load(to, from);
        }
        self.asm.mov(to, from);
        self.asm.swap_bytes(to);
    }

    pub(super) fn keccak(&mut self, value: Value, offset: Value, len: u32) {
        let from = self.address(offset, RAX);
        if from != Mem::At(RAX, 0) {
            self.asm.lea(RAX, from);
        }
        self.asm.mov_immediate(RCX, u64::from(len));
        self.asm.call(self.routines.label(Routine::Hash));
        self.load_result(value, &[offset]);
        self.offset_is_in_memory(offset);
    }

    pub(super) fn gas_left(&mut self, value: Value, paid_ahead: u32) {
        let to = self.destination(value, None, &[]);
        let [to] = *to else { return };
        match i32::try_from(paid_ahead) {
            Ok(paid_ahead) => self.asm.lea(to, Mem::At(GAS, paid_ahead)),
            Err(_) => {
                self.asm.mov_immediate(to, u64::from(paid_ahead));
                self.asm.alu(Alu::Add, to, GAS);
            }
        }
    }
}
