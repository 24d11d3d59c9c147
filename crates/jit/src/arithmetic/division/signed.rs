//! SDIV and SMOD: division of magnitudes, truncated towards zero.

use alloy_primitives::U256;

use super::{divide, remainder};

/// Signed quotient; zero if `divisor` is. The quotient of the smallest number by -1 is itself.
#[inline]
pub(crate) fn divide_signed(numerator: U256, divisor: U256) -> U256 {
    let (numerator_sign, divisor_sign) = (sign(&numerator), sign(&divisor));
    let quotient = divide(
        negate_if(numerator, numerator_sign),
        negate_if(divisor, divisor_sign),
    );
    negate_if(quotient, numerator_sign ^ divisor_sign)
}

/// Signed remainder, which has the sign of `numerator`; zero if `divisor` is.
#[inline]
pub(crate) fn remainder_signed(numerator: U256, divisor: U256) -> U256 {
    let numerator_sign = sign(&numerator);
    let remainder = remainder(
        negate_if(numerator, numerator_sign),
        negate_if(divisor, sign(&divisor)),
    );
    negate_if(remainder, numerator_sign)
}

/// All ones for a negative word, else zero.
#[inline(always)]
const fn sign(word: &U256) -> u64 {
    (word.as_limbs()[3] as i64 >> 63) as u64
}

/// `-word` if `sign` is all ones. Without a branch: signs of operands are often not foreseeable.
#[inline(always)]
fn negate_if(word: U256, sign: u64) -> U256 {
    let mut limbs = *word.as_limbs();
    let mut carry = sign & 1;
    for limb in &mut limbs {
        let (sum, overflow) = (*limb ^ sign).overflowing_add(carry);
        (*limb, carry) = (sum, u64::from(overflow));
    }
    U256::from_limbs(limbs)
}
