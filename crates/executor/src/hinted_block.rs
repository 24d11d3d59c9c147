//! A block that has a hint, from its first transaction to its end: what came of the transactions, and whether the hint was true.

use std::fmt::Debug;

use alloy_eip7928::{BlockAccessList, compute_block_access_list_hash, total_bal_items};
use alloy_eips::eip7685::Requests;
use rapid_evm::{AccessedKey, BlockAccesses, BlockEnd, BlockExecutor, BlockHashes, ExecutionError, Promised};
use rapid_primitives::{AccountChange, DiffBuilder, Receipt, StateDiff, collapse_between};
use rapid_state::{Draft, DraftReader, StateKey};

use crate::{
    AccessListDigest, BlockHint, HintVerdict, Validated, ValidationError, ValidationInput, Workers,
    attempt::{Attempt, Effect, index_of},
    block_hint::HintKind,
    hinted_state::KeyId,
    hints::Hints,
    in_order::InOrder,
    net_parts::NetParts,
};

/// A block in execution.
pub(crate) struct HintedBlock<'a, H: BlockHashes + Debug> {
    pub(crate) input: ValidationInput<'a, H>,
    pub(crate) hints: &'a Hints<'a>,
    /// The state before the first transaction.
    pub(crate) base: &'a DraftReader,
    pub(crate) executor: BlockExecutor<Draft, &'a H>,
    /// What preceded the transactions.
    pub(crate) before: Vec<AccountChange>,
}

/// Results that were taken up.
struct Absorbed {
    receipts: Vec<Receipt>,
    /// What each transaction touched, if that is declared.
    touched: Vec<Box<[KeyId]>>,
}

/// A block that was executed.
pub(crate) struct Finished {
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
    pub(crate) fn validated(self, hint: BlockHint) -> Validated {
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

impl<'a, H: BlockHashes + Debug + Sync> HintedBlock<'a, H> {
    pub(crate) fn finish(mut self, workers: &Workers) -> Result<Finished, ValidationError> {
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
        let filling = self
            .executor
            .state()
            .filling(listed.len(), self.hints.changed_slots);
        let parts = NetParts::new(self.hints, transactions, filling, self.base).map_err(gone)?;
        let absorbed = workers.run(
            || parts.work(),
            || {
                let absorbed = self.absorb_claimed(attempt);
                parts.work();
                absorbed
            },
        )?;
        let filling = parts.finish().map_err(gone)?;
        self.executor.state_mut().take_in(filling).map_err(gone)?;
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
            let result = outcome.result.map_err(|error| failed(*error))?;
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
    fn list_of(&self, edges: &BlockAccessList, touched: &[Box<[KeyId]>]) -> BlockAccessList {
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
