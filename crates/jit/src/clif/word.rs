//! 256-bit words as up to four 64-bit values, and what can be done with them in a few instructions.

use cranelift_codegen::ir::{
    InstBuilder, Value,
    condcodes::IntCC,
    types::{I8, I64, I128},
};
use cranelift_frontend::FunctionBuilder;
use revm::primitives::U256;

/// A word in registers: limbs from the least significant one on, `None` where a limb is known to be zero.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Word(pub(super) [Option<Value>; 4]);

impl Word {
    /// A word of one limb.
    pub(super) const fn narrow(limb: Value) -> Self {
        Self([Some(limb), None, None, None])
    }

    /// Without the limbs above `width` bits.
    pub(super) fn truncated(mut self, width: u16) -> Self {
        for limb in &mut self.0[limbs(width)..] {
            *limb = None;
        }
        self
    }

    /// How many limbs may be other than zero.
    pub(super) fn len(&self) -> usize {
        self.0
            .iter()
            .rposition(Option::is_some)
            .map_or(0, |last| last + 1)
    }
}

/// Limbs that `width` bits take.
pub(super) const fn limbs(width: u16) -> usize {
    (width as usize).div_ceil(64)
}

/// Emits instructions over words.
pub(super) struct Words<'a, 'f> {
    pub(super) builder: &'a mut FunctionBuilder<'f>,
}

impl Words<'_, '_> {
    pub(super) fn constant(&mut self, constant: U256) -> Word {
        Word(
            constant
                .into_limbs()
                .map(|limb| (limb != 0).then(|| self.number(limb))),
        )
    }

    pub(super) fn number(&mut self, number: u64) -> Value {
        self.builder.ins().iconst(I64, number.cast_signed())
    }

    /// A limb, zero or not.
    pub(super) fn limb(&mut self, word: &Word, index: usize) -> Value {
        match word.0[index] {
            Some(limb) => limb,
            None => self.number(0),
        }
    }

    /// The 128 bits from limb `index` on.
    fn half(&mut self, word: &Word, index: usize) -> Value {
        let (low, high) = (self.limb(word, index), self.limb(word, index + 1));
        self.builder.ins().iconcat(low, high)
    }

    fn from_halves(&mut self, low: Value, high: Value) -> Word {
        let (a, b) = self.builder.ins().isplit(low);
        let (c, d) = self.builder.ins().isplit(high);
        Word([Some(a), Some(b), Some(c), Some(d)])
    }

    /// A flag as a word.
    pub(super) fn of_flag(&mut self, flag: Value) -> Word {
        Word::narrow(self.builder.ins().uextend(I64, flag))
    }

    pub(super) fn add(&mut self, a: &Word, b: &Word, width: u16) -> Word {
        if width <= 64 {
            let (a, b) = (self.limb(a, 0), self.limb(b, 0));
            return Word::narrow(self.builder.ins().iadd(a, b));
        }
        let (low_a, low_b) = (self.half(a, 0), self.half(b, 0));
        if width <= 128 {
            let sum = self.builder.ins().iadd(low_a, low_b);
            let (low, high) = self.builder.ins().isplit(sum);
            return Word([Some(low), Some(high), None, None]);
        }
        let (low, carry) = self.builder.ins().uadd_overflow(low_a, low_b);
        let carry = self.builder.ins().uextend(I128, carry);
        let high = match (a.len() > 2, b.len() > 2) {
            (false, false) => carry,
            (true, false) => {
                let high = self.half(a, 2);
                self.builder.ins().iadd(high, carry)
            }
            (false, true) => {
                let high = self.half(b, 2);
                self.builder.ins().iadd(high, carry)
            }
            (true, true) => {
                let (high_a, high_b) = (self.half(a, 2), self.half(b, 2));
                let high = self.builder.ins().iadd(high_a, high_b);
                self.builder.ins().iadd(high, carry)
            }
        };
        self.from_halves(low, high).truncated(width)
    }

