//! 256-bit division: DIV, MOD, SDIV, SMOD, ADDMOD, MULMOD.
//!
//! Operands come in and results go out as words; the one thing kept is [`reduction`]'s memory of moduli, one for each
//! thread. A zero divisor gives zero, as the EVM has it. What must hold is equality with the interpreter's functions for
//! every operand, which the tests compare.
//!
//! ```text
//! signed, modular -> long (by 1, 2, 3, 4 limbs) -> one limb of quotient: hardware (x86-64) or reciprocal
//!            `-----> reduction (MULMOD by a modulus again)
//! ```

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod hardware;
mod long;
mod modular;
mod reciprocal;
mod reduction;
mod signed;
#[cfg(test)]
mod tests;

pub(crate) use long::{divide, remainder};
pub(crate) use modular::{add_modulo, multiply_modulo};
pub(crate) use signed::{divide_signed, remainder_signed};

#[cfg(all(target_arch = "x86_64", not(miri)))]
use hardware::{LimbDivisor, PairByLimb, limb_reciprocal};
use reciprocal::PairByReciprocal;
#[cfg(any(miri, not(target_arch = "x86_64")))]
use reciprocal::{
    LimbByReciprocal as LimbDivisor, PairByReciprocal as PairByLimb,
    portable_limb_reciprocal as limb_reciprocal,
};

/// A divisor of two limbs whose highest bit is set.
trait PairDivisor {
    /// The highest bit of `divisor` is set.
    fn new(divisor: u128) -> Self;

    /// Quotient and remainder of `high * 2^64 + low`, where `high` is below the divisor.
    fn divide(&self, high: u128, low: u64) -> (u64, u128);
}

#[inline(always)]
const fn pair(high: u64, low: u64) -> u128 {
    (high as u128) << 64 | low as u128
}

/// The upper and the lower limb.
#[inline(always)]
const fn limbs(pair: u128) -> (u64, u64) {
    ((pair >> 64) as u64, pair as u64)
}

/// `a + b + carry`, and whether that left the limb.
#[inline(always)]
const fn add(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let (sum, first) = a.overflowing_add(b);
    let (sum, second) = sum.overflowing_add(carry as u64);
    (sum, first | second)
}

/// `a - b - borrow`, and whether that was below zero.
#[inline(always)]
const fn subtract(a: u64, b: u64, borrow: bool) -> (u64, bool) {
    let (difference, first) = a.overflowing_sub(b);
    let (difference, second) = difference.overflowing_sub(borrow as u64);
    (difference, first | second)
}
