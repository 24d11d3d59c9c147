//! The handle of a thread that commits often: with what it read, credits and a withheld fee, and without allocating.

use alloy_primitives::{Address, U256};
use rapid_primitives::{AccountChange, CommitSequence};

use crate::{Conflict, ReadSet, State};

/// A worker's side of committing: a writer of its own, with memory that is used again. One per thread; two threads that
/// have the same number of 32 wait for each other.
#[derive(Debug)]
pub struct Writer {
    state: State,
    number: usize,
    balances: Vec<U256>,
}

/// What is to be committed, all or nothing.
#[derive(Clone, Copy, Debug)]
pub struct Commit<'a> {
    /// What has to be still as it was read.
    pub reads: &'a ReadSet,
    /// Absolute post-values.
    pub changes: &'a [AccountChange],
    /// Added after the changes, in this order.
    pub credits: &'a [Credit],
    /// Wei that the beneficiary named by [`State::withhold_for`] gets with the next version; not part of anything that
    /// is read before that.
    pub withheld: U256,
}

/// Wei added to whatever an account has when it is committed, so that it needs not be read: credits to one account
/// commute, and make no commit fail.
///
/// The account is made if it does not exist and gets something. It must not have code, which would have to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// The account.
    pub address: Address,
    /// How much it gets.
    pub wei: U256,
}

/// A commit that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed<'a> {
    /// Its place in the order of commits.
    pub sequence: CommitSequence,
    balances: &'a [U256],
}

impl Committed<'_> {
    /// The balance of each credited account after its credit, in the order of the credits; zero if it does not exist.
    #[must_use]
    pub const fn balances(&self) -> &[U256] {
        self.balances
    }
}

impl State {
    /// A handle for a thread that commits often.
    #[must_use]
    pub fn writer(&self) -> Writer {
        Writer {
            number: self.0.writers.number(),
            state: self.clone(),
            balances: Vec::new(),
        }
    }
}

impl Writer {
    /// Commits, if everything that was read is still as it was and what is credited has no code.
    ///
    /// Commits of all threads are as if they had been made one after the other in the order of their sequences; see
    /// [`State::commit`]. It allocates nothing, unless it writes more keys than ever before, or new code.
    ///
    /// # Panics
    /// If wei are withheld before [`State::withhold_for`] said for whom, and where [`State::commit`] does.
    ///
    /// # Errors
    /// [`Conflict`] with a key that changed after it was read, or with a credited account that has code, or whose balance
    /// would pass 2^256; nothing was written.
    pub fn commit(&mut self, commit: &Commit<'_>) -> Result<Committed<'_>, Conflict> {
        let shared = &self.state.0;
        let mut workspace = shared.writers.get(self.number);
        let sequence = shared.commit(&mut workspace, commit, &mut self.balances)?;
        Ok(Committed {
            sequence,
            balances: &self.balances,
        })
    }
}
