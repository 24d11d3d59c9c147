//! The transactions of a block executed at once, each on what the hint says was before it.

use std::{
    fmt::Debug,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use alloy_consensus::Transaction;
use alloy_primitives::{Address, U256};
use rapid_evm::{BlockHashes, ExecutionError, Ran, ReceiptParts, TransactionExecutor, account_changes};
use rapid_primitives::{Account, AccountChange};
use rapid_state::{DraftReader, VersionGone, prefetch};
use rapid_sync::Mutex;
use revm::{context_interface::result::ExecutionResult, state::EvmState};

use crate::{
    ahead::Ahead,
    block_hint::HintKind,
    claims::Agreement,
    hinted_state::{HintedState, KeyId, Reads},
    hints::Hints,
    schedule::Schedule,
    transfer::{self, TransferRules, may_receive},
    validation::ValidationInput,
};

/// Transactions that are looked at before they are executed.
const LOOK_AHEAD: usize = 8;

/// No transaction.
const NOBODY: usize = usize::MAX;

/// What executing one transaction on its hinted state gave. A block has thousands, so what most do not have is apart.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) result: Result<ReceiptParts, Box<ExecutionError<VersionGone>>>,
    pub(crate) effect: Effect,
    /// What it depends on. Of a block with a declared list that it agrees with: all it touched.
    pub(crate) reads: Reads,
}

/// What it changed.
#[derive(Debug)]
pub(crate) enum Effect {
    /// What is claimed at its index. Also of a transaction that failed.
    Claimed,
    /// Something else.
    Changes(Box<[AccountChange]>),
    /// As a block access list records it.
    Journal(Box<EvmState>, Agreement),
}

/// One attempt to prove a hint.
pub(crate) struct Attempt<'a, H> {
    pub(crate) input: ValidationInput<'a, H>,
    pub(crate) hints: &'a Hints<'a>,
    /// The state before the first transaction.
    pub(crate) base: &'a DraftReader,
    pub(crate) schedule: Schedule,
    pub(crate) touched: TouchedKeys,
    outcomes: Vec<Mutex<Option<Outcome>>>,
    /// Transactions that workers who have ended settled.
    settled: AtomicUsize,
    /// The first transaction known not to have done what is claimed.
    doubt: AtomicUsize,
    stopped: AtomicBool,
    panicked: AtomicBool,
}

/// Keys of a hint that somebody touched.
#[derive(Debug)]
pub(crate) struct TouchedKeys(Vec<AtomicU64>);

