//! Shifts, by constants in place.

use super::{
    arithmetic::Operation,
    encoding::{RAX, Reg},
    limbs::Limb,
    scalar::{DoubleShift, Shift},
    trace::Emitter,
};
use crate::analysis::ir::Value;

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
            return self.call(value, Operation::ShiftLeft, &[by, word]);
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
            return self.call(value, Operation::ShiftRight, &[by, word]);
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
            return self.call(value, Operation::ShiftRightSigned, &[by, word]);
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
