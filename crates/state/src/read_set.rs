//! What a writer read, so that its commit can tell whether it still holds.

use std::{cell::RefCell, convert::Infallible};

use alloy_primitives::{Address, B256, U256};
use rapid_primitives::{Account, CommitSequence, ReadState};
use revm::bytecode::Bytecode;

use crate::State;

/// Keys a writer read, each with the commit that wrote the value it saw.
///
/// An absent account or a zero slot is remembered as absent and holds as long as it is absent when the writer
/// commits. An empty read set always holds. Its size is bounded by the gas of the transaction that read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSet {
    pub(crate) accounts: Vec<(Address, Option<CommitSequence>)>,
    pub(crate) slots: Vec<(Address, U256, Option<CommitSequence>)>,
}

impl ReadSet {
    /// A set of no reads: whatever is committed with it, is committed unconditionally.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            accounts: Vec::new(),
            slots: Vec::new(),
        }
    }

    /// Adds an account, with the commit that wrote the value seen, or `None` if it did not exist.
    pub fn push_account(&mut self, address: Address, seen: Option<CommitSequence>) {
        self.accounts.push((address, seen));
    }

    /// Adds a slot, with the commit that wrote the value seen, or `None` if it was zero.
    pub fn push_slot(&mut self, address: Address, slot: U256, seen: Option<CommitSequence>) {
        self.slots.push((address, slot, seen));
    }

    /// Whether nothing was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.slots.is_empty()
    }

    /// Number of reads.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.accounts.len() + self.slots.len()
    }

    /// Forgets all reads and keeps the memory for the next transaction.
    pub fn clear(&mut self) {
        self.accounts.clear();
        self.slots.clear();
    }
}

/// The newest committed values, as one worker reads them; remembers what it read.
///
/// Two reads may see different versions when others commit between them. Such a worker may compute nonsense, but its
/// commit is then refused.
#[derive(Debug)]
pub struct Recording {
    state: State,
    reads: RefCell<ReadSet>,
}

impl Recording {
    pub(crate) const fn new(state: State, reads: ReadSet) -> Self {
        Self {
            state,
            reads: RefCell::new(reads),
        }
    }

    /// Takes what was read so far and starts over, for the next transaction.
    #[must_use]
    pub fn take_reads(&self) -> ReadSet {
        self.reads.take()
    }

    /// Gives a read set back to be filled, cleared, so that its memory is used again.
    pub fn reuse(&self, mut reads: ReadSet) {
        reads.clear();
        self.reads.replace(reads);
    }
}

impl ReadState for Recording {
    type Error = Infallible;

    fn account(&self, address: &Address) -> Result<Option<Account>, Infallible> {
        let found = self.state.tables().newest_account(address);
        let seen = found.map(|(sequence, _)| CommitSequence(sequence));
        self.reads.borrow_mut().push_account(*address, seen);
        Ok(found.map(|(_, record)| record.account))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Infallible> {
        let found = self.state.tables().newest_slot(address, slot);
        let seen = found.map(|(sequence, _)| CommitSequence(sequence));
        self.reads.borrow_mut().push_slot(*address, *slot, seen);
        Ok(found.map_or(U256::ZERO, |(_, value)| value))
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, Infallible> {
        Ok(self.state.code(hash))
    }
}