    pub(super) fn sub(&mut self, a: &Word, b: &Word) -> Word {
        let (low_a, low_b) = (self.half(a, 0), self.half(b, 0));
        let (low, borrow) = self.builder.ins().usub_overflow(low_a, low_b);
        let borrow = self.builder.ins().uextend(I128, borrow);
        let high_a = self.half(a, 2);
        let high = if b.len() > 2 {
            let high_b = self.half(b, 2);
            self.builder.ins().isub(high_a, high_b)
        } else {
            high_a
        };
        let high = self.builder.ins().isub(high, borrow);
        self.from_halves(low, high)
    }

    /// The product of words of which at least one has a single limb, or both have two.
    pub(super) fn mul(&mut self, a: &Word, b: &Word, width: u16) -> Word {
        let wanted = limbs(width);
        if wanted <= 1 {
            let (a, b) = (self.limb(a, 0), self.limb(b, 0));
            return Word::narrow(self.builder.ins().imul(a, b));
        }
        let mut sums: [Option<Value>; 4] = [None; 4];
        for (i, a) in a.0.into_iter().enumerate() {
            let Some(a) = a else { continue };
            for (j, b) in b.0.into_iter().enumerate() {
                let Some(b) = b else { continue };
                if i + j < wanted {
                    self.accumulate_product(&mut sums, i + j, (a, b), wanted);
                }
            }
        }
        Word(sums)
    }

    /// Adds `a * b` at limb `at`, with its carries.
    fn accumulate_product(
        &mut self,
        sums: &mut [Option<Value>; 4],
        at: usize,
        (a, b): (Value, Value),
        wanted: usize,
    ) {
        if at + 1 >= wanted {
            let product = self.builder.ins().imul(a, b);
            sums[at] = Some(match sums[at] {
                Some(sum) => self.builder.ins().iadd(sum, product),
                None => product,
            });
            return;
        }
        let (a, b) = (
            self.builder.ins().uextend(I128, a),
            self.builder.ins().uextend(I128, b),
        );
        let product = self.builder.ins().imul(a, b);
        let (low, high) = self.builder.ins().isplit(product);
        let mut carry = self.add_limb(sums, at, low);
        let high = match carry.take() {
            // The high half of a product is at most 2^64 - 2: no carry out.
            Some(carry) => self.builder.ins().iadd(high, carry),
            None => high,
        };
        let mut next = at + 1;
        carry = self.add_limb(sums, next, high);
        while let Some(limb) = carry {
            next += 1;
            if next >= wanted {
                break;
            }
            carry = self.add_limb(sums, next, limb);
        }
    }

    /// Adds to one limb; the carry if there can be one.
    fn add_limb(&mut self, sums: &mut [Option<Value>; 4], at: usize, limb: Value) -> Option<Value> {
        let Some(sum) = sums[at] else {
            sums[at] = Some(limb);
            return None;
        };
        let (sum, carry) = self.builder.ins().uadd_overflow(sum, limb);
        sums[at] = Some(sum);
        Some(self.builder.ins().uextend(I64, carry))
    }

    /// Limb by limb, for operations under which zero and zero give zero.
    pub(super) fn and(&mut self, a: &Word, b: &Word) -> Word {
        let mut result = Word::default();
        for index in 0..4 {
            if let (Some(a), Some(b)) = (a.0[index], b.0[index]) {
                result.0[index] = Some(self.builder.ins().band(a, b));
            }
        }
        result
    }

    pub(super) fn or(&mut self, a: &Word, b: &Word) -> Word {
        let mut result = Word::default();
        for index in 0..4 {
            result.0[index] = match (a.0[index], b.0[index]) {
                (Some(a), Some(b)) => Some(self.builder.ins().bor(a, b)),
                (one, other) => one.or(other),
            };
        }
        result
    }

    pub(super) fn xor(&mut self, a: &Word, b: &Word) -> Word {
        let mut result = Word::default();
        for index in 0..4 {
            result.0[index] = match (a.0[index], b.0[index]) {
                (Some(a), Some(b)) => Some(self.builder.ins().bxor(a, b)),
                (one, other) => one.or(other),
            };
        }
        result
    }

    pub(super) fn not(&mut self, a: &Word) -> Word {
        let mut result = Word::default();
        for index in 0..4 {
            result.0[index] = Some(match a.0[index] {
                Some(limb) => self.builder.ins().bnot(limb),
                None => self.number(u64::MAX),
            });
        }
        result
    }

