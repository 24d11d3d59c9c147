//! How long a transaction is going to take, from how long its like took.

use std::collections::HashMap;

use alloy_consensus::Transaction;
use alloy_primitives::{Address, Selector, map::FbBuildHasher};
use rapid_primitives::TransactionSigned;

use super::job::Length;

/// Gas limit from which a call may take long: what is below is short at any speed that matters.
const LONG_GAS: u64 = 1_000_000;

/// What takes this long keeps others waiting.
const LONG_NANOSECONDS: u32 = 1_000_000;

/// Calls that are remembered: the contracts of a busy chain with high limits. When full, all are forgotten.
const CALLS_MAX: usize = 4_096;

/// What calls with a high gas limit took.
#[derive(Debug, Default)]
pub(crate) struct Lengths(HashMap<Address, HashMap<Selector, u32>, FbBuildHasher<20>>, usize);

impl Lengths {
    /// What to expect of a transaction. One that nobody knows may use its gas.
    pub(crate) fn expect(&self, transaction: &TransactionSigned) -> Length {
        if transaction.gas_limit() < LONG_GAS {
            return Length::Short;
        }
        let known = call_of(transaction).and_then(|(to, selector)| self.0.get(&to)?.get(&selector));
        match known {
            Some(nanoseconds) if *nanoseconds < LONG_NANOSECONDS => Length::Short,
            _ => Length::Long,
        }
    }

    /// Notes how long one took: half of what is expected of the next is what the last one took.
    pub(crate) fn note(&mut self, transaction: &TransactionSigned, nanoseconds: u32) {
        if transaction.gas_limit() < LONG_GAS {
            return;
        }
        let Some((to, selector)) = call_of(transaction) else {
            return;
        };
        if self.1 >= CALLS_MAX {
            *self = Self::default();
        }
        let calls = self.0.entry(to).or_default();
        let before = calls.len();
        let known = calls.entry(selector).or_insert(nanoseconds);
        *known = *known / 2 + nanoseconds / 2;
        self.1 += calls.len() - before;
    }
}

fn call_of(transaction: &TransactionSigned) -> Option<(Address, Selector)> {
    let selector = transaction.input().first_chunk().copied().unwrap_or_default();
    Some((transaction.to()?, Selector::from(selector)))
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{Signed, TxLegacy};
    use alloy_primitives::{Bytes, Signature, TxKind};

    use super::*;

    fn call(gas_limit: u64, input: &[u8]) -> TransactionSigned {
        let call = TxLegacy {
            gas_limit,
            to: TxKind::Call(Address::with_last_byte(1)),
            input: Bytes::copy_from_slice(input),
            ..TxLegacy::default()
        };
        Signed::new_unhashed(call, Signature::test_signature()).into()
    }

    #[test]
    fn a_high_limit_is_long_until_its_like_was_short() {
        let mut lengths = Lengths::default();
        let (low, high) = (call(100_000, &[1, 2, 3, 4, 5]), call(5_000_000, &[1, 2, 3, 4, 6]));
        let other = call(5_000_000, &[4, 3, 2, 1]);
        assert_eq!(lengths.expect(&low), Length::Short);
        assert_eq!(lengths.expect(&high), Length::Long);
        lengths.note(&high, 20_000);
        assert_eq!(lengths.expect(&high), Length::Short);
        assert_eq!(lengths.expect(&other), Length::Long, "another function");
        lengths.note(&high, 50_000_000);
        assert_eq!(lengths.expect(&high), Length::Long);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut lengths = Lengths::default();
        for index in 0..2 * CALLS_MAX as u32 {
            lengths.note(&call(5_000_000, &index.to_be_bytes()), 1);
        }
        assert!(lengths.0.values().map(HashMap::len).sum::<usize>() <= CALLS_MAX);
    }
}
