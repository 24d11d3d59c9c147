//! Division of numerators of `N` limbs by divisors of one to four limbs.
//!
//! Everything is inlined into the operations, and loops have constant bounds: limbs stay in registers, and what an
//! operation does not use, quotient or remainder, is not computed.

#![expect(clippy::needless_range_loop, reason = "limbs of several numbers at one index")]

use alloy_primitives::U256;

use super::{LimbDivisor, PairByLimb, PairByReciprocal, PairDivisor, add, limbs, pair, subtract};

/// Unsigned quotient; zero if `divisor` is.
#[inline]
pub(crate) fn divide(numerator: U256, divisor: U256) -> U256 {
    U256::from_limbs(divide_limbs(numerator.as_limbs(), divisor.as_limbs()).0)
}

/// Unsigned remainder; zero if `divisor` is.
#[inline]
pub(crate) fn remainder(numerator: U256, divisor: U256) -> U256 {
    U256::from_limbs(divide_limbs(numerator.as_limbs(), divisor.as_limbs()).1)
}

/// Quotient and remainder of limbs, the lowest first; zeros if the divisor is zero. `N` is four at least.
#[inline(always)]
pub(super) fn divide_limbs<const N: usize>(numerator: &[u64; N], divisor: &[u64; 4]) -> ([u64; N], [u64; 4]) {
    let [d0, d1, d2, d3] = *divisor;
    if d1 | d2 | d3 == 0 {
        if d0 == 0 {
            return ([0; N], [0; 4]);
        }
        let (quotient, remainder) = divide_by_limb(numerator, d0);
        return (quotient, [remainder, 0, 0, 0]);
    }
    if is_below(numerator, divisor) {
        return ([0; N], std::array::from_fn(|limb| numerator[limb]));
    }
    if d2 | d3 == 0 {
        let (quotient, [r0, r1]) = divide_by_pair(numerator, [d0, d1]);
        (quotient, [r0, r1, 0, 0])
    } else if d3 == 0 {
        let (quotient, [r0, r1, r2]) = divide_by_long(numerator, [d0, d1, d2]);
        (quotient, [r0, r1, r2, 0])
    } else {
        divide_by_long(numerator, *divisor)
    }
}

#[inline(always)]
fn is_below<const N: usize>(numerator: &[u64; N], divisor: &[u64; 4]) -> bool {
    let mut below = false;
    for limb in 0..4 {
        (_, below) = subtract(numerator[limb], divisor[limb], below);
    }
    below && is_zero_from(numerator, 4)
}

#[inline(always)]
fn is_zero_from<const N: usize>(limbs: &[u64; N], from: usize) -> bool {
    let mut all = 0;
    for &limb in &limbs[from..] {
        all |= limb;
    }
    all == 0
}

#[inline(always)]
fn divide_by_limb<const N: usize>(numerator: &[u64; N], divisor: u64) -> ([u64; N], u64) {
    let mut quotient = [0; N];
    if is_zero_from(numerator, 1) {
        quotient[0] = numerator[0] / divisor;
        return (quotient, numerator[0] % divisor);
    }
    let by = LimbDivisor::new(divisor);
    let mut remainder = 0;
    for limb in (0..N).rev() {
        if remainder == 0 && numerator[limb] < divisor {
            remainder = numerator[limb];
        } else {
            (quotient[limb], remainder) = by.divide(remainder, numerator[limb]);
        }
    }
    (quotient, remainder)
}

#[inline(always)]
fn divide_by_pair<const N: usize>(numerator: &[u64; N], divisor: [u64; 2]) -> ([u64; N], [u64; 2]) {
    if is_zero_from(numerator, 2) {
        let mut quotient = [0; N];
        let ([low, _], remainder) = divide_normal::<2, 2, PairByLimb>(&[numerator[0], numerator[1]], divisor);
        quotient[0] = low;
        return (quotient, remainder);
    }
    divide_normal::<N, 2, PairByReciprocal>(numerator, divisor)
}

/// By a divisor of three or four limbs.
#[inline(always)]
fn divide_by_long<const N: usize, const D: usize>(
    numerator: &[u64; N],
    divisor: [u64; D],
) -> ([u64; N], [u64; D]) {
    if N <= 4 {
        divide_normal::<N, D, PairByLimb>(numerator, divisor)
    } else {
        divide_normal::<N, D, PairByReciprocal>(numerator, divisor)
    }
}

/// Knuth's algorithm D by a divisor whose highest limb is not zero, both shifted for its highest bit to be set. The
/// remainder so far stays in registers; the numerator's limbs come in from the highest to the lowest.
#[inline(always)]
pub(super) fn divide_normal<const N: usize, const D: usize, P: PairDivisor>(
    numerator: &[u64; N],
    divisor: [u64; D],
) -> ([u64; N], [u64; D]) {
    let shift = divisor[D - 1].leading_zeros();
    let divisor = LongDivisor::<D, P>::new(shift_left(&divisor, shift));
    let shifted = |limb: usize| {
        let higher = if limb == N { 0 } else { numerator[limb] };
        let lower = if limb == 0 { 0 } else { numerator[limb - 1] };
        shift_in(higher, lower, shift)
    };
    let mut quotient = [0; N];
    let mut remainder = std::array::from_fn(|limb| shifted(N + 1 - D + limb));
    for limb in (0..=N - D).rev() {
        quotient[limb] = divisor.divide(&mut remainder, shifted(limb));
    }
    (quotient, shift_right(&remainder, shift))
}

