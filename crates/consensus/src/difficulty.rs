//! Difficulty before the merge.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_primitives::U256;
use rapid_chainspec::{ChainSpec, EthereumHardfork as Fork, EthereumHardforks};

/// The difficulty never falls below this (yellow paper, 4.4.4).
const MIN_DIFFICULTY: u64 = 131_072;

/// One step of adjustment is this fraction of the parent's difficulty.
const BOUND_DIVISOR: u64 = 2048;

/// The step is at most this many times negative (EIP-2, EIP-100).
const MAX_STEPS_DOWN: u64 = 99;

/// Blocks in one period of the difficulty bomb.
const BOMB_PERIOD_BLOCKS: u64 = 100_000;

/// By how many blocks each fork set the bomb back (EIP-649, EIP-1234, EIP-2384, EIP-3554, EIP-4345, EIP-5133), newest
/// first.
const BOMB_DELAYS: [(Fork, u64); 6] = [
    (Fork::GrayGlacier, 11_400_000),
    (Fork::ArrowGlacier, 10_700_000),
    (Fork::London, 9_700_000),
    (Fork::MuirGlacier, 9_000_000),
    (Fork::Constantinople, 5_000_000),
    (Fork::Byzantium, 3_000_000),
];

/// Difficulty of the child of `parent` at `timestamp` on a chain that is not merged: the parent's, adjusted to the time
/// between them (Frontier, EIP-2, EIP-100), plus the bomb.
#[must_use]
pub fn next_difficulty(spec: &ChainSpec, parent: &Header, timestamp: u64) -> U256 {
    let number = parent.number.saturating_add(1);
    let elapsed = timestamp.saturating_sub(parent.timestamp);
    let step = parent.difficulty / U256::from(BOUND_DIVISOR);
    let (up, down) = if spec.is_byzantium_active_at_block(number) {
        let base = if parent.ommers_hash == EMPTY_OMMER_ROOT_HASH {
            1
        } else {
            2
        };
        steps(base, elapsed / 9)
    } else if spec.is_homestead_active_at_block(number) {
        steps(1, elapsed / 10)
    } else if elapsed < 13 {
        (1, 0)
    } else {
        (0, 1)
    };
    let adjusted = parent
        .difficulty
        .saturating_add(step.saturating_mul(U256::from(up)))
        .saturating_sub(step.saturating_mul(U256::from(down)));
    adjusted
        .saturating_add(bomb(spec, number))
        .max(U256::from(MIN_DIFFICULTY))
}

/// `max(base - intervals, -99)` as steps up and steps down.
const fn steps(base: u64, intervals: u64) -> (u64, u64) {
    let down = intervals.saturating_sub(base);
    (
        base.saturating_sub(intervals),
        if down > MAX_STEPS_DOWN {
            MAX_STEPS_DOWN
        } else {
            down
        },
    )
}

/// Doubles every 100,000 blocks, counted from two periods after the delay.
fn bomb(spec: &ChainSpec, number: u64) -> U256 {
    let delay = BOMB_DELAYS
        .into_iter()
        .find(|(fork, _)| spec.is_ethereum_fork_active_at_block(*fork, number))
        .map_or(0, |(_, delay)| delay);
    match (number.saturating_sub(delay) / BOMB_PERIOD_BLOCKS).checked_sub(2) {
        None => U256::ZERO,
        Some(doublings) => U256::ONE.saturating_shl(usize::try_from(doublings).unwrap_or(usize::MAX)),
    }
}
