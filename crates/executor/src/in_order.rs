//! What is left to do when a hint is not proven: the block in its order, with every result that the truth does not touch.

use std::fmt::Debug;

use alloy_primitives::{Address, map::HashSet};
use rapid_evm::{BlockExecutor, BlockHashes, Executed, ExecutionError, Promised};
use rapid_primitives::{AccountChange, DiffBuilder, ReadState, Receipt};
use rapid_state::{Draft, DraftReader, StateKey, VersionGone};

use crate::{
    attempt::{Attempt, Effect, Outcome, index_of},
    block_hint::HintKind,
    claims::Agreement,
    hinted_block::accessed,
    hinted_state::Reads,
    hints::Hints,
    validation::ValidationError,
};

/// Results made in vain after which the others are told to end, if they were more than those that counted. What a lie costs is
/// then bounded by what was made before it was met.
const IN_VAIN_MAX: u64 = 16;

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

    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.storages.is_empty()
    }

    /// Whether something that was read is not what it was said to be.
    fn spoils(&self, reads: &Reads) -> bool {
        if self.is_empty() {
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
    poison: Poison<'a>,
    executed_again: u64,
    /// Results that did not count or will not, and those that did although something was poisoned.
    in_vain: u64,
    counted: u64,
    /// Whether the hint is of no more use: what is left is executed as if there were none.
    is_given_up: bool,
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
            poison: Poison::new(attempt.hints, attempt.base),
            executed_again: 0,
            in_vain: 0,
            counted: 0,
            is_given_up: false,
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
        if self.is_given_up {
            return self.execute(position);
        }
        self.attempt.schedule.take(position);
        let Some(outcome) = self.attempt.take_outcome(position) else {
            return self.execute(position);
        };
        if self.poison.spoils(&outcome.reads) {
            self.note_in_vain();
            return self.execute(position);
        }
        self.counted += u64::from(!self.poison.is_empty());
        self.take_in(position, outcome)
    }

    fn note_in_vain(&mut self) {
        self.in_vain += 1;
        if self.in_vain >= IN_VAIN_MAX && self.in_vain > self.counted {
            self.attempt.stop();
            self.is_given_up = true;
        }
    }

    fn execute(&mut self, position: usize) -> Result<Receipt, ExecutionError<VersionGone>> {
        let input = &self.attempt.input;
        let Executed { receipt, changes, .. } = self
            .executor
            .execute(&input.transactions[position], input.senders[position])?;
        self.executed_again += 1;
        if self.is_given_up {
            self.diff.push(index_of(position), &changes);
            return Ok(receipt);
        }
        // Whether what others are at is of use shows in whether claims still come true.
        let index = index_of(position);
        match self.attempt.hints.agree_with_changes(index, &changes) {
            true => self.counted += 1,
            false => self.note_in_vain(),
        }
        self.differs(index, &changes)?;
        Ok(receipt)
    }

    /// Takes in a result that is true, since everything it depends on was.
    fn take_in(&mut self, position: usize, outcome: Outcome) -> Result<Receipt, ExecutionError<VersionGone>> {
        let transaction = &self.attempt.input.transactions[position];
        let index = index_of(position);
        let result = outcome.result.map_err(|error| *error)?;
        match outcome.effect {
            Effect::Claimed => {
                let receipt = self.executor.absorb(transaction, result)?;
                let changes = self.attempt.hints.changes_at(index);
                self.executor.apply_changes(&changes)?;
                if self.attempt.hints.kind == HintKind::Declared {
                    let keys = outcome
                        .reads
                        .hinted
                        .iter()
                        .map(|key| self.attempt.hints.key(*key));
                    self.executor.absorb_accesses(keys.map(accessed), &changes);
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
                    self.executor.take_in(transaction, result, *journal)?;
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
        let claimed = self.attempt.hints.changes_at(index);
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