impl TouchedKeys {
    pub(crate) fn new(count: usize) -> Self {
        Self((0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn insert(&self, key: KeyId) {
        let (word, bit) = (&self.0[key as usize / 64], 1 << (key % 64));
        // Most were touched before, and a word that is only read stays in every core's cache.
        if word.load(Relaxed) & bit == 0 {
            word.fetch_or(bit, Relaxed);
        }
    }

    /// Whether all of so many are in.
    pub(crate) fn is_all(&self, count: usize) -> bool {
        let inserted: u32 = self.0.iter().map(|word| word.load(Relaxed).count_ones()).sum();
        inserted as usize == count
    }
}

impl<'a, H: BlockHashes + Sync + Debug> Attempt<'a, H> {
    pub(crate) fn new(
        input: ValidationInput<'a, H>,
        hints: &'a Hints<'a>,
        base: &'a DraftReader,
        workers: usize,
    ) -> Self {
        let transactions = input.transactions;
        let gas_limits = transactions.iter().map(|transaction| transaction.gas_limit());
        Self {
            input,
            hints,
            base,
            schedule: Schedule::new(gas_limits, workers),
            touched: TouchedKeys::new(hints.key_count()),
            outcomes: transactions.iter().map(|_| Mutex::new(None)).collect(),
            settled: AtomicUsize::new(0),
            doubt: AtomicUsize::new(NOBODY),
            stopped: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
        }
    }

    /// Takes what there is of a transaction. Nothing while somebody is at it.
    pub(crate) fn take_outcome(&self, position: usize) -> Option<Outcome> {
        self.outcomes[position].lock().take()
    }

    /// Whether every transaction did what is claimed, once all workers have ended.
    pub(crate) fn is_undoubted(&self) -> bool {
        self.doubt.load(Relaxed) == NOBODY && self.settled.load(Relaxed) == self.outcomes.len()
    }

    /// Whether a transaction is known not to have done what is claimed.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubt.load(Relaxed) != NOBODY
    }

    /// Whether the EVM panicked on the hinted state.
    pub(crate) fn has_panicked(&self) -> bool {
        self.panicked.load(Relaxed)
    }

    /// Tells the others to end.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Relaxed);
    }

    /// Works in the order of the block, until everything is taken, or everything before a doubt is.
    pub(crate) fn work_at_front(&self) {
        self.guarded(|lane| {
            let mut front = 0;
            while self.doubt.load(Relaxed) >= front && self.goes_on(lane) {
                if front % LOOK_AHEAD == 0 {
                    lane.look_ahead(front..front + LOOK_AHEAD);
                }
                let Some(position) = self.schedule.take_front(&mut front) else {
                    return;
                };
                lane.execute(position);
            }
        });
    }

    /// Works on the longest first, until everything is taken.
    pub(crate) fn work_on_longest(&self) {
        self.guarded(|lane| {
            while let Some(positions) = self.schedule.next_longest() {
                // Most of the last ones were taken at the front: looking ahead at them would take as long as executing some.
                let open = positions.iter().map(|position| *position as usize);
                let open = open.filter(|position| self.schedule.is_open(*position));
                lane.look_ahead(open.clone());
                for position in open {
                    if !self.goes_on(lane) {
                        return;
                    }
                    if self.schedule.take(position) {
                        lane.execute(position);
                    }
                }
            }
        });
    }

    /// Whether a worker has not yet used as much gas as the whole block may: if it has, then on lies, or for an invalid
    /// block.
    fn goes_on(&self, lane: &Lane<'_, 'a, H>) -> bool {
        !self.stopped.load(Relaxed) && lane.gas_spent <= self.input.environment.gas_limit
    }

    fn guarded(&self, work: impl FnOnce(&mut Lane<'_, 'a, H>)) {
        let guarded = catch_unwind(AssertUnwindSafe(|| {
            let mut lane = Lane::new(self);
            work(&mut lane);
            self.settled.fetch_add(lane.settled, Relaxed);
        }));
        if guarded.is_err() {
            self.panicked.store(true, Relaxed);
            self.stop();
        }
    }

    fn settle(&self, position: usize, outcome: Outcome) {
        let is_claimed = outcome.result.is_ok() && matches!(outcome.effect, Effect::Claimed);
        *self.outcomes[position].lock() = Some(outcome);
        if !is_claimed {
            self.doubt.fetch_min(position, Relaxed);
        }
    }
}

/// One worker's part of an attempt.
struct Lane<'b, 'a, H: BlockHashes + Debug> {
    attempt: &'b Attempt<'a, H>,
    executor: TransactionExecutor<HintedState<'a, H>>,
    touched: Vec<KeyId>,
    /// For plain transfers, which need no EVM; `None` where they do.
    transfers: Option<TransferRules>,
    gas_spent: u64,
    settled: usize,
    ahead: Ahead,
}

impl<'b, 'a, H: BlockHashes + Sync + Debug> Lane<'b, 'a, H> {
    fn new(attempt: &'b Attempt<'a, H>) -> Self {
        let input = &attempt.input;
        let state = HintedState::new(attempt.hints, attempt.base, input.block_hashes);
        let executor = TransactionExecutor::new(input.spec, input.environment, state, input.compiler);
        Self {
            attempt,
            touched: Vec::new(),
            transfers: TransferRules::of(input.environment, input.spec.chain_id(), executor.fork()),
            executor,
            gas_spent: 0,
            settled: 0,
            ahead: Ahead::default(),
        }
    }

    /// Asks for what transactions are going to touch to be in the cache.
    fn look_ahead(&mut self, positions: impl Iterator<Item = usize>) {
        let Attempt {
            input,
            hints,
            base,
            outcomes,
            ..
        } = self.attempt;
        let transactions = input.transactions;
        let indices = positions.map(|position| {
            transactions.get(position).into_iter().for_each(prefetch);
            outcomes.get(position).into_iter().for_each(prefetch);
            index_of(position)
        });
        hints.look_ahead(indices, base, &mut self.ahead);
    }

