//! Swaps.

use super::{Draft, world::Pool};
use crate::{
    chain::Intent,
    contracts::{self, Sell},
};

/// Above what a swap takes.
const SWAP_GAS: u64 = 180_000;
/// What a swap sells, in the smallest unit: so little that no number of swaps moves the price far.
const SWAP_AMOUNT: u128 = 1_000_000_000_000_000;

/// A swap in a pool.
pub(super) fn swap(pool: &Pool, sell: Sell) -> Intent {
    Intent::call(pool.pair, SWAP_GAS, contracts::swap(sell, SWAP_AMOUNT))
}

/// All senders in one pool, in both directions.
pub(super) fn hot(draft: &mut Draft) {
    let pool = draft.world.pool();
    for index in 0..draft.count {
        trade(draft, &pool, index);
    }
}

/// Each sender in a pool of its own.
pub(super) fn independent(draft: &mut Draft) {
    for index in 0..draft.count {
        let pool = draft.world.pool();
        trade(draft, &pool, index);
    }
}

fn trade(draft: &mut Draft, pool: &Pool, index: usize) {
    let sender = draft.sender_in_turn();
    draft.world.admit(draft.sender(sender), pool);
    let sell = if index.is_multiple_of(2) {
        Sell::Token0
    } else {
        Sell::Token1
    };
    draft.push(sender, swap(pool, sell));
}
