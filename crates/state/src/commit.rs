//! The commit: lock what is written, take the sequence, validate what was read, write, unlock.
//!
//! Locks are taken in any order and never waited for long: a commit that meets another's gives up all of its own and
//! begins again, so no two can wait for each other. The sequence is taken while everything written is locked and before
//! what was read is validated (Silo, SOSP 2013), so commits are serialisable in the order of their sequences.

use alloy_primitives::{B256, U256};
use rapid_primitives::{AccountChange, CommitSequence};
use revm::bytecode::Bytecode;

use crate::{
    Commit, Conflict, ReadSet,
    account::{AccountParts, AccountRecord},
    batch::{Batch, HeldAccount, HeldSlot},
    entry::{ABSENT, Busy, Cell, Value},
    state::Shared,
    storages::StorageId,
    sync::pause,
    undo::{Record, Ring, Target},
    writers::Workspace,
};

/// Why an attempt did not commit.
pub(crate) enum Failed {
    /// Something that was read has changed.
    Conflict(Conflict),
    /// Another commit is in the way.
    Busy,
}

impl From<Busy> for Failed {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl Shared {
    /// Commits; the caller holds the writer that the workspace is of. Leaves the balances after each credit.
    pub(crate) fn commit(
        &self,
        workspace: &mut Workspace,
        commit: &Commit<'_>,
        balances: &mut Vec<U256>,
    ) -> Result<CommitSequence, Conflict> {
        let codes = self.tables.parts.codes.analyse_new(commit.changes);
        let sequence = self.commit_with(workspace, commit.reads, &codes, |batch| {
            for change in commit.changes {
                batch.add(change)?;
            }
            balances.clear();
            for credit in commit.credits {
                balances.push(batch.credit(credit)?);
            }
            Ok(())
        })?;
        workspace.withheld.add(commit.withheld);
        Ok(sequence)
    }

    /// Commits what `fill` puts into a batch, which may be asked more than once.
    pub(crate) fn commit_with(
        &self,
        workspace: &mut Workspace,
        reads: &ReadSet,
        codes: &[(B256, Bytecode)],
        mut fill: impl FnMut(&mut Batch<'_>) -> Result<(), Failed>,
    ) -> Result<CommitSequence, Conflict> {
        let mut spins = 0;
        loop {
            match self.attempt(workspace, reads, codes, &mut fill) {
                Ok(sequence) => return Ok(CommitSequence(sequence)),
                Err(Failed::Conflict(conflict)) => {
                    metrics::counter!("rapid_reth_state_conflicts_total").increment(1);
                    return Err(conflict);
                }
                Err(Failed::Busy) => pause(&mut spins),
            }
        }
    }

    fn attempt(
        &self,
        workspace: &mut Workspace,
        reads: &ReadSet,
        codes: &[(B256, Bytecode)],
        fill: &mut impl FnMut(&mut Batch<'_>) -> Result<(), Failed>,
    ) -> Result<u64, Failed> {
        let Workspace { ring, held, .. } = workspace;
        let mut batch = Batch::new(&self.tables, self.leases.floor(), reads, held);
        fill(&mut batch)?;
        let sequence = self.take_sequence();
        batch.sequenced(sequence);
        batch.validate()?;
        batch.check_unlocked()?;
        self.tables.parts.codes.insert(codes.iter().cloned());
        let writing = Writing {
            shared: self,
            ring,
            sequence,
            cut: self.cuts.newest(),
        };
        writing.write(batch);
        Ok(sequence)
    }
}

/// A commit that can no longer fail.
pub(crate) struct Writing<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) ring: &'a mut Ring,
    pub(crate) sequence: u64,
    /// The newest version that somebody may read: what was written after it is overwritten without a trace.
    pub(crate) cut: u64,
}

impl Writing<'_> {
    fn write(mut self, mut batch: Batch<'_>) {
        let held = batch.held();
        for storage in held.made.drain(..) {
            self.shared.tables.storages.commit(storage);
            if !ends_with(&held.accounts, storage) {
                self.bury(storage);
            }
        }
        for slot in held.slots.drain(..) {
            self.write_slot(&slot);
        }
        for account in held.accounts.drain(..) {
            self.write_account(&account);
        }
    }

    /// Writes and unlocks an account.
    pub(crate) fn write_account(&mut self, held: &HeldAccount) {
        let tables = &self.shared.tables;
        if held.after == held.before {
            return tables
                .accounts
                .unlock_or_free(held.id, self.shared.leases.floor());
        }
        if let Some(before) = held.before.filter(|before| !before.storage.is_none())
            && held.after.map(|after| after.storage) != Some(before.storage)
        {
            self.bury(before.storage);
        }
        let value = tables.parts.encode(held.after.as_ref());
        let undo = self.keep(Target::Account(held.id), &held.cell);
        if undo == held.cell.undo
            && let Some(number) = AccountParts::wide_number(&held.cell.value)
        {
            // The old value goes at once, but a reader may be about to look at its balance.
            self.push(Target::WideBalance(number), 0, ABSENT, 0);
        }
        tables.accounts.entries.write_locked(held.id, &value, undo);
        tables.accounts.entries.unlock(held.id, self.sequence);
    }

    /// Writes and unlocks a slot.
    pub(crate) fn write_slot(&mut self, held: &HeldSlot) {
        let tables = &self.shared.tables;
        let value: Value = held.after.into_limbs();
        if value == held.cell.value {
            return tables.slots.unlock_or_free(held.id, self.shared.leases.floor());
        }
        let undo = self.keep(Target::Slot(held.id), &held.cell);
        tables.slots.entries.write_locked(held.id, &value, undo);
        tables.slots.entries.unlock(held.id, self.sequence);
    }

    /// Keeps the value of an entry that is about to be written, if a version may ask for it. Returns what the entry
    /// refers to from now on.
    fn keep(&mut self, target: Target, cell: &Cell) -> u32 {
        if cell.sequence > self.cut {
            return cell.undo;
        }
        self.push(target, cell.sequence, cell.value, cell.undo)
    }

    /// Notes that a storage is no account's any more.
    pub(crate) fn bury(&mut self, storage: StorageId) {
        self.push(Target::Storage(storage.0), 0, ABSENT, 0);
    }

    fn push(&mut self, target: Target, written: u64, value: Value, previous: u32) -> u32 {
        let record = Record {
            target,
            written,
            replaced: self.sequence,
            value,
            previous,
        };
        self.ring.push(&self.shared.tables.undo, &record)
    }
}

/// Whether an account has this storage at the end of a commit.
fn ends_with(accounts: &[HeldAccount], storage: StorageId) -> bool {
    accounts
        .iter()
        .rev()
        .any(|held| held.after.is_some_and(|after| after.storage == storage))
}

/// What an account is after a change: its fields, and the storage that stays its own.
pub(crate) fn account_after(change: &AccountChange, before: Option<&AccountRecord>) -> Option<AccountRecord> {
    let account = change.apply_to(before.map(|before| before.account))?;
    let storage = match before {
        Some(before) if !change.clears_storage() => before.storage,
        _ => StorageId::NONE,
    };
    Some(AccountRecord { account, storage })
}

/// Whether a change has a value for a slot.
pub(crate) fn has_values(change: &AccountChange) -> bool {
    change.storage.iter().any(|(_, value)| *value != U256::ZERO)
}
