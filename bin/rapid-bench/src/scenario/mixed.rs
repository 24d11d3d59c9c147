//! A block as a busy chain has it: few tokens, pools and senders are in many transactions.

use super::{
    Draft,
    computing::{Computing, computer},
    draws::{Draws, Zipf},
    kind::REPEATING_SENDERS,
    pools::swap,
    tokens::{holder, transfer},
    world::TOKENS,
};
use crate::{chain::Intent, contracts::Sell};
use alloy_primitives::U256;

const TOKEN_COUNT: usize = 60;
const TOKEN_EXPONENT: f64 = 1.2;
const POOL_COUNT: usize = 60;
const POOL_EXPONENT: f64 = 1.1;

/// Per cent of the transfers of tokens that go to popular holders, such as exchanges.
const POPULAR_SHARE: usize = 25;
/// Popular holders.
const POPULAR_COUNT: usize = 20;
/// Per cent of the transactions whose senders send more than once.
const REPEATING_SHARE: usize = 20;

/// 30 % payments, 40 % transfers of 60 tokens, 25 % swaps in 60 pools, 5 % that compute.
pub(super) fn mainnet_like(draft: &mut Draft, computing: Computing, seed: u64) -> eyre::Result<()> {
    let tokens: Vec<_> = (0..TOKEN_COUNT).map(|_| draft.world.token()).collect();
    let pools: Vec<_> = (0..POOL_COUNT).map(|_| draft.world.pool()).collect();
    let popular: Vec<_> = (0..POPULAR_COUNT).map(|_| draft.world.bystander()).collect();
    let computer = draft.world.place(computer()?);
    let (token_law, pool_law) = (
        Zipf::new(TOKEN_COUNT, TOKEN_EXPONENT),
        Zipf::new(POOL_COUNT, POOL_EXPONENT),
    );
    let mut draws = Draws::new(seed);
    // The first senders repeat; the others take turns, and none has a second one if there are enough of them.
    let repeating = REPEATING_SENDERS.min(draft.senders.len());
    let mut others = (repeating..draft.senders.len()).cycle();
    for _ in 0..draft.count {
        let repeats = draws.per_cent(REPEATING_SHARE);
        let sender = match others.next().filter(|_| !repeats) {
            Some(other) => other,
            None => draws.below(repeating),
        };
        let address = draft.sender(sender);
        let intent = match draws.below(100) {
            0..30 => Intent::payment(draft.world.bystander(), U256::ONE),
            30..70 => {
                let token = tokens[token_law.draw(&mut draws)];
                draft.world.mint(token, address, TOKENS);
                let to = if draws.per_cent(POPULAR_SHARE) {
                    popular[draws.below(popular.len())]
                } else {
                    holder(draft, token)
                };
                transfer(token, to)
            }
            70..95 => {
                let pool = pools[pool_law.draw(&mut draws)];
                draft.world.admit(address, &pool);
                let sell = if draws.per_cent(50) {
                    Sell::Token0
                } else {
                    Sell::Token1
                };
                swap(&pool, sell)
            }
            _ => computing.call(computer),
        };
        draft.push(sender, intent);
    }
    Ok(())
}
