//! A block with a hint, executed by all workers at once.

use std::{fmt::Debug, sync::Arc};

use alloy_eip7928::{BlockAccessList, compute_block_access_list_hash, total_bal_items};
use alloy_eips::{eip4895::Withdrawal, eip7685::Requests};
use alloy_primitives::B256;
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_evm::{
    AccessedKey, BlockAccesses, BlockEnd, BlockExecutor, BlockHashes, Compiler, ExecutionError, Promised,
    StateDb,
};
use rapid_primitives::{
    AccountChange, BlockEnvironment, DiffBuilder, Header, Receipt, StateDiff, TransactionSigned,
    collapse_between,
};
use rapid_state::{Draft, DraftReader, StateKey, VersionGone};

use crate::{
    BlockHint, HintError, Workers,
    attempt::{Attempt, Effect, index_of},
    hinted_state::KeyId,
    hints::{HintKind, Hints},
    in_order::InOrder,
    net_parts::NetParts,
};

/// A block to validate.
#[derive(Debug)]
pub struct ValidationInput<'a, H> {
    /// Its chain.
    pub spec: &'a Arc<ChainSpec>,
    /// What it is executed in.
    pub environment: &'a BlockEnvironment,
    /// Hash of its parent.
    pub parent_hash: B256,
    /// Its transactions.
    pub transactions: &'a [TransactionSigned],
    /// Their senders.
    pub senders: &'a [alloy_primitives::Address],
    /// Its withdrawals.
    pub withdrawals: Option<&'a [Withdrawal]>,
    /// Its ommers.
    pub ommers: &'a [Header],
    /// Hashes of its ancestors.
    pub block_hashes: &'a H,
    /// What compiles contracts.
    pub compiler: &'a Compiler,
}

/// What executing the block gave. It is what executing it sequentially gives, whatever the hint said.
#[derive(Debug)]
pub struct Validated {
    /// The state after it.
    pub draft: Draft,
    /// Receipts of its transactions.
    pub receipts: Vec<Receipt>,
    /// What it changed.
    pub diff: StateDiff,
    /// Execution layer requests; `None` before Prague.
    pub requests: Option<Requests>,
    /// Its block access list; `None` before Amsterdam.
    pub access_list: Option<AccessListDigest>,
    /// Gas used, as its header counts it.
    pub gas_used: u64,
    /// Blob gas used.
    pub blob_gas_used: u64,
    /// Whether the hint was true.
    pub hint: HintVerdict,
}

/// What a header and its rules say of a block access list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessListDigest {
    /// Its hash.
    pub hash: B256,
    /// Addresses and slots in it.
    pub items: u64,
}

/// Whether a hint was true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintVerdict {
    /// All of it, and nothing was missing.
    Proven,
    /// Not all of it; or it was, and could not say everything that happened (accounts created over old ones).
    NotProven,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum ValidationError {
    /// The hint is of no use. Nothing is said of the block.
    #[error("unusable hint: {0}")]
    Hint(#[from] HintError),
    /// The EVM panicked on the state that the hint says. Nothing is said of the block.
    #[error("the EVM panicked on a hinted state")]
    Panicked,
    /// The block, apart from its transactions.
    #[error(transparent)]
    Block(ExecutionError<VersionGone>),
    /// A transaction. It is the first that sequential execution would stop at, with the same error.
    #[error("transaction {index}: {error}")]
    Transaction {
        /// Its position in the block.
        index: usize,
        /// What is wrong.
        error: ExecutionError<VersionGone>,
    },
}

impl<H> Clone for ValidationInput<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for ValidationInput<'_, H> {}

impl<'a, H> ValidationInput<'a, H> {
    /// The block access index of what follows the transactions.
    fn last_index(&self) -> u32 {
        index_of(self.transactions.len())
    }
}

/// Executes a block on `draft`, the state after its parent, with the help of a hint.
///
/// # Errors
/// [`ValidationError`]. After [`Hint`](ValidationError::Hint) and [`Panicked`](ValidationError::Panicked) it can be executed
/// sequentially.
pub fn validate<H: BlockHashes + Debug + Sync>(
    workers: &Workers,
    input: ValidationInput<'_, H>,
    draft: Draft,
    hint: BlockHint,
) -> Result<Validated, ValidationError> {
    let amsterdam = input
        .spec
        .is_amsterdam_active_at_timestamp(input.environment.timestamp);
    if amsterdam != matches!(hint, BlockHint::Declared(_)) {
        return Err(HintError::Kind.into());
    }
    let hints = Hints::new(&hint, input.transactions.len(), input.environment.gas_limit)?;
    let mut executor = BlockExecutor::new(
        Arc::clone(input.spec),
        input.environment.clone(),
        StateDb::new(draft, input.block_hashes),
        input.compiler,
    );
    let mut before = executor.begin().map_err(ValidationError::Block)?;
    let stored = executor.store_parent_hash(input.parent_hash);
    before.extend(stored.map_err(ValidationError::Block)?);
    let base = executor.state().reader();
    let finished = Block {
        input,
        hints: &hints,
        base: &base,
        executor,
        before,
    }
    .finish(workers)?;
    Ok(finished.validated(hint))
}

/// A block in execution.
struct Block<'a, H: BlockHashes + Debug> {
    input: ValidationInput<'a, H>,
    hints: &'a Hints<'a>,
    /// The state before the first transaction.
    base: &'a DraftReader,
    executor: BlockExecutor<Draft, &'a H>,
    /// What preceded the transactions.
    before: Vec<AccountChange>,
}

