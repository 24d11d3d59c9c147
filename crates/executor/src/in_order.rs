//! What is left to do when a hint is not proven: the block in its order, with every result that the truth does not touch.

use std::fmt::Debug;

use alloy_primitives::{Address, map::HashSet};
use rapid_evm::{BlockExecutor, BlockHashes, Executed, ExecutionError, Promised};
use rapid_primitives::{AccountChange, DiffBuilder, ReadState, Receipt};
use rapid_state::{Draft, DraftReader, VersionGone};

use crate::{
    attempt::{Attempt, Effect, Outcome, index_of},
    claims::{Agreement, ClaimsByIndex},
    hinted_state::{Reads, StateKey},
    hints::{HintKind, Hints},
    validation::ValidationError,
};

/// Keys that are not what the hint says at the place in the block that has been reached.
#[derive(Debug)]
struct Poison<'a> {
    hints: &'a Hints<'a>,
    base: &'a DraftReader,
    keys: HashSet<StateKey>,
    /// Accounts that lost their storage in truth or by the hint, not both: any of their slots may differ.
    storages: HashSet<Address>,
}

impl<'a> Poison<'a> {
    fn new(hints: &'a Hints<'a>, base: &'a DraftReader) -> Self {
        Self {
            hints,
            base,
            keys: HashSet::default(),
            storages: HashSet::default(),
        }
    }

    /// Whether something that was read is not what it was said to be.
    fn spoils(&self, reads: &Reads) -> bool {
        if self.keys.is_empty() && self.storages.is_empty() {
            return false;
        }
        let spoiled = |key: StateKey| {
            self.keys.contains(&key)
                || matches!(key, StateKey::Slot(address, _) if self.storages.contains(&address))
        };
        reads.hinted.iter().any(|key| spoiled(self.hints.key(*key)))
            || reads.others.iter().any(|key| spoiled(*key))
    }

    /// Compares what a transaction left with what it was said to leave, where either says that something changed.
    fn compare(&mut self, index: u32, truth: &Draft, changes: &[AccountChange]) -> Result<(), VersionGone> {
        for change in changes {
            let address = change.address;
            let said = self.hints.account_at(&address, index + 1, self.base)?;
            let differs = truth.account(&address)? != said;
            self.note(StateKey::Account(address), differs);
            for (slot, _) in &change.storage {
                let said = self.hints.slot_at(&address, slot, index + 1, self.base)?;
                let differs = truth.storage(&address, slot)? != said;
                self.note(StateKey::Slot(address, *slot), differs);
            }
        }
        Ok(())
    }

    fn note(&mut self, key: StateKey, differs: bool) {
        match differs {
            true => self.keys.insert(key),
            false => self.keys.remove(&key),
        };
    }

    fn compare_wipes(&mut self, truth: &[AccountChange], said: &[AccountChange]) {
        let wiped = |changes: &[AccountChange]| -> HashSet<Address> {
            let wiped = changes.iter().filter(|change| change.clears_storage());
            wiped.map(|change| change.address).collect()
        };
        let (truth, said) = (wiped(truth), wiped(said));
        self.storages.extend(truth.symmetric_difference(&said));
    }
}

/// A block on its way, one transaction after the other.
pub(crate) struct InOrder<'b, 'a, H: BlockHashes + Debug> {
    attempt: &'b Attempt<'a, H>,
    executor: &'b mut BlockExecutor<Draft, &'a H>,
    diff: &'b mut DiffBuilder,
    claims: ClaimsByIndex<'a>,
    poison: Poison<'a>,
    executed_again: u64,
}

impl<'b, 'a, H: BlockHashes + Debug + Sync> InOrder<'b, 'a, H> {
    pub(crate) fn new(
        attempt: &'b Attempt<'a, H>,
        executor: &'b mut BlockExecutor<Draft, &'a H>,
        diff: &'b mut DiffBuilder,
    ) -> Self {
        Self {
            attempt,
            executor,
            diff,
            claims: attempt.hints.by_index(),
            poison: Poison::new(attempt.hints, attempt.base),
            executed_again: 0,
        }
    }

    /// Takes in all transactions, and executes those whose results are not there or do not count.
    ///
    /// Others may still be executing; whatever they are at is executed here as well, instead of waiting for it.
    pub(crate) fn run(mut self) -> Result<Vec<Receipt>, ValidationError> {
        let count = self.attempt.input.transactions.len();
        let mut receipts = Vec::with_capacity(count);
        for position in 0..count {
            let receipt = self
                .next(position)
                .map_err(|error| ValidationError::Transaction {
                    index: position,
                    error,
                })?;
            receipts.push(receipt);
        }
        metrics::counter!("rapid_reth_executor_transactions_executed_in_order_total")
            .increment(self.executed_again);
        Ok(receipts)
    }

    fn next(&mut self, position: usize) -> Result<Receipt, ExecutionError<VersionGone>> {
        let transaction = &self.attempt.input.transactions[position];
        self.executor.check_fits(transaction, Promised::default())?;
        self.attempt.schedule.take(position);
        match self.attempt.take_outcome(position) {
            Some(outcome) if !self.poison.spoils(&outcome.reads) => self.take_in(position, outcome),
            _ => self.execute(position),
        }
    }

    fn execute(&mut self, position: usize) -> Result<Receipt, ExecutionError<VersionGone>> {
        let input = &self.attempt.input;
        let Executed { receipt, changes, .. } = self
            .executor
            .execute(&input.transactions[position], input.senders[position])?;
        self.executed_again += 1;
        self.differs(index_of(position), &changes)?;
        Ok(receipt)
    }

    /// Takes in a result that is true, since everything it depends on was.
    fn take_in(&mut self, position: usize, outcome: Outcome) -> Result<Receipt, ExecutionError<VersionGone>> {
        let transaction = &self.attempt.input.transactions[position];
        let index = index_of(position);
        let result = outcome.result?;
        match outcome.effect {
            Effect::Claimed => {
                let receipt = self.executor.absorb(transaction, result)?;
                let changes = self.claims.changes_at(index);
                self.executor.apply_changes(&changes)?;
                if self.attempt.hints.kind == HintKind::Declared {
                    let keys = outcome
                        .reads
                        .hinted
                        .iter()
                        .map(|key| self.attempt.hints.key(*key));
                    self.executor.absorb_accesses(keys.map(Into::into), &changes);
                }
                self.diff.push(index, &changes);
                Ok(receipt)
            }
            Effect::Changes(changes) => {
                let receipt = self.executor.absorb(transaction, result)?;
                self.executor.apply_changes(&changes)?;
                self.differs(index, &changes)?;
                Ok(receipt)
            }
            Effect::Journal(journal, agreement) => {
                let Executed { receipt, changes, .. } =
                    self.executor.take_in(transaction, result, journal)?;
                match agreement {
                    Agreement::Different => self.differs(index, &changes)?,
                    _ => self.diff.push(index, &changes),
                }
                Ok(receipt)
            }
        }
    }

    /// Goes on from changes that may not be those claimed.
    fn differs(&mut self, index: u32, changes: &[AccountChange]) -> Result<(), ExecutionError<VersionGone>> {
        self.diff.push(index, changes);
        let claimed = self.claims.changes_at(index);
        let truth = self.executor.state();
        let compared = self
            .poison
            .compare(index, truth, changes)
            .and_then(|()| self.poison.compare(index, truth, &claimed));
        compared.map_err(ExecutionError::State)?;
        self.poison.compare_wipes(changes, &claimed);
        Ok(())
    }
}
