//! A transaction as the pool keeps it.

use std::{sync::Weak, time::Instant};

use alloy_consensus::Transaction;
use alloy_primitives::{Address, Bytes, TxHash, U256};
use parking_lot::Mutex;
use rapid_primitives::{Recovered, TransactionSigned};

use crate::{Lane, slot::Slot};

/// Where a transaction came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// This node's own RPC; has the privileges of [`crate::PoolConfig::is_local`].
    Local,
    /// Anywhere else.
    #[default]
    External,
}

/// A decoded transaction with its recovered sender, and everything about it that is asked for more than once.
///
/// Made by decoding, so the bytes are the canonical EIP-2718 encoding of the transaction and the hash is theirs.
#[derive(Debug)]
pub struct PooledTransaction {
    transaction: Recovered<TransactionSigned>,
    hash: TxHash,
    encoded: Bytes,
    cost: U256,
    arrival: Instant,
    /// Recovered signers of the authorisations of a type 4 transaction; filled in at admission.
    pub(crate) authorities: Vec<Address>,
    pub(crate) origin: Origin,
    pub(crate) lane: Lane,
    /// Its place in the ready queues while it has one. Locked for a pointer copy only.
    pub(crate) slot: Mutex<Weak<Slot>>,
}

impl PooledTransaction {
    pub(crate) fn new(transaction: Recovered<TransactionSigned>, encoded: Bytes) -> Self {
        let hash = *transaction.inner().tx_hash();
        let fees =
            U256::from(transaction.max_fee_per_gas()).saturating_mul(U256::from(transaction.gas_limit()));
        let cost = fees.saturating_add(transaction.value());
        Self {
            transaction,
            hash,
            encoded,
            cost,
            arrival: Instant::now(),
            authorities: Vec::new(),
            origin: Origin::default(),
            lane: Lane::default(),
            slot: Mutex::default(),
        }
    }

    /// The transaction with its sender.
    #[must_use]
    pub const fn recovered(&self) -> &Recovered<TransactionSigned> {
        &self.transaction
    }

    /// The transaction.
    #[must_use]
    pub const fn transaction(&self) -> &TransactionSigned {
        self.transaction.inner()
    }

    /// Who signed it.
    #[must_use]
    pub const fn sender(&self) -> Address {
        self.transaction.signer()
    }

    /// Its hash.
    #[must_use]
    pub const fn hash(&self) -> TxHash {
        self.hash
    }

    /// Its nonce.
    #[must_use]
    pub fn nonce(&self) -> u64 {
        self.transaction().nonce()
    }

    /// Its canonical EIP-2718 encoding, as it came in.
    #[must_use]
    pub const fn encoded(&self) -> &Bytes {
        &self.encoded
    }

    /// Length of the encoding in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.encoded.len()
    }

    /// Most that it pays per gas, in wei.
    #[must_use]
    pub fn fee_cap(&self) -> u128 {
        self.transaction().max_fee_per_gas()
    }

    /// Most that it pays the block's beneficiary per gas, in wei: the tip cap, or the gas price of types 0 and 1.
    #[must_use]
    pub fn tip_cap(&self) -> u128 {
        self.transaction().priority_fee_or_price()
    }

    /// Most that it can cost its sender, in wei: gas limit times fee cap, plus the value.
    #[must_use]
    pub const fn cost(&self) -> U256 {
        self.cost
    }

    /// When it was decoded.
    #[must_use]
    pub const fn arrival(&self) -> Instant {
        self.arrival
    }

    /// Where it came from; set at admission.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Its own lane by [`crate::LaneConfig`]; set at admission. While an earlier nonce of its sender waits in a lower
    /// lane, it waits there too.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        self.lane
    }
}
