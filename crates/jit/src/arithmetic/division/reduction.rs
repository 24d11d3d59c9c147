//! Remainders of double words by moduli that come again and again, as in the arithmetic of a field.
//!
//! A modulus that MULMOD gets a second time has its reciprocal computed, and from then on a remainder is two
//! multiplications: that of Möller and Granlund with words in the place of limbs.

use std::cell::RefCell;

use super::{
    PairByReciprocal, add,
    long::{divide_normal, shift_left, shift_right},
    modular::{multiply_limbs, multiply_low},
    subtract,
};

/// Moduli that a thread remembers. Contracts that compute in a field use one or two, its size and that of a group in it;
/// a new one takes the place of one with the same index.
const MODULI: usize = 8;

type Word = [u64; 4];

/// A modulus of four limbs.
#[derive(Clone, Copy, Debug)]
struct Modulus {
    limbs: Word,
    /// Of the modulus with its highest bit moved to the top: `(2^512 - 1) / normal - 2^256`, once it is needed.
    reciprocal: Option<Word>,
}

/// Reciprocals that are counted before the metrics learn of them.
const COUNTED_TOGETHER: u64 = 256;

thread_local! {
    static MEMORY: RefCell<Memory> = const { RefCell::new(Memory::new()) };
}

/// Direct-mapped; its bound is [`MODULI`]. A metric, `rapid_reth_jit_modulus_reciprocals_total`, counts the reciprocals
/// computed: near the number of MULMODs, the moduli do not stay.
#[derive(Debug)]
struct Memory {
    moduli: [Modulus; MODULI],
    computed: u64,
}

impl Memory {
    const fn new() -> Self {
        Self {
            moduli: [Modulus {
                limbs: [0; 4],
                reciprocal: None,
            }; MODULI],
            computed: 0,
        }
    }

    #[cold]
    #[inline(never)]
    fn computed(&mut self) {
        self.computed += 1;
        if self.computed == COUNTED_TOGETHER {
            metrics::counter!("rapid_reth_jit_modulus_reciprocals_total").increment(self.computed);
            self.computed = 0;
        }
    }
}

/// `(high * 2^256 + low) % modulus` if this thread had the modulus before and `high` is below it. The highest limb of the
/// modulus is not zero.
#[inline(always)]
pub(super) fn remainder_again(low: &Word, high: &Word, modulus: &Word) -> Option<Word> {
    MEMORY.with_borrow_mut(|memory| {
        let known = &mut memory.moduli[index(modulus)];
        if known.limbs != *modulus {
            *known = Modulus {
                limbs: *modulus,
                reciprocal: None,
            };
            return None;
        }
        if !is_below(high, modulus) {
            return None;
        }
        let shift = modulus[3].leading_zeros();
        let normal = shift_left(modulus, shift);
        let reciprocal = match known.reciprocal {
            Some(reciprocal) => reciprocal,
            None => {
                let computed = *known.reciprocal.insert(reciprocal(&normal));
                memory.computed();
                computed
            }
        };
        let [l0, l1, l2, l3] = *low;
        let [h0, h1, h2, h3] = *high;
        let [l0, l1, l2, l3, h0, h1, h2, h3] = shift_left(&[l0, l1, l2, l3, h0, h1, h2, h3], shift);
        let remainder = reduce(&[l0, l1, l2, l3], &[h0, h1, h2, h3], &normal, &reciprocal);
        Some(shift_right(&remainder, shift))
    })
}

#[inline(always)]
const fn index(modulus: &Word) -> usize {
    ((modulus[0] ^ modulus[0] >> 7 ^ modulus[0] >> 32) as usize >> 1) % MODULI
}

#[cold]
#[inline(never)]
fn reciprocal(normal: &Word) -> Word {
    let [n0, n1, n2, n3] = *normal;
    let numerator = [u64::MAX, u64::MAX, u64::MAX, u64::MAX, !n0, !n1, !n2, !n3];
    let ([q0, q1, q2, q3, ..], _) = divide_normal::<8, 4, PairByReciprocal>(&numerator, *normal);
    [q0, q1, q2, q3]
}

/// `high` is below `normal`, whose highest bit is set.
#[inline(always)]
fn reduce(low: &Word, high: &Word, normal: &Word, reciprocal: &Word) -> Word {
    let [f0, f1, f2, f3, q0, q1, q2, q3] = multiply_limbs(reciprocal, high);
    let (fraction, carry) = add_words(&[f0, f1, f2, f3], low, false);
    let (quotient, _) = add_words(&[q0, q1, q2, q3], high, carry);
    // By the quotient and one more, which the estimate is short of.
    let (remainder, _) = subtract_words(low, &multiply_low(&quotient, normal));
    let (remainder, _) = subtract_words(&remainder, normal);
    let too_large = is_below(&fraction, &remainder);
    let mask = if too_large { u64::MAX } else { 0 };
    let (remainder, _) = add_words(&remainder, &normal.map(|limb| limb & mask), false);
    let (difference, below) = subtract_words(&remainder, normal);
    if below { remainder } else { difference }
}

#[inline(always)]
fn add_words(a: &Word, b: &Word, mut carry: bool) -> (Word, bool) {
    let sum = std::array::from_fn(|limb| {
        let sum;
        (sum, carry) = add(a[limb], b[limb], carry);
        sum
    });
    (sum, carry)
}

#[inline(always)]
fn subtract_words(a: &Word, b: &Word) -> (Word, bool) {
    let mut borrow = false;
    let difference = std::array::from_fn(|limb| {
        let difference;
        (difference, borrow) = subtract(a[limb], b[limb], borrow);
        difference
    });
    (difference, borrow)
}

#[inline(always)]
fn is_below(a: &Word, b: &Word) -> bool {
    subtract_words(a, b).1
}