/// The upper limb of `(high, low) << shift`; `shift` is below 64.
#[inline(always)]
const fn shift_in(high: u64, low: u64, shift: u32) -> u64 {
    (high << shift) | (low >> 1 >> (63 - shift))
}

#[inline(always)]
pub(super) fn shift_left<const D: usize>(limbs: &[u64; D], shift: u32) -> [u64; D] {
    std::array::from_fn(|limb| shift_in(limbs[limb], if limb == 0 { 0 } else { limbs[limb - 1] }, shift))
}

#[inline(always)]
pub(super) fn shift_right<const D: usize>(limbs: &[u64; D], shift: u32) -> [u64; D] {
    std::array::from_fn(|limb| {
        let higher = if limb + 1 == D { 0 } else { limbs[limb + 1] };
        (limbs[limb] >> shift) | (higher << 1 << (63 - shift))
    })
}

/// A divisor of two to four limbs whose highest bit is set.
struct LongDivisor<const D: usize, P> {
    limbs: [u64; D],
    top: P,
}

impl<const D: usize, P: PairDivisor> LongDivisor<D, P> {
    #[inline(always)]
    fn new(limbs: [u64; D]) -> Self {
        Self {
            limbs,
            top: P::new(pair(limbs[D - 1], limbs[D - 2])),
        }
    }

    /// One limb of quotient: that of `remainder * 2^64 + low`, where `remainder` is below the divisor, and becomes what
    /// remains.
    #[inline(always)]
    fn divide(&self, remainder: &mut [u64; D], low: u64) -> u64 {
        if remainder[D - 1] == 0 {
            *remainder = std::array::from_fn(|limb| if limb == 0 { low } else { remainder[limb - 1] });
            return self.subtract_once(remainder);
        }
        let top = pair(remainder[D - 1], remainder[D - 2]);
        if D == 2 {
            let (quotient, left) = self.top.divide(top, low);
            (remainder[D - 1], remainder[D - 2]) = limbs(left);
            return quotient;
        }
        if top >= pair(self.limbs[D - 1], self.limbs[D - 2]) {
            return self.divide_equal_tops(remainder, low);
        }
        let (quotient, left) = self.top.divide(top, remainder[D - 3]);
        let (mut window, mut owed) = (low, 0);
        for limb in 0..D - 2 {
            let difference;
            (difference, owed) = subtract_product(window, quotient, self.limbs[limb], owed);
            (window, remainder[limb]) = (remainder[limb], difference);
        }
        let (left, below) = left.overflowing_sub(u128::from(owed));
        (remainder[D - 1], remainder[D - 2]) = limbs(left);
        if below {
            self.add_back(remainder, quotient)
        } else {
            quotient
        }
    }

    /// Takes the divisor from `remainder`, which has as many limbs and is less than twice as large therefore; how often
    /// it was in it.
    #[inline(always)]
    fn subtract_once(&self, remainder: &mut [u64; D]) -> u64 {
        let mut difference = [0; D];
        let mut borrow = false;
        for limb in 0..D {
            (difference[limb], borrow) = subtract(remainder[limb], self.limbs[limb], borrow);
        }
        if borrow {
            return 0;
        }
        *remainder = difference;
        1
    }

    /// [`Self::divide`] where the two highest limbs of remainder and divisor are equal, so that their quotient has more
    /// than one limb. The divisor is larger by less than `2^(64 * (D - 2))` then, so that the quotient is the largest limb:
    /// `remainder * 2^64 + low - (2^64 - 1) * divisor`, which is `divisor + low - (divisor - remainder) * 2^64`, is neither
    /// negative nor as large as the divisor.
    #[cold]
    #[inline(always)]
    fn divide_equal_tops(&self, remainder: &mut [u64; D], low: u64) -> u64 {
        let (mut window, mut owed) = (low, 0);
        for limb in 0..D {
            let difference;
            (difference, owed) = subtract_product(window, u64::MAX, self.limbs[limb], owed);
            (window, remainder[limb]) = (remainder[limb], difference);
        }
        u64::MAX
    }

    /// The quotient by the two highest limbs was one too large.
    #[cold]
    #[inline(always)]
    fn add_back(&self, remainder: &mut [u64; D], quotient: u64) -> u64 {
        let mut carry = false;
        for limb in 0..D {
            (remainder[limb], carry) = add(remainder[limb], self.limbs[limb], carry);
        }
        quotient - 1
    }
}

/// The low limb of `from - factor * limb - owed`, and what the next higher limb owes.
#[inline(always)]
fn subtract_product(from: u64, factor: u64, limb: u64, owed: u64) -> (u64, u64) {
    let (taken_high, taken_low) = limbs(u128::from(factor) * u128::from(limb) + u128::from(owed));
    let (difference, borrow) = from.overflowing_sub(taken_low);
    // A product of limbs and a limb more leave room for one.
    (difference, taken_high + u64::from(borrow))
}
