//! Shifts: by constants in place, by others in routines that read the word from memory at another place.

use super::{
    arithmetic::Operation,
    control::FRAME,
    encoding::{Mem, RAX, RCX, RDX, RSI, Reg},
    limbs::Limb,
    routines::{Routine, SCRATCH},
    scalar::{Alu, Condition, DoubleShift, Shift},
    trace::Emitter,
    wide::Wide,
};
use crate::analysis::ir::Value;

/// Where the routines find the word: between the result, with the word below it zero, and another one that they fill.
const SHIFTED: i32 = SCRATCH + 64;

/// A shift by whole limbs and then bits.
#[derive(Clone, Copy, Debug)]
struct By {
    limbs: usize,
    bits: u8,
}

impl By {
    const fn bits(bits: u64) -> Self {
        Self {
            limbs: bits as usize / 64,
            bits: (bits % 64) as u8,
        }
    }
}

impl Emitter<'_> {
    /// The constant, at most 256.
    fn shift_amount(&self, by: Value) -> Option<u64> {
        let by = self.constant(by)?;
        Some(u64::try_from(by).unwrap_or(u64::MAX).min(256))
    }

    pub(super) fn shift_left(&mut self, value: Value, by: Value, word: Value) {
        let Some(amount) = self.shift_amount(by) else {
            return self.shift_by_value(value, Routine::ShiftLeft, by, word);
        };
        let shift = By::bits(amount);
        let to = self.destination(value, Some(word), &[word]);
        // From the top, so that a limb is read before its register gets another.
        for index in (0..to.len()).rev() {
            let from = match index.checked_sub(shift.limbs) {
                Some(source) => self.limb(word, source),
                None => Limb::Constant(0),
            };
            self.load(to[index], from);
        }
        if shift.bits > 0 {
            for index in (shift.limbs + 1..to.len()).rev() {
                self.asm
                    .double_shift(DoubleShift::Left, to[index], to[index - 1], shift.bits);
            }
            if let Some(&lowest) = to.get(shift.limbs) {
                self.asm.shift(Shift::Left, lowest, shift.bits);
            }
        }
    }

    pub(super) fn shift_right(&mut self, value: Value, by: Value, word: Value) {
        let Some(amount) = self.shift_amount(by) else {
            return self.shift_by_value(value, Routine::ShiftRight, by, word);
        };
        let shift = By::bits(amount);
        let to = self.destination(value, Some(word), &[word]);
        let above = to.len() + shift.limbs;
        let has_above = shift.bits > 0 && above < self.limbs(word);
        if has_above {
            let limb = self.limb(word, above);
            self.load(RAX, limb);
        }
        for (index, &reg) in to.iter().enumerate() {
            let from = self.limb_or_zero(word, index + shift.limbs);
            self.load(reg, from);
        }
        if shift.bits == 0 {
            return;
        }
        self.shift_down(&to, shift.bits);
        if let Some(&highest) = to.last() {
            if has_above {
                self.asm
                    .double_shift(DoubleShift::Right, highest, RAX, shift.bits);
            } else {
                self.asm.shift(Shift::Right, highest, shift.bits);
            }
        }
    }

    pub(super) fn shift_right_signed(&mut self, value: Value, by: Value, word: Value) {
        let Some(amount) = self.shift_amount(by) else {
            return self.shift_by_value(value, Routine::ShiftRightSigned, by, word);
        };
        let shift = By::bits(amount.min(255));
        let to = self.destination(value, Some(word), &[word]);
        let sign = self.limb(word, 3);
        self.load(RAX, sign);
        self.asm.shift(Shift::RightSigned, RAX, 63);
        for (index, &reg) in to.iter().enumerate() {
            let from = match index + shift.limbs {
                source @ 0..4 => self.limb(word, source),
                _ => Limb::Reg(RAX),
            };
            self.load(reg, from);
        }
        if shift.bits > 0 {
            self.shift_down(&to, shift.bits);
            if let Some(&highest) = to.last() {
                self.asm.shift(Shift::RightSigned, highest, shift.bits);
            }
        }
    }

    /// All limbs but the highest, with bits of the next one.
    fn shift_down(&mut self, to: &[Reg], bits: u8) {
        for pair in to.windows(2) {
            if let [low, high] = *pair {
                self.asm.double_shift(DoubleShift::Right, low, high, bits);
            }
        }
    }

    fn limb_or_zero(&self, value: Value, index: usize) -> Limb {
        if index < 4 {
            self.limb(value, index)
        } else {
            Limb::Constant(0)
        }
    }

    fn shift_by_value(&mut self, value: Value, routine: Routine, by: Value, word: Value) {
        self.call_with_word(routine, by, word);
        self.load_result(value, &[by, word]);
    }

    /// BYTE with an index that is not known.
    pub(super) fn byte(&mut self, value: Value, index: Value, word: Value) {
        self.call_with_word(Routine::Byte, index, word);
        let to = self.destination(value, None, &[index, word]);
        if let [to] = *to {
            self.asm.mov(to, RAX);
        }
    }

    fn call_with_word(&mut self, routine: Routine, by: Value, word: Value) {
        self.copy_word(Mem::At(FRAME, SHIFTED), word);
        self.amount_in_rcx(by);
        self.asm.call(self.routines.label(routine));
    }

    /// The amount; all ones if it has more than one limb.
    fn amount_in_rcx(&mut self, by: Value) {
        let limbs = self.limbs(by);
        if limbs > 1 {
            let limb = self.limb(by, 1);
            self.load(RAX, limb);
            for index in 2..limbs {
                let limb = self.limb(by, index);
                self.alu(Alu::Or, RAX, limb);
            }
            self.asm.mov_immediate(RDX, u64::MAX);
            self.asm.test(RAX);
        }
        let low = self.limb(by, 0);
        self.load(RCX, low);
        if limbs > 1 {
            self.asm.mov_if(Condition::NotZero, RCX, RDX);
        }
    }

    /// The routines of shifts by rcx bits: the limbs of the result are read where the shift brings them from.
    pub(super) fn shift_routine(&mut self, routine: Routine) {
        let word = |number: i32| Mem::At(FRAME, SCRATCH + 32 * number);
        self.asm.alu_immediate(Alu::Cmp, RCX, 255);
        let short = self.asm.short_jump(0x70 | Condition::NotAbove as u8);
        if routine == Routine::ShiftRightSigned {
            self.asm.mov_immediate(RCX, 255);
        } else {
            self.asm.zero_wide(self.features, Wide(0));
            self.asm.store_wide(self.features, word(0), Wide(0));
            self.asm.ret();
        }
        self.asm.land(short);
        match routine {
            Routine::ShiftRightSigned => {
                self.asm.mov(RAX, word(2).plus(24));
                self.asm.shift(Shift::RightSigned, RAX, 63);
                for limb in 0..4 {
                    self.asm.store(word(3).plus(8 * limb), RAX);
                }
            }
            _ => {
                let beside = if routine == Routine::ShiftLeft {
                    word(1)
                } else {
                    word(3)
                };
                self.asm.zero_wide(self.features, Wide(0));
                self.asm.store_wide(self.features, beside, Wide(0));
            }
        }
        self.asm.mov(RDX, RCX);
        self.asm.shift(Shift::Right, RDX, 6);
        self.asm.shift(Shift::Left, RDX, 3);
        self.asm.push(RSI);
        if routine == Routine::ShiftLeft {
            self.asm.mov(RAX, FRAME);
            self.asm.alu(Alu::Sub, RAX, RDX);
            self.asm.mov(RDX, RAX);
            self.shift_limbs(DoubleShift::Left, -8);
        } else {
            self.asm.alu(Alu::Add, RDX, FRAME);
            self.shift_limbs(DoubleShift::Right, 8);
        }
        self.asm.pop(RSI);
        self.asm.ret();
    }

    /// Each limb with bits of the one `neighbour` bytes from it.
    fn shift_limbs(&mut self, operation: DoubleShift, neighbour: i32) {
        for limb in 0..4 {
            let from = Mem::At(RDX, SHIFTED + 8 * limb);
            self.asm.mov(RAX, from);
            self.asm.mov(RSI, from.plus(neighbour));
            self.asm.double_shift_by_rcx(operation, RAX, RSI);
            self.asm.store(Mem::At(FRAME, SCRATCH + 8 * limb), RAX);
        }
    }

    /// The byte number rcx, from the highest, in rax.
    pub(super) fn byte_routine(&mut self) {
        self.asm.mov_immediate(RAX, 0);
        self.asm.alu_immediate(Alu::Cmp, RCX, 31);
        let behind = self.asm.short_jump(0x70 | Condition::Above as u8);
        self.asm.mov(RAX, FRAME);
        self.asm.alu(Alu::Sub, RAX, RCX);
        self.asm.load_byte(RAX, Mem::At(RAX, SHIFTED + 31));
        self.asm.land(behind);
        self.asm.ret();
    }

    /// SIGNEXTEND.
    pub(super) fn extend_sign(&mut self, value: Value, last_byte: Value, word: Value) {
        let last_byte_known = self
            .constant(last_byte)
            .and_then(|constant| u64::try_from(constant).ok())
            .filter(|&byte| byte < 31);
        let Some(byte) = last_byte_known else {
            return self.call(value, Operation::ExtendSign, &[last_byte, word]);
        };
        let (sign_limb, unused_bits) = (byte as usize / 8, 56 - 8 * (byte % 8) as u8);
        let to = self.destination(value, Some(word), &[word]);
        for (index, &reg) in to.iter().enumerate() {
            if index <= sign_limb {
                let limb = self.limb(word, index);
                self.load(reg, limb);
            } else {
                self.asm.mov(reg, to[sign_limb]);
                self.asm.shift(Shift::RightSigned, reg, 63);
            }
            if index == sign_limb && unused_bits > 0 {
                self.asm.shift(Shift::Left, reg, unused_bits);
                self.asm.shift(Shift::RightSigned, reg, unused_bits);
            }
        }
    }
}
