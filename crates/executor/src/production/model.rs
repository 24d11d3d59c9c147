//! Transactions for the tests under a model checker.

use std::sync::Arc;

use alloy_consensus::{Signed, TxLegacy};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};
use rapid_primitives::TransactionSigned;

use super::job::Job;

/// A transaction whose sender is who it says.
#[derive(Clone, Debug)]
pub(crate) struct Claimed {
    pub(crate) sender: Address,
    pub(crate) transaction: Arc<TransactionSigned>,
}

impl Claimed {
    /// The transaction with this nonce of sender number `sender`.
    pub(crate) fn new(sender: u8, nonce: u64, to: Address, value: u64) -> Self {
        Self::call(sender, nonce, (to, value, 21_000), Bytes::new())
    }

    /// A call of this contract, with a value and a limit for its gas.
    pub(crate) fn call(
        sender: u8,
        nonce: u64,
        (to, value, gas_limit): (Address, u64, u64),
        input: Bytes,
    ) -> Self {
        let transaction = TxLegacy {
            chain_id: None,
            nonce,
            gas_price: 10,
            gas_limit,
            to: TxKind::Call(to),
            value: U256::from(value),
            input,
        };
        Self {
            sender: sender_of(sender),
            transaction: Arc::new(Signed::new_unhashed(transaction, Signature::test_signature()).into()),
        }
    }
}

/// The address of a sender by its number.
pub(crate) const fn sender_of(number: u8) -> Address {
    Address::with_last_byte(0x40 + number)
}

impl Job for Claimed {
    fn transaction(&self) -> &TransactionSigned {
        &self.transaction
    }

    fn sender(&self) -> Address {
        self.sender
    }

    fn encoded_len(&self) -> usize {
        1
    }
}
