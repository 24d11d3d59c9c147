//! Against ruint and revm's interpreter, over words whose lengths and limbs are where the algorithms branch.

use alloy_primitives::U256;
use revm::interpreter::instructions::i256::{i256_div, i256_mod};

use super::{
    PairDivisor, add_modulo, divide, divide_signed, limb_reciprocal, multiply_modulo, pair,
    reciprocal::{LimbByReciprocal, PairByReciprocal, portable_limb_reciprocal},
    remainder, remainder_signed,
};

/// Random operand sets of a test: fewer where each is interpreted.
const SETS: usize = if cfg!(miri) { 300 } else { 400_000 };

#[test]
fn quotients_and_remainders_of_edge_words() {
    let edges = edges();
    for &a in &edges {
        for &b in &edges {
            check_division(a, b);
        }
    }
}

#[test]
fn quotients_and_remainders_of_random_words() {
    let mut random = Random(1);
    for _ in 0..SETS {
        let (a, b) = (random.word(), random.word());
        check_division(a, b);
        check_division(a, near(a, &mut random));
    }
}

/// A product and a little less or more: quotients whose estimates are off, and remainders next to zero and the divisor.
#[test]
fn quotients_next_to_whole_ones() {
    let mut random = Random(2);
    for _ in 0..SETS {
        let (quotient, divisor) = (random.word(), random.word());
        check_division(near(quotient.wrapping_mul(divisor), &mut random), divisor);
        if let Some(whole) = quotient.checked_div(divisor) {
            check_division(near(whole.wrapping_mul(divisor), &mut random), divisor);
        }
    }
}

/// Where Knuth's estimate has its rare corrections: dividends that begin with the divisor, divisors whose upper limbs are
/// all ones or only one bit.
#[test]
fn quotients_whose_estimate_is_at_its_limit() {
    let mut random = Random(3);
    for _ in 0..SETS {
        let divisor = random.limit_word();
        let begins = (divisor << random.below(256)) | random.word() >> (1 + random.below(255));
        check_division(begins, divisor);
        check_division(begins.wrapping_sub(U256::ONE), divisor);
        check_division(random.limit_word(), divisor);
        check_modulo(random.limit_word(), random.limit_word(), divisor);
        check_modulo(
            divisor.wrapping_sub(U256::ONE),
            near(divisor, &mut random),
            divisor,
        );
    }
}

#[test]
fn remainders_of_sums_and_products_of_edge_words() {
    let edges = edges();
    let mut random = Random(4);
    for &a in &edges {
        for &b in &edges {
            for &modulus in &edges {
                if !cfg!(miri) || random.below(200) == 0 {
                    check_modulo(a, b, modulus);
                }
            }
        }
    }
}

#[test]
fn remainders_of_sums_and_products_of_random_words() {
    let mut random = Random(5);
    for _ in 0..SETS {
        let (a, b, modulus) = (random.word(), random.word(), random.word());
        check_modulo(a, b, modulus);
        check_modulo(near(modulus, &mut random), b, modulus);
        if !modulus.is_zero() {
            check_modulo(a % modulus, b % modulus, modulus);
        }
    }
}

/// A modulus that comes again goes by its reciprocal.
#[test]
fn remainders_by_a_modulus_again() {
    let mut random = Random(6);
    for _ in 0..SETS / 32 {
        let modulus = if random.below(2) == 0 {
            random.word() | U256::ONE << (192 + random.below(64))
        } else {
            random.limit_word()
        };
        for _ in 0..16 {
            let (a, b) = (random.word(), random.limit_word());
            check_modulo(a, b, modulus);
            check_modulo(a % modulus, b % modulus, modulus);
            check_modulo(
                modulus.wrapping_sub(U256::from(1 + random.below(3))),
                near(modulus, &mut random),
                modulus,
            );
        }
    }
}

/// More moduli than are remembered, in turns, so that each takes another's place.
#[test]
fn remainders_by_many_moduli_in_turns() {
    let mut random = Random(7);
    let moduli: Vec<_> = (0..40).map(|_| random.word() | U256::ONE << 254).collect();
    for _ in 0..SETS / 8 {
        let modulus = moduli[random.below(moduli.len())];
        check_modulo(random.word(), random.word(), modulus);
    }
}

