//! Numbers that find mistakes.

use revm::primitives::U256;

use crate::differential::Choices;

/// A word from the edges of what operations treat differently.
pub(super) fn word(choices: &mut Choices<'_>) -> U256 {
    match choices.below(12) {
        0..=2 => U256::from(choices.below(5)),
        3 => U256::from(*choices.pick(&[31, 32, 33, 63, 64, 65, 127, 128, 191, 192, 255, 256, 257, 1023])),
        4 => U256::MAX - U256::from(choices.below(34)),
        5 => near(U256::ONE << choices.below(256), choices),
        6 => near(U256::ONE << *choices.pick(&[63, 64, 128, 160, 192, 255]), choices),
        7 => U256::from(10).pow(U256::from(choices.below(78))),
        // An address or selector mask and its complement.
        8 => (U256::MAX >> choices.below(256)) ^ U256::from(choices.below(2)),
        9 => !(U256::MAX >> choices.below(256)),
        10 => random_bits(choices),
        _ => U256::from(choices.any()),
    }
}

fn near(value: U256, choices: &mut Choices<'_>) -> U256 {
    match choices.below(4) {
        0 | 1 => value,
        2 => value.wrapping_sub(U256::ONE),
        _ => value.wrapping_add(U256::ONE),
    }
}

fn random_bits(choices: &mut Choices<'_>) -> U256 {
    let limbs = [choices.any(), choices.any(), choices.any(), choices.any()];
    U256::from_limbs(limbs) >> choices.below(256)
}

/// A memory offset that can be paid for.
pub(super) fn offset(choices: &mut Choices<'_>) -> U256 {
    match choices.below(8) {
        0 => U256::ZERO,
        1..=3 => U256::from(32 * choices.below(12)),
        4 => U256::from(0x40),
        5 | 6 => U256::from(choices.below(256)),
        _ => U256::from(choices.below(2048)),
    }
}

/// A length that can be paid for.
pub(super) fn length(choices: &mut Choices<'_>) -> U256 {
    U256::from(match choices.below(6) {
        0 => 0,
        1 => 32,
        2 => 64,
        3 => choices.below(33),
        _ => choices.below(200),
    })
}

/// An offset or length that is too much, or nearly.
pub(super) fn huge(choices: &mut Choices<'_>) -> U256 {
    match choices.below(6) {
        0 => U256::from(1) << choices.between(17, 70),
        1 => U256::MAX - U256::from(choices.below(70)),
        2 => U256::from(u64::MAX - choices.below(70) as u64),
        3 => U256::from(u32::MAX) - U256::from(choices.below(70)),
        4 => U256::from(choices.between(4_000, 60_000)),
        _ => word(choices),
    }
}