/// Results that were taken up.
struct Absorbed {
    receipts: Vec<Receipt>,
    /// What each transaction touched, if that is declared.
    touched: Vec<Vec<KeyId>>,
}

/// A block that was executed.
struct Finished {
    draft: Draft,
    receipts: Vec<Receipt>,
    /// `None` if it is the hint's.
    diff: Option<StateDiff>,
    requests: Option<Requests>,
    access_list: Option<AccessListDigest>,
    gas_used: u64,
    blob_gas_used: u64,
    hint: HintVerdict,
}

impl Finished {
    fn validated(self, hint: BlockHint) -> Validated {
        Validated {
            draft: self.draft,
            receipts: self.receipts,
            diff: self.diff.unwrap_or_else(|| hint.into_diff()),
            requests: self.requests,
            access_list: self.access_list,
            gas_used: self.gas_used,
            blob_gas_used: self.blob_gas_used,
            hint: self.hint,
        }
    }
}

impl AccessListDigest {
    fn of(list: &BlockAccessList) -> Self {
        Self {
            hash: compute_block_access_list_hash(list),
            items: total_bal_items(list),
        }
    }
}

impl<'a, H: BlockHashes + Debug + Sync> Block<'a, H> {
    fn finish(mut self, workers: &Workers) -> Result<Finished, ValidationError> {
        let attempt = Attempt::new(self.input, self.hints, self.base, workers.count().get());
        let mut diff = DiffBuilder::new();
        diff.push(0, &self.before);
        let in_order = workers.run(
            || attempt.work_on_longest(),
            || {
                attempt.work_at_front();
                let in_order = (attempt.is_in_doubt() && !attempt.has_panicked())
                    .then(|| InOrder::new(&attempt, &mut self.executor, &mut diff).run());
                if in_order.is_some() {
                    attempt.stop();
                }
                in_order
            },
        );
        if let Some(receipts) = in_order {
            return self.finish_in_order(receipts?, diff);
        }
        if attempt.has_panicked() {
            metrics::counter!("rapid_reth_executor_worker_panics_total").increment(1);
            return Err(ValidationError::Panicked);
        }
        if !attempt.is_undoubted() {
            let receipts = InOrder::new(&attempt, &mut self.executor, &mut diff).run()?;
            return self.finish_in_order(receipts, diff);
        }
        self.finish_claimed(workers, &attempt)
    }

    fn finish_in_order(
        mut self,
        receipts: Vec<Receipt>,
        mut diff: DiffBuilder,
    ) -> Result<Finished, ValidationError> {
        metrics::counter!("rapid_reth_executor_validated_blocks_total", "hint" => "refuted").increment(1);
        let end = self.end()?;
        diff.push(self.input.last_index(), &end.changes);
        let access_list = end.access_list.as_ref().map(AccessListDigest::of);
        Ok(Finished {
            access_list,
            requests: end.requests,
            diff: Some(diff.finish()),
            hint: HintVerdict::NotProven,
            ..self.finished(receipts)
        })
    }

    /// Every transaction did what is claimed.
    fn finish_claimed(
        mut self,
        workers: &Workers,
        attempt: &Attempt<'a, H>,
    ) -> Result<Finished, ValidationError> {
        let Absorbed { receipts, touched } = self.take_in_claimed(workers, attempt)?;
        let end = self.end()?;
        let edges = self.edges(&end);
        let diff_is_hinted = self.hints.agree_with_edges(&edges, self.input.last_index());
        let list_is_hinted = end
            .access_list
            .as_ref()
            .map(|edges| self.list_is_hinted(attempt, edges));
        let is_proven = list_is_hinted.unwrap_or(diff_is_hinted);
        let access_list = end.access_list.as_ref().map(|edges| match is_proven {
            true => AccessListDigest {
                hash: compute_block_access_list_hash(self.hints.listed),
                items: total_bal_items(self.hints.listed),
            },
            false => AccessListDigest::of(&self.list_of(edges, &touched)),
        });
        let verdict = if is_proven { "proven" } else { "refuted" };
        metrics::counter!("rapid_reth_executor_validated_blocks_total", "hint" => verdict).increment(1);
        Ok(Finished {
            access_list,
            diff: (!diff_is_hinted).then(|| self.diff_of(&end)),
            requests: end.requests,
            hint: match is_proven {
                true => HintVerdict::Proven,
                false => HintVerdict::NotProven,
            },
            ..self.finished(receipts)
        })
    }