#[test]
fn one_limb_of_quotient_by_reciprocals() {
    let mut random = Random(8);
    for _ in 0..SETS {
        let divisor = random.limb().max(1);
        let (high, low) = (random.limb() % divisor, random.limb());
        let numerator = pair(high, low);
        assert_eq!(
            LimbByReciprocal::new(divisor).divide(high, low),
            (
                (numerator / u128::from(divisor)) as u64,
                (numerator % u128::from(divisor)) as u64
            ),
            "{high:#x} {low:#x} / {divisor:#x}"
        );
        let normal = divisor | 1 << 63;
        assert_eq!(limb_reciprocal(normal), portable_limb_reciprocal(normal));
    }
}

#[test]
fn one_limb_of_quotient_by_two() {
    let mut random = Random(9);
    for _ in 0..SETS {
        let divisor = pair(random.limb() | 1 << 63, random.limb());
        let high = match random.below(3) {
            0 => divisor - 1 - u128::from(random.limb() % 4),
            1 => divisor - 1 - u128::from(random.limb() >> 1),
            _ => pair(random.limb(), random.limb()) % divisor,
        };
        let low = random.limb();
        let numerator: U256 = U256::from(high) << 64 | U256::from(low);
        let (quotient, remainder) = numerator.div_rem(U256::from(divisor));
        let expected = (quotient.to::<u64>(), remainder.to::<u128>());
        assert_eq!(
            PairByReciprocal::new(divisor).divide(high, low),
            expected,
            "{high:#x} {low:#x} / {divisor:#x}"
        );
        assert_eq!(
            super::PairByLimb::new(divisor).divide(high, low),
            expected,
            "{high:#x} {low:#x} / {divisor:#x}"
        );
    }
}

fn check_division(a: U256, b: U256) {
    assert_eq!(
        divide(a, b),
        a.checked_div(b).unwrap_or_default(),
        "{a:#x} / {b:#x}"
    );
    assert_eq!(
        remainder(a, b),
        a.checked_rem(b).unwrap_or_default(),
        "{a:#x} % {b:#x}"
    );
    for (a, b) in [(a, b), (a.wrapping_neg(), b), (a, b.wrapping_neg())] {
        assert_eq!(divide_signed(a, b), i256_div(a, b), "{a:#x} / {b:#x} signed");
        assert_eq!(remainder_signed(a, b), i256_mod(a, b), "{a:#x} % {b:#x} signed");
    }
}

fn check_modulo(a: U256, b: U256, modulus: U256) {
    assert_eq!(
        add_modulo(a, b, modulus),
        a.add_mod(b, modulus),
        "{a:#x} + {b:#x} % {modulus:#x}"
    );
    assert_eq!(
        multiply_modulo(a, b, modulus),
        a.mul_mod(b, modulus),
        "{a:#x} * {b:#x} % {modulus:#x}"
    );
}

/// Powers of two and their neighbours at every limb, and words of ones.
fn edges() -> Vec<U256> {
    let mut edges = vec![
        U256::ZERO,
        U256::MAX,
        U256::MAX - U256::ONE,
        U256::from(3),
        U256::from(10),
    ];
    for bit in [
        0, 1, 31, 32, 63, 64, 65, 127, 128, 129, 160, 191, 192, 193, 254, 255,
    ] {
        let power: U256 = U256::ONE << bit;
        edges.extend([power, power - U256::ONE, power + U256::ONE, power.wrapping_neg()]);
        edges.push(U256::MAX << bit >> 1);
    }
    edges
}

/// `word`, or at most three away.
fn near(word: U256, random: &mut Random) -> U256 {
    word.wrapping_add(U256::from(random.below(7)))
        .wrapping_sub(U256::from(3))
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 32) as usize % limit
    }

    /// A limb of any length, often at a limit.
    fn limb(&mut self) -> u64 {
        let limb = self.next() >> self.below(64);
        match self.below(8) {
            0 => u64::MAX,
            1 => 0,
            2 => 1 << 63,
            3 => limb.wrapping_neg(),
            _ => limb,
        }
    }

    /// A word of any length.
    fn word(&mut self) -> U256 {
        U256::from_limbs(std::array::from_fn(|_| self.next())) >> self.below(257)
    }

    /// A word of any length whose limbs are often at a limit; not zero.
    fn limit_word(&mut self) -> U256 {
        (U256::from_limbs(std::array::from_fn(|_| self.limb())) >> self.below(256))
            | U256::from(self.next() & 1 | 2)
    }
}