    /// All limbs or-ed.
    pub(super) fn merged(&mut self, word: &Word) -> Option<Value> {
        let mut merged = None;
        for limb in word.0.into_iter().flatten() {
            merged = Some(match merged {
                Some(merged) => self.builder.ins().bor(merged, limb),
                None => limb,
            });
        }
        merged
    }

    /// Flag: the word is zero.
    pub(super) fn is_zero(&mut self, word: &Word) -> Value {
        match self.merged(word) {
            Some(merged) => {
                let zero = self.number(0);
                self.builder.ins().icmp(IntCC::Equal, merged, zero)
            }
            None => self.builder.ins().iconst(I8, 1),
        }
    }

    /// Flag: the words are equal.
    pub(super) fn equal(&mut self, a: &Word, b: &Word) -> Value {
        if a.len() <= 1 && b.len() <= 1 {
            let (a, b) = (self.limb(a, 0), self.limb(b, 0));
            return self.builder.ins().icmp(IntCC::Equal, a, b);
        }
        let difference = self.xor(a, b);
        self.is_zero(&difference)
    }

    /// Flag: `a < b`.
    pub(super) fn less(&mut self, a: &Word, b: &Word) -> Value {
        let less = IntCC::UnsignedLessThan;
        match (a.len(), b.len()) {
            (0 | 1, 0 | 1) => {
                let (a, b) = (self.limb(a, 0), self.limb(b, 0));
                self.builder.ins().icmp(less, a, b)
            }
            (_, 0 | 1) => {
                let low = (self.limb(a, 0), self.limb(b, 0));
                let low = self.builder.ins().icmp(less, low.0, low.1);
                let upper = self.is_zero(&upper(a));
                self.builder.ins().band(low, upper)
            }
            (0 | 1, _) => {
                let low = (self.limb(a, 0), self.limb(b, 0));
                let low = self.builder.ins().icmp(less, low.0, low.1);
                let upper = self.is_zero(&upper(b));
                let one = self.builder.ins().iconst(I8, 1);
                let upper = self.builder.ins().bxor(upper, one);
                self.builder.ins().bor(low, upper)
            }
            (0..=2, 0..=2) => {
                let (a, b) = (self.half(a, 0), self.half(b, 0));
                self.builder.ins().icmp(less, a, b)
            }
            _ => self.less_by_halves(a, b),
        }
    }

    fn less_by_halves(&mut self, a: &Word, b: &Word) -> Value {
        let (low_a, low_b) = (self.half(a, 0), self.half(b, 0));
        let (high_a, high_b) = (self.half(a, 2), self.half(b, 2));
        let low = self.builder.ins().icmp(IntCC::UnsignedLessThan, low_a, low_b);
        let high = self.builder.ins().icmp(IntCC::UnsignedLessThan, high_a, high_b);
        let same = self.builder.ins().icmp(IntCC::Equal, high_a, high_b);
        let low = self.builder.ins().band(low, same);
        self.builder.ins().bor(low, high)
    }

    /// Flag: `a < b` as signed numbers.
    pub(super) fn less_signed(&mut self, a: &Word, b: &Word) -> Value {
        let (a, b) = (self.flip_sign(a), self.flip_sign(b));
        self.less_by_halves(&a, &b)
    }

    fn flip_sign(&mut self, word: &Word) -> Word {
        let mut flipped = *word;
        let sign = self.number(1 << 63);
        flipped.0[3] = Some(match word.0[3] {
            Some(limb) => self.builder.ins().bxor(limb, sign),
            None => sign,
        });
        flipped
    }

    pub(super) fn shift_left(&mut self, word: &Word, by: u32) -> Word {
        let (limbs, bits) = ((by / 64) as usize, by % 64);
        let mut result = Word::default();
        for index in limbs..4 {
            let low = (index > limbs).then(|| word.0[index - limbs - 1]).flatten();
            result.0[index] = self.shifted_pair(word.0[index - limbs], low, 64 - bits, bits);
        }
        result
    }

