//! What a writer read, so that its commit can tell whether it still holds.

use std::{cell::RefCell, convert::Infallible};

use alloy_primitives::{Address, B256, U256};
use rapid_primitives::{Account, ReadState};
use revm::bytecode::Bytecode;

use crate::{State, entry::ABSENT, index::Gap, storages::StorageId, table::Lookup, tables::Tables};

/// Reads of a kind up to which walking over them is quicker than searching the index.
const FEW: usize = 16;

/// Keys a writer read, each with the commit that wrote the value it saw.
///
/// What was absent holds as long as it is absent when the writer commits. An empty read set always holds. Its size is
/// bounded by the gas of the transaction that read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSet {
    pub(crate) accounts: Vec<AccountRead>,
    pub(crate) slots: Vec<SlotRead>,
}

/// What was found under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A value, in this entry, of this commit.
    Value { id: u32, sequence: u64 },
    /// No value; where there was no entry either, the gap.
    Absent(Option<Gap>),
}

impl Seen {
    const fn entry(&self) -> Option<u32> {
        match self {
            Self::Value { id, .. } => Some(*id),
            Self::Absent(_) => None,
        }
    }
}

impl From<Lookup> for Seen {
    fn from(found: Lookup) -> Self {
        match found {
            Lookup::Entry(_, cell) if cell.value == ABSENT => Self::Absent(None),
            Lookup::Entry(id, cell) => Self::Value {
                id,
                sequence: cell.sequence,
            },
            Lookup::Absent(gap) => Self::Absent(Some(gap)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccountRead {
    pub(crate) address: Address,
    pub(crate) seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotRead {
    pub(crate) address: Address,
    pub(crate) slot: U256,
    /// Storage the account had, in this entry; `None` without an entry.
    pub(crate) account: Option<u32>,
    pub(crate) storage: StorageId,
    pub(crate) seen: Seen,
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

    /// The entry that an account was read from.
    pub(crate) fn entry_of_account(&self, address: &Address) -> Option<u32> {
        if self.accounts.len() > FEW {
            return None;
        }
        let of_address = |read: &&AccountRead| read.address == *address;
        self.accounts.iter().find(of_address)?.seen.entry()
    }

    /// The entry that an account was read from, or was found in when a slot of it was read.
    pub(crate) fn entry_of_owner(&self, address: &Address) -> Option<u32> {
        self.entry_of_account(address).or_else(|| {
            let first = self.slots.first().filter(|read| read.address == *address)?;
            first.account
        })
    }

    /// The entry that a slot was read from.
    pub(crate) fn entry_of_slot(&self, address: &Address, slot: &U256) -> Option<u32> {
        if self.slots.len() > FEW {
            return None;
        }
        let of_slot = |read: &&SlotRead| read.slot == *slot && read.address == *address;
        self.slots.iter().find(of_slot)?.seen.entry()
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

    pub(crate) fn tables(&self) -> &Tables {
        self.state.tables()
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
        let (found, record) = self.state.tables().newest_account(address);
        self.reads.borrow_mut().accounts.push(AccountRead {
            address: *address,
            seen: found.into(),
        });
        Ok(record.map(|record| record.account))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Infallible> {
        let (owner, storage) = self.state.tables().newest_storage(address, slot);
        let (seen, value) = if storage.is_none() {
            (Seen::Absent(None), U256::ZERO)
        } else {
            let found = self.state.tables().slots.lookup(&(storage, *slot));
            let value = match &found {
                Lookup::Entry(_, cell) => U256::from_limbs(cell.value),
                Lookup::Absent(_) => U256::ZERO,
            };
            (found.into(), value)
        };
        self.reads.borrow_mut().slots.push(SlotRead {
            address: *address,
            slot: *slot,
            account: match owner {
                Lookup::Entry(id, _) => Some(id),
                Lookup::Absent(_) => None,
            },
            storage,
            seen,
        });
        Ok(value)
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, Infallible> {
        Ok(self.state.code(hash))
    }
}