    /// Takes up all results, and applies what they are claimed to have changed.
    fn take_in_claimed(
        &mut self,
        workers: &Workers,
        attempt: &Attempt<'a, H>,
    ) -> Result<Absorbed, ValidationError> {
        // What precedes the transactions is in the draft already, and true whatever the hint says of it.
        let transactions = 1..=self.input.last_index() - 1;
        let listed = self.hints.listed;
        if !self.hints.fates.is_empty() {
            let absorbed = self.absorb_claimed(attempt)?;
            let net = collapse_between(listed, self.hints.fates, transactions);
            self.executor
                .apply_changes(&net)
                .map_err(ValidationError::Block)?;
            return Ok(absorbed);
        }
        let gone = |gone| ValidationError::Block(ExecutionError::State(gone));
        let parts = self.executor.state().parts();
        let parts = NetParts::new(listed, transactions, parts, self.base).map_err(gone)?;
        let absorbed = workers.run(
            || parts.work(),
            || {
                let absorbed = self.absorb_claimed(attempt);
                parts.work();
                absorbed
            },
        )?;
        let parts = parts.finish().map_err(gone)?;
        self.executor.state_mut().take_in(parts).map_err(gone)?;
        Ok(absorbed)
    }

    /// Takes up the results of all transactions in their order.
    fn absorb_claimed(&mut self, attempt: &Attempt<'a, H>) -> Result<Absorbed, ValidationError> {
        let mut receipts = Vec::with_capacity(self.input.transactions.len());
        let mut touched = Vec::new();
        for (position, transaction) in self.input.transactions.iter().enumerate() {
            let failed = |error| ValidationError::Transaction {
                index: position,
                error,
            };
            self.executor
                .check_fits(transaction, Promised::default())
                .map_err(failed)?;
            let outcome = attempt.take_outcome(position).expect("nothing was left out");
            debug_assert!(matches!(outcome.effect, Effect::Claimed), "there is no doubt");
            let result = outcome.result.map_err(failed)?;
            receipts.push(self.executor.absorb(transaction, result).map_err(failed)?);
            if self.hints.kind == HintKind::Declared {
                touched.push(outcome.reads.hinted);
            }
        }
        Ok(Absorbed { receipts, touched })
    }

    fn end(&mut self) -> Result<BlockEnd, ValidationError> {
        let ValidationInput {
            withdrawals, ommers, ..
        } = self.input;
        self.executor
            .finish(withdrawals, ommers)
            .map_err(ValidationError::Block)
    }

    fn finished(self, receipts: Vec<Receipt>) -> Finished {
        Finished {
            receipts,
            diff: None,
            requests: None,
            access_list: None,
            gas_used: self.executor.gas_used(),
            blob_gas_used: self.executor.blob_gas_used(),
            hint: HintVerdict::NotProven,
            draft: self.executor.into_state(),
        }
    }

    /// What happened before and after the transactions.
    fn edges(&self, end: &BlockEnd) -> StateDiff {
        let mut edges = DiffBuilder::new();
        edges.push(0, &self.before);
        edges.push(self.input.last_index(), &end.changes);
        edges.finish()
    }

    /// Whether the hint is the block's access list, if `edges` is the part of it before and after the transactions.
    fn list_is_hinted(&self, attempt: &Attempt<'a, H>, edges: &BlockAccessList) -> bool {
        let expected = self.hints.count_at(0) + self.hints.count_at(self.input.last_index());
        if self.hints.matching_claims(edges) != Some(expected) {
            return false;
        }
        for account in edges {
            let Some(id) = self.hints.account_id(&account.address) else {
                return false;
            };
            attempt.touched.insert(self.hints.account_key(id));
            let slots = account
                .storage_slots()
                .chain(account.storage_reads.iter().copied());
            for slot in slots {
                let Some(slot) = self.hints.slot_id(id, &slot) else {
                    return false;
                };
                attempt.touched.insert(self.hints.slot_key(slot));
            }
        }
        attempt.touched.is_all(self.hints.key_count())
    }

    /// The block's access list, from the part of it before and after the transactions, and what each of them touched.
    fn list_of(&self, edges: &BlockAccessList, touched: &[Vec<u32>]) -> BlockAccessList {
        let mut list = BlockAccesses::default();
        list.absorb_part(edges, 0);
        for (position, keys) in touched.iter().enumerate() {
            let index = index_of(position);
            let keys = keys.iter().map(|key| accessed(self.hints.key(*key)));
            list.absorb(u64::from(index), keys, &self.hints.changes_at(index));
        }
        list.absorb_part(edges, u64::from(self.input.last_index()));
        list.finish()
    }

    /// The block's diff, where only what precedes or follows the transactions is not what the hint says.
    fn diff_of(&self, end: &BlockEnd) -> StateDiff {
        let mut diff = DiffBuilder::new();
        diff.push(0, &self.before);
        for index in 1..self.input.last_index() {
            diff.push(index, &self.hints.changes_at(index));
        }
        diff.push(self.input.last_index(), &end.changes);
        diff.finish()
    }
}

/// A key as a block access list has it.
pub(crate) const fn accessed(key: StateKey) -> AccessedKey {
    match key {
        StateKey::Account(address) => AccessedKey::Account(address),
        StateKey::Slot(address, slot) => AccessedKey::Slot(address, slot),
    }
}
