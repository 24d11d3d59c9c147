//! What can go wrong, one type per caller who has to act.

use alloy_primitives::{Address, U256};
use rapid_primitives::CommitSequence;

/// The version asked for is not retained: trimmed, overrun, or not committed yet. The reader takes a newer snapshot
/// or asks history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("state version {version} is not between {oldest} and {newest}, the versions that are kept")]
pub struct VersionGone {
    /// The version asked for.
    pub version: CommitSequence,
    /// The oldest version that is kept.
    pub oldest: CommitSequence,
    /// The newest version.
    pub newest: CommitSequence,
}

/// One thing that can be read and written on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKey {
    /// Nonce, balance, code hash and existence of an account.
    Account(Address),
    /// A storage slot.
    Slot(Address, U256),
}

impl StateKey {
    /// The account that it is, or is of.
    #[must_use]
    pub const fn address(&self) -> &Address {
        match self {
            Self::Account(address) | Self::Slot(address, _) => address,
        }
    }
}

/// A commit was refused because something it read has changed since; nothing was written. The writer executes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key:?} changed after it was read")]
pub struct Conflict {
    /// The first key found to have changed.
    pub key: StateKey,
}

/// Why a draft cannot become the newest state; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// The state has moved on, or has not reached the draft's base: the chain rewinds or adopts the parent first.
    #[error("draft is based on state version {base}, newest is {newest}")]
    BaseNotNewest {
        /// Version the draft was begun on.
        base: CommitSequence,
        /// The newest version.
        newest: CommitSequence,
    },
    /// The draft was begun on another state: a mistake of the caller.
    #[error("draft belongs to another state")]
    OtherState,
}
