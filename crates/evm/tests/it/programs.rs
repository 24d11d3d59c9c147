//! Contracts to run. The first is called; it may call the second.

use alloy_primitives::hex;

/// Sums the numbers up to its input.
pub(crate) const SUM: &[u8] = &hex!("5f355f5b811560145781019060019003906003565b5f5260205ff3");

/// `transfer(to, amount)` of a token, without a selector: two balances in a mapping, a log. Reverts with the amount if it
/// is 2^128 or more.
pub(crate) const TOKEN: &[u8] = &hex!(
    "6020358060801c604057335f525f60205260405f20805482900390555f355f5260405f20805482019055"
    "5f525f353363ddf252ad60205fa360015f5260205ff35b5f5260205ffd"
);

/// Calls the second with its input, five times, and returns the sum of the answers.
pub(crate) const CALLS: &[u8] = &hex!(
    "5f355f525f60055b6020602060205f5f73c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c15af150"
    "602051820191506001900380600757505f5260205ff3"
);

/// Runs the second as itself and returns whether that went well, and what it answered.
pub(crate) const DELEGATES: &[u8] =
    &hex!("365f5f3760205f365f73c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c15af45f523d5f60203e60405ff3");

/// Lets the second look, but not write, and returns whether that went well.
pub(crate) const LOOKS: &[u8] =
    &hex!("5f5f5f5f73c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c161fffffa5f5260205ff3");

/// Calls itself as deep as the gas goes.
pub(crate) const RECURSES: &[u8] = &hex!("60205f5f5f5f305af160205f535f51016001015f5260205ff3");

/// Creates a contract with the code of [`SUM`], calls it with its own input and returns the answer.
pub(crate) const CREATES: &[u8] = &hex!(
    "7f601b600a5f39601b5ff35f355f5b811560145781019060019003906003565b5f6000527f5260205f"
    "f300000000000000000000000000000000000000000000000000000060205260255f5ff05f355f5260"
    "205f60205f5f855af15060205ff3"
);

/// Never ends.
pub(crate) const BURNS: &[u8] = &hex!("5b600160020150600056");

/// Takes from an empty stack.
pub(crate) const UNDERFLOWS: &[u8] = &hex!("5b505001");

/// Fills the stack until there is no room.
pub(crate) const OVERFLOWS: &[u8] = &hex!("5b5f600056");

/// Jumps where its input says.
pub(crate) const JUMPS: &[u8] = &hex!("5f3556");

/// Each with what the second contract is.
pub(crate) const ALL: [(&str, &[u8], &[u8]); 13] = [
    ("sum", SUM, &[]),
    ("token", TOKEN, &[]),
    ("calls a sum", CALLS, SUM),
    ("calls what never ends", CALLS, BURNS),
    ("calls a token that reverts", CALLS, TOKEN),
    ("delegates", DELEGATES, TOKEN),
    ("looks at what writes", LOOKS, TOKEN),
    ("recurses", RECURSES, &[]),
    ("creates", CREATES, &[]),
    ("never ends", BURNS, &[]),
    ("underflows", UNDERFLOWS, &[]),
    ("overflows", OVERFLOWS, &[]),
    ("jumps", JUMPS, &[]),
];
