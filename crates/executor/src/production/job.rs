//! A transaction as the engine takes it in.

use std::sync::Arc;

use alloy_eips::Encodable2718;
use alloy_primitives::Address;
use rapid_primitives::TransactionSigned;

/// Classes that workers tell apart, highest first; the pool's lanes.
pub const CLASSES: usize = 5;

/// A transaction with its sender, shared between the thread that hands it out and the one that executes it.
pub trait Job: Clone + Send + 'static {
    /// The transaction.
    fn transaction(&self) -> &TransactionSigned;
    /// Who signed it.
    fn sender(&self) -> Address;
    /// Length of its EIP-2718 encoding in bytes.
    fn encoded_len(&self) -> usize;
}

impl Job for Arc<(TransactionSigned, Address)> {
    fn transaction(&self) -> &TransactionSigned {
        &self.0
    }

    fn sender(&self) -> Address {
        self.1
    }

    fn encoded_len(&self) -> usize {
        self.0.encode_2718_len()
    }
}

/// How urgent a transaction is: 0 goes first. What is beyond the last class counts as the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class(u8);

impl Class {
    /// The class of this rank.
    #[must_use]
    pub const fn new(rank: usize) -> Self {
        if rank < CLASSES {
            Self(rank as u8)
        } else {
            Self(CLASSES as u8 - 1)
        }
    }

    /// Its rank, below [`CLASSES`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How long a transaction is expected to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// Any worker may take it.
    Short,
    /// Not the worker that is kept free for short ones.
    Long,
}

/// A job on its way.
#[derive(Debug)]
pub(crate) struct Task<J> {
    pub(crate) job: J,
    pub(crate) class: Class,
}
