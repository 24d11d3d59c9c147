//! One limb of quotient by multiplication with a reciprocal: Möller and Granlund, "Improved division by invariant
//! integers" (2011).

use super::{PairDivisor, limb_reciprocal, limbs, pair};

/// A divisor of one limb, for machines without a division of two limbs by one.
#[cfg(any(test, miri, not(target_arch = "x86_64")))]
#[derive(Clone, Copy, Debug)]
pub(super) struct LimbByReciprocal {
    /// The divisor with its highest bit moved to the top.
    normal: u64,
    shift: u32,
    reciprocal: u64,
}

#[cfg(any(test, miri, not(target_arch = "x86_64")))]
impl LimbByReciprocal {
    /// `divisor` is not zero.
    #[inline(always)]
    pub(super) fn new(divisor: u64) -> Self {
        let shift = divisor.leading_zeros();
        let normal = divisor << shift;
        Self {
            normal,
            shift,
            reciprocal: portable_limb_reciprocal(normal),
        }
    }

    /// Quotient and remainder of `high * 2^64 + low`, where `high` is below the divisor.
    #[inline(always)]
    pub(super) fn divide(self, high: u64, low: u64) -> (u64, u64) {
        let numerator = pair(high, low) << self.shift;
        let (high, low) = limbs(numerator);
        debug_assert!(high < self.normal);
        let estimate = (u128::from(self.reciprocal) * u128::from(high)).wrapping_add(numerator);
        let (quotient, fraction) = limbs(estimate);
        let mut quotient = quotient.wrapping_add(1);
        let mut remainder = low.wrapping_sub(quotient.wrapping_mul(self.normal));
        if remainder > fraction {
            quotient = quotient.wrapping_sub(1);
            remainder = remainder.wrapping_add(self.normal);
        }
        if remainder >= self.normal {
            quotient = quotient.wrapping_add(1);
            remainder -= self.normal;
        }
        (quotient, remainder >> self.shift)
    }
}

/// `(2^128 - 1) / divisor - 2^64`; the highest bit of `divisor` is set.
#[cfg(any(test, miri, not(target_arch = "x86_64")))]
pub(super) fn portable_limb_reciprocal(divisor: u64) -> u64 {
    (pair(!divisor, u64::MAX) / u128::from(divisor)) as u64
}

/// Two limbs divided by a reciprocal of both.
#[derive(Clone, Copy, Debug)]
pub(super) struct PairByReciprocal {
    divisor: u128,
    reciprocal: u64,
}

impl PairDivisor for PairByReciprocal {
    #[inline(always)]
    fn new(divisor: u128) -> Self {
        debug_assert!(divisor >> 127 == 1);
        Self {
            divisor,
            reciprocal: pair_reciprocal(divisor),
        }
    }

    #[inline(always)]
    fn divide(&self, high: u128, low: u64) -> (u64, u128) {
        debug_assert!(high < self.divisor);
        let (divisor_high, divisor_low) = limbs(self.divisor);
        let (top, next) = limbs(high);
        let (mut quotient, fraction) =
            limbs((u128::from(self.reciprocal) * u128::from(top)).wrapping_add(high));
        let left = next.wrapping_sub(quotient.wrapping_mul(divisor_high));
        let mut remainder = pair(left, low)
            .wrapping_sub(u128::from(divisor_low) * u128::from(quotient))
            .wrapping_sub(self.divisor);
        quotient = quotient.wrapping_add(1);
        // Nothing to foresee, unlike the case below.
        let too_large = limbs(remainder).0 >= fraction;
        quotient = quotient.wrapping_sub(u64::from(too_large));
        remainder = remainder.wrapping_add(if too_large { self.divisor } else { 0 });
        if remainder >= self.divisor {
            quotient = quotient.wrapping_add(1);
            remainder -= self.divisor;
        }
        (quotient, remainder)
    }
}

/// `(2^192 - 1) / divisor - 2^64`; the highest bit of `divisor` is set.
#[inline(always)]
fn pair_reciprocal(divisor: u128) -> u64 {
    let (high, low) = limbs(divisor);
    let mut reciprocal = limb_reciprocal(high);
    let (mut product, carry) = high.wrapping_mul(reciprocal).overflowing_add(low);
    if carry {
        reciprocal = reciprocal.wrapping_sub(1);
        if product >= high {
            reciprocal = reciprocal.wrapping_sub(1);
            product = product.wrapping_sub(high);
        }
        product = product.wrapping_sub(high);
    }
    let (more, rest) = limbs(u128::from(reciprocal) * u128::from(low));
    let (product, carry) = product.overflowing_add(more);
    if carry {
        reciprocal = reciprocal.wrapping_sub(1);
        if pair(product, rest) >= divisor {
            reciprocal = reciprocal.wrapping_sub(1);
        }
    }
    reciprocal
}
