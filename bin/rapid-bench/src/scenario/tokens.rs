//! Transfers of one token.

use super::{Draft, world::TOKENS};
use crate::{chain::Intent, contracts};
use alloy_primitives::Address;

/// Above what a transfer takes; from Amsterdam on a new slot costs more (EIP-8037).
pub(super) const TRANSFER_GAS: u64 = 300_000;

/// A transfer of the smallest unit.
pub(super) fn transfer(token: Address, to: Address) -> Intent {
    Intent::call(token, TRANSFER_GAS, contracts::transfer(to, 1))
}

/// The senders in turn, each time to a holder that nobody else sends to.
pub(super) fn independent(draft: &mut Draft) {
    let token = token_of_senders(draft);
    for _ in 0..draft.count {
        let to = holder(draft, token);
        draft.push(draft.sender_in_turn(), transfer(token, to));
    }
}

/// The senders in turn, to so many holders in turn.
pub(super) fn hot(draft: &mut Draft, holders: usize) {
    let token = token_of_senders(draft);
    let holders: Vec<_> = (0..holders).map(|_| holder(draft, token)).collect();
    for index in 0..draft.count {
        let to = holders[index % holders.len()];
        draft.push(draft.sender_in_turn(), transfer(token, to));
    }
}

fn token_of_senders(draft: &mut Draft) -> Address {
    let token = draft.world.token();
    for number in 0..draft.senders.len() {
        draft.world.mint(token, draft.sender(number), TOKENS);
    }
    token
}

/// Somebody who has some of the token already.
pub(super) fn holder(draft: &mut Draft, token: Address) -> Address {
    let holder = draft.world.address();
    draft.world.mint(token, holder, 1);
    holder
}
