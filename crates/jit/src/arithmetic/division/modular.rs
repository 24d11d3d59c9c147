//! ADDMOD and MULMOD: remainders of sums and products that are wider than a word.

use alloy_primitives::U256;

use super::{LimbDivisor, limbs, long::divide_limbs, reduction::remainder_again, remainder};

/// `(a + b) % modulus`; zero if `modulus` is.
#[inline]
pub(crate) fn add_modulo(a: U256, b: U256, modulus: U256) -> U256 {
    let (sum, carry) = a.overflowing_add(b);
    if a < modulus && b < modulus {
        // The sum is below twice the modulus: with a carry, the difference wraps to the right word.
        let (difference, below) = sum.overflowing_sub(modulus);
        return if carry | !below { difference } else { sum };
    }
    if !carry {
        return remainder(sum, modulus);
    }
    let [s0, s1, s2, s3] = *sum.as_limbs();
    U256::from_limbs(divide_limbs(&[s0, s1, s2, s3, 1], modulus.as_limbs()).1)
}

/// `(a * b) % modulus`; zero if `modulus` is.
#[inline]
pub(crate) fn multiply_modulo(a: U256, b: U256, modulus: U256) -> U256 {
    let (a, b, modulus) = (a.as_limbs(), b.as_limbs(), modulus.as_limbs());
    if modulus[1] | modulus[2] | modulus[3] == 0 {
        return U256::from(multiply_modulo_limb(a, b, modulus[0]));
    }
    if a[2] | a[3] | b[2] | b[3] == 0 {
        let product: [u64; 4] = multiply_limbs(&[a[0], a[1]], &[b[0], b[1]]);
        return U256::from_limbs(divide_limbs(&product, modulus).1);
    }
    let product: [u64; 8] = multiply_limbs(a, b);
    let [p0, p1, p2, p3, p4, p5, p6, p7] = product;
    let (low, high) = ([p0, p1, p2, p3], [p4, p5, p6, p7]);
    if modulus[3] != 0 {
        if *modulus == [u64::MAX; 4] {
            return modulo_all_ones(U256::from_limbs(low), U256::from_limbs(high));
        }
        if let Some(remainder) = remainder_again(&low, &high, modulus) {
            return U256::from_limbs(remainder);
        }
    }
    U256::from_limbs(divide_limbs(&product, modulus).1)
}

/// `(high * 2^256 + low) % (2^256 - 1)`, which contracts ask for to get the high half of a product: a carry out of the
/// word counts as one.
#[inline]
fn modulo_all_ones(low: U256, high: U256) -> U256 {
    let (sum, carry) = low.overflowing_add(high);
    let sum = sum.wrapping_add(U256::from(carry));
    if sum == U256::MAX { U256::ZERO } else { sum }
}

#[inline]
fn multiply_modulo_limb(a: &[u64; 4], b: &[u64; 4], modulus: u64) -> u64 {
    if modulus == 0 {
        return 0;
    }
    let divisor = [modulus, 0, 0, 0];
    let (_, [a, ..]) = divide_limbs(a, &divisor);
    let (_, [b, ..]) = divide_limbs(b, &divisor);
    let (high, low) = limbs(u128::from(a) * u128::from(b));
    LimbDivisor::new(modulus).divide(high, low).1
}

/// The whole product: `P` is twice `N`.
#[inline(always)]
pub(super) fn multiply_limbs<const N: usize, const P: usize>(a: &[u64; N], b: &[u64; N]) -> [u64; P] {
    const { assert!(P == 2 * N) };
    let mut product = [0; P];
    for row in 0..N {
        let mut carry = 0;
        for column in 0..N {
            let sum = u128::from(a[row]) * u128::from(b[column])
                + u128::from(product[row + column])
                + u128::from(carry);
            (carry, product[row + column]) = limbs(sum);
        }
        product[row + N] = carry;
    }
    product
}

/// The product without what leaves a word.
#[inline(always)]
pub(super) fn multiply_low(a: &[u64; 4], b: &[u64; 4]) -> [u64; 4] {
    *U256::from_limbs(*a).wrapping_mul(U256::from_limbs(*b)).as_limbs()
}
