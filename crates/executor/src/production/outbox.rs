//! What workers give back: transactions with what became of them.

use std::{convert::Infallible, time::Duration};

use alloy_primitives::U256;
use rapid_evm::{ExecutionError, TransactionAccesses};
use rapid_primitives::{AccountChange, CommitSequence};
use rapid_state::StateKey;
use revm::context_interface::result::ExecutionResult;

use super::job::Task;

/// Conflicts a worker tells of between two looks at its outbox: enough to learn from.
const CONFLICTS_MAX: usize = 64;

/// A transaction that was executed and whose changes are in the state.
#[derive(Clone, Debug)]
pub struct Executed<J> {
    /// The transaction.
    pub job: J,
    /// Its commit: the order of the commits is the order of the transactions.
    pub sequence: CommitSequence,
    /// Result, gas and logs.
    pub result: ExecutionResult,
    /// What it changed, the fee left out.
    pub changes: Vec<AccountChange>,
    /// What it touched, the beneficiary left out; `None` before Amsterdam. On the heap, as what has none should not be larger
    /// for it.
    pub accesses: Option<Box<TransactionAccesses>>,
    /// What the beneficiary is owed for it in wei.
    pub fee: U256,
    /// How long its last execution took.
    pub nanoseconds: u32,
}

/// A transaction that was not executed; nothing was changed.
#[derive(Debug)]
pub struct Stopped<J> {
    /// The transaction.
    pub job: J,
    /// Why.
    pub reason: StopReason,
    /// Later transactions of its sender that were handed out and did not run because of it, by nonce.
    pub successors: Vec<J>,
}

/// Why a transaction was not executed.
#[derive(Debug)]
pub enum StopReason {
    /// A rule forbids it in this block and state.
    Refused(ExecutionError<Infallible>),
    /// It reads the hash of the parent block, which is not known yet.
    AwaitsParentHash,
    /// Executing it broke a worker. It must not be tried again.
    Panicked,
    /// The EVM failed; the process must stop.
    Failed(String),
}

/// Why a worker does not execute a transaction.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// It is not to be executed now.
    Stops(StopReason),
    /// It has to run while nothing else does.
    Alone(Alone),
}

/// Why a transaction has to run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alone {
    /// It looks at the beneficiary, from which fees are withheld.
    ReadsBeneficiary,
    /// It lost too many races.
    LostRaces,
}

/// An execution that was in vain: somebody else committed something it had read.
#[derive(Clone, Debug)]
pub(crate) struct Lost<J> {
    pub(crate) job: J,
    pub(crate) key: StateKey,
    pub(crate) nanoseconds: u32,
}

#[derive(Debug)]
pub(crate) enum Outcome<J> {
    Executed(Executed<J>),
    Stopped(Stop<J>),
}

/// A transaction that was not executed, as its worker tells.
#[derive(Debug)]
pub(crate) struct Stop<J> {
    pub(crate) job: J,
    pub(crate) obstacle: Obstacle,
    /// Later ones of its sender that the worker had.
    pub(crate) successors: Vec<Task<J>>,
}

/// One worker's, emptied by the thread that hands out.
#[derive(Debug)]
pub(crate) struct Outbox<J> {
    pub(crate) outcomes: Vec<Outcome<J>>,
    /// At most [`CONFLICTS_MAX`]; further ones are not told.
    lost: Vec<Lost<J>>,
    /// CPU time that the worker used.
    pub(crate) worked: Duration,
}

impl<J> Default for Outbox<J> {
    fn default() -> Self {
        Self {
            outcomes: Vec::new(),
            lost: Vec::new(),
            worked: Duration::ZERO,
        }
    }
}

impl<J> Outbox<J> {
    pub(crate) fn lost(&mut self, lost: Lost<J>) {
        if self.lost.len() < CONFLICTS_MAX {
            self.lost.push(lost);
        }
    }

    /// Empties it into vectors that are empty, whose memory it keeps.
    pub(crate) fn empty_into(&mut self, outcomes: &mut Vec<Outcome<J>>, lost: &mut Vec<Lost<J>>) -> Duration {
        std::mem::swap(&mut self.outcomes, outcomes);
        std::mem::swap(&mut self.lost, lost);
        std::mem::take(&mut self.worked)
    }
}