    pub(super) fn shift_right(&mut self, word: &Word, by: u32) -> Word {
        let (limbs, bits) = ((by / 64) as usize, by % 64);
        let mut result = Word::default();
        for index in 0..4 - limbs {
            let high = word.0.get(index + limbs + 1).copied().flatten();
            result.0[index] = match bits {
                0 => word.0[index + limbs],
                _ => self.shifted_pair(high, word.0[index + limbs], bits, 64 - bits),
            };
        }
        result
    }

    /// `high << left | low >> right`, where `left + right` is 64; with `left` zero it is `high`.
    fn shifted_pair(
        &mut self,
        high: Option<Value>,
        low: Option<Value>,
        right: u32,
        left: u32,
    ) -> Option<Value> {
        if left == 0 {
            return high;
        }
        let high = high.map(|high| {
            let left = self.number(u64::from(left));
            self.builder.ins().ishl(high, left)
        });
        let low = low.map(|low| {
            let right = self.number(u64::from(right));
            self.builder.ins().ushr(low, right)
        });
        match (high, low) {
            (Some(high), Some(low)) => Some(self.builder.ins().bor(high, low)),
            (one, other) => one.or(other),
        }
    }

    /// SAR by a constant below 256.
    pub(super) fn shift_right_signed(&mut self, word: &Word, by: u32) -> Word {
        let top = self.limb(word, 3);
        let sign_bits = self.number(63);
        let sign = self.builder.ins().sshr(top, sign_bits);
        let (limbs, bits) = ((by / 64) as usize, by % 64);
        let mut result = Word([Some(sign); 4]);
        for index in 0..4 - limbs {
            let low = self.limb(word, index + limbs);
            let high = match word.0.get(index + limbs + 1) {
                Some(_) => self.limb(word, index + limbs + 1),
                None => sign,
            };
            result.0[index] = match bits {
                0 => Some(low),
                _ => self.shifted_pair(Some(high), Some(low), bits, 64 - bits),
            };
        }
        result
    }

    /// SIGNEXTEND from a byte below the last.
    pub(super) fn extend_sign(&mut self, word: &Word, last_byte: u32) -> Word {
        let (limb, unused_bits) = ((last_byte / 8) as usize, 56 - 8 * (last_byte % 8));
        let mut result = *word;
        let value = self.limb(word, limb);
        let unused = self.number(u64::from(unused_bits));
        let value = self.builder.ins().ishl(value, unused);
        let value = self.builder.ins().sshr(value, unused);
        result.0[limb] = Some(value);
        let sign_bits = self.number(63);
        let sign = self.builder.ins().sshr(value, sign_bits);
        for upper in &mut result.0[limb + 1..] {
            *upper = Some(sign);
        }
        result
    }

    pub(super) fn leading_zeros(&mut self, word: &Word) -> Word {
        let mut count = self.number(256);
        for index in 0..4 {
            let Some(limb) = word.0[index] else { continue };
            let zeros = self.builder.ins().clz(limb);
            let above = self.number(64 * (3 - index as u64));
            let zeros = self.builder.ins().iadd(zeros, above);
            let zero = self.number(0);
            let is_zero = self.builder.ins().icmp(IntCC::Equal, limb, zero);
            count = self.builder.ins().select(is_zero, count, zeros);
        }
        Word::narrow(count)
    }

    /// DIV or MOD of single limbs; zero if the divisor is.
    pub(super) fn divide_narrow(&mut self, a: Value, b: Value, remainder: Remainder) -> Word {
        let (zero, one) = (self.number(0), self.number(1));
        let is_zero = self.builder.ins().icmp(IntCC::Equal, b, zero);
        let divisor = self.builder.ins().select(is_zero, one, b);
        let result = match remainder {
            Remainder::Dropped => self.builder.ins().udiv(a, divisor),
            Remainder::Wanted => self.builder.ins().urem(a, divisor),
        };
        Word::narrow(self.builder.ins().select(is_zero, zero, result))
    }
}

/// Which result of a division.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remainder {
    Dropped,
    Wanted,
}

/// The word without its lowest limb.
fn upper(word: &Word) -> Word {
    let mut upper = *word;
    upper.0[0] = None;
    upper
}
