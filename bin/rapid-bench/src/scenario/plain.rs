//! Payments, and increments of one slot.

use super::Draft;
use crate::{chain::Intent, jit::assembler::assemble};
use alloy_primitives::{Bytes, U256};

/// Above what the first increment takes; from Amsterdam on a new slot costs more (EIP-8037).
const COUNTER_GAS: u64 = 300_000;

/// Each sender pays one wei to an account that nobody else pays.
pub(super) fn transfers(draft: &mut Draft) {
    for _ in 0..draft.count {
        let to = draft.world.bystander();
        draft.push(draft.sender_in_turn(), Intent::payment(to, U256::ONE));
    }
}

/// The senders in turn pay one wei to the next.
pub(super) fn circle(draft: &mut Draft) {
    for index in 0..draft.count {
        let to = draft.sender((index + 1) % draft.senders.len());
        draft.push(draft.sender_in_turn(), Intent::payment(to, U256::ONE));
    }
}

/// Each sender increments the same slot.
pub(super) fn counter(draft: &mut Draft) -> eyre::Result<()> {
    let counter = draft.world.place(assemble("0 SLOAD 1 ADD 0 SSTORE STOP")?);
    for _ in 0..draft.count {
        let call = Intent::call(counter, COUNTER_GAS, Bytes::new());
        draft.push(draft.sender_in_turn(), call);
    }
    Ok(())
}