    fn execute(&mut self, position: usize) {
        let input = &self.attempt.input;
        self.executor.database_mut().enter(index_of(position));
        if let Some(changes) = self.transfer(position) {
            let result = transfer::result();
            self.gas_spent = self.gas_spent.saturating_add(result.tx_gas_used());
            let outcome = self.judge_changes(index_of(position), result, changes);
            return self.settle(position, outcome);
        }
        self.executor.database_mut().enter(index_of(position));
        let ran = self
            .executor
            .run(&input.transactions[position], input.senders[position]);
        let outcome = match ran {
            Ok(ran) => {
                let gas_used = ran.result.tx_gas_used();
                self.gas_spent = self.gas_spent.saturating_add(gas_used);
                self.judge(index_of(position), ran)
            }
            Err(error) => self.failed(error),
        };
        self.settle(position, outcome);
    }

    fn settle(&mut self, position: usize, outcome: Outcome) {
        self.settled += 1;
        self.attempt.settle(position, outcome);
    }

    /// What a plain transfer changes; `None` if it is none, or nothing can be said without an EVM.
    fn transfer(&mut self, position: usize) -> Option<Vec<AccountChange>> {
        let rules = self.transfers.as_ref()?;
        let input = &self.attempt.input;
        let (transaction, sender) = (&input.transactions[position], input.senders[position]);
        let to = rules.recipient(transaction, sender)?;
        let state = self.executor.database_mut();
        let account = state.read_account(&sender).ok()?.0?;
        let transfer = rules.transfer(transaction, sender, to, &account)?;
        let recipient = state.read_account(&to).ok()?.0;
        let beneficiary = state.read_account(&input.environment.beneficiary).ok()?.0;
        // An empty one goes when it is touched (EIP-161).
        if !may_receive(recipient.as_ref()) || beneficiary.is_some_and(|account| account.is_empty()) {
            return None;
        }
        let mut changes = vec![
            transfer.sender,
            credited(to, recipient, transfer.value)?,
            credited(input.environment.beneficiary, beneficiary, transfer.fee)?,
        ];
        changes.retain(|change| !change.is_noop());
        changes.sort_unstable_by_key(|change| change.address);
        Some(changes)
    }

    fn judge_changes(&self, index: u32, result: ExecutionResult, changes: Vec<AccountChange>) -> Outcome {
        let effect = match self.attempt.hints.agree_with_changes(index, &changes) {
            true => Effect::Claimed,
            false => Effect::Changes(changes.into()),
        };
        self.outcome(result, effect, self.executor.database().reads())
    }

    fn judge(&mut self, index: u32, ran: Ran) -> Outcome {
        let Ran { result, journal, .. } = ran;
        let hints = self.attempt.hints;
        if hints.kind == HintKind::Advisory {
            let changes = account_changes(&journal, self.executor.fork());
            self.executor.reuse(journal);
            return self.judge_changes(index, result, changes);
        }
        self.touched.clear();
        match hints.agree_with_journal(index, &journal, self.attempt.base, &mut self.touched) {
            Err(gone) => self.failed(ExecutionError::State(gone)),
            Ok(Agreement::Different) => {
                let reads = self.executor.database().reads();
                self.outcome(
                    result,
                    Effect::Journal(journal.into(), Agreement::Different),
                    reads,
                )
            }
            Ok(agreement) => {
                self.touched
                    .iter()
                    .for_each(|key| self.attempt.touched.insert(*key));
                let effect = match agreement {
                    Agreement::Equal => Effect::Claimed,
                    _ => Effect::Journal(journal.into(), agreement),
                };
                let reads = Reads {
                    hinted: self.touched.as_slice().into(),
                    others: Box::default(),
                };
                self.outcome(result, effect, reads)
            }
        }
    }

    fn outcome(&self, result: ExecutionResult, effect: Effect, reads: Reads) -> Outcome {
        Outcome {
            result: Ok(result.into()),
            effect,
            reads,
        }
    }

    fn failed(&self, error: ExecutionError<VersionGone>) -> Outcome {
        Outcome {
            result: Err(error.into()),
            effect: Effect::Claimed,
            reads: self.executor.database().reads(),
        }
    }
}

/// The block access index of the transaction at a position.
pub(crate) fn index_of(position: usize) -> u32 {
    u32::try_from(position + 1).expect("a hint with more indices than 2^32 does not fit in memory")
}

/// What an account is after it got some wei, perhaps none; `None` if that is more than there can be.
fn credited(address: Address, before: Option<Account>, wei: U256) -> Option<AccountChange> {
    let balance = before.unwrap_or_default().balance.checked_add(wei)?;
    Some(AccountChange {
        balance: (!wei.is_zero()).then_some(balance),
        ..AccountChange::new(address)
    })
}
