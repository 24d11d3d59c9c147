//! What is wrong.

use std::fmt::Debug;

use rapid_consensus::PostExecutionError;
use rapid_state::{Conflict, OutOfMemory, VersionGone};
use rapid_trie::TrieError;

/// Why a block that is valid was not made as it must be.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Production did something else than executing one after the other does.
    #[error("{what}: {found}, but one after the other {expected}")]
    Differs {
        /// What of the block.
        what: String,
        /// In production.
        found: String,
        /// One after the other, in the order of production.
        expected: String,
    },
    /// The block made in its own order is not what its header says.
    #[error("not what the header says: {0}")]
    Header(#[from] PostExecutionError),
    /// The outcome is not what the test says.
    #[error("{what} {found}, expected {expected}")]
    Unexpected {
        /// What of it.
        what: &'static str,
        /// In production.
        found: String,
        /// What the test says.
        expected: String,
    },
    /// Production stopped at a transaction for a reason that is never right here.
    #[error("transaction {index} was given back: {reason}")]
    GivenBack {
        /// Its place in the block.
        index: usize,
        /// Why.
        reason: String,
    },
    /// What precedes the transactions failed, or what a worker gave back could not be taken up.
    #[error("execution failed: {0}")]
    Execution(String),
    /// The block is not on one that was checked before.
    #[error("the state of the parent is not known")]
    UnknownParent,
    /// The workers did not start.
    #[error("workers: {0}")]
    Workers(#[from] std::io::Error),
    /// A version that was just made is gone.
    #[error(transparent)]
    VersionGone(#[from] VersionGone),
    /// There is no room for the state.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// The state was not empty.
    #[error("a new state is not empty: {0:?}")]
    NotEmpty(Conflict),
    /// The trie failed.
    #[error(transparent)]
    Trie(#[from] TrieError),
}

impl From<Conflict> for Fault {
    fn from(conflict: Conflict) -> Self {
        Self::NotEmpty(conflict)
    }
}

/// Fails if production found something else than one after the other.
pub(crate) fn compare<T: PartialEq + Debug>(
    what: impl FnOnce() -> String,
    found: &T,
    expected: &T,
) -> Result<(), Fault> {
    if found == expected {
        return Ok(());
    }
    Err(Fault::Differs {
        what: what(),
        found: format!("{found:?}"),
        expected: format!("{expected:?}"),
    })
}
