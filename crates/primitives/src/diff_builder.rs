//! Collecting what transactions changed into a [`StateDiff`]: it is written down as it comes, and sorted once at the end.

use alloy_eip7928::{
    AccountChanges, BalanceChange, BlockAccessIndex, CodeChange, NonceChange, SlotChanges, StorageChange,
};
use alloy_primitives::{Address, Bytes, U256, aliases::U160};

use crate::{AccountChange, Fate, FateAt, StateDiff};

/// Collects the changes of a mini-block's transactions into a [`StateDiff`].
#[derive(Debug, Default)]
pub struct DiffBuilder {
    changes: Vec<ChangeAt>,
    writes: Vec<WriteAt>,
    fates: Vec<FateAt>,
}

/// What one change says, but for its slots.
#[derive(Debug)]
struct ChangeAt {
    address: Address,
    index: BlockAccessIndex,
    nonce: Option<u64>,
    balance: Option<U256>,
    code: Option<Bytes>,
}

/// What one change says of a slot.
#[derive(Debug)]
struct WriteAt {
    /// Place of the change among all.
    change: usize,
    slot: U256,
    value: U256,
}

/// Sorts changes by address, and those of one account as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ChangeOrder {
    /// As a number, which is compared faster than bytes are.
    address: U160,
    change: usize,
}

/// Sorts writes by the place of their account among all accounts, then by slot, and those of one slot as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct WriteOrder {
    account: usize,
    slot: U256,
    write: usize,
}

impl DiffBuilder {
    /// An empty diff.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what happened at one block access index. For one value of one account, indices must not decrease between
    /// calls; of those told at the same index, the last one counts.
    pub fn push(&mut self, index: u32, changes: &[AccountChange]) {
        for change in changes {
            self.fates.extend(FateAt::of(change.address, index, change.fate));
            if change.fate == Fate::Removed || !change.has_values() {
                continue;
            }
            let at = self.changes.len();
            let writes = change.storage.iter();
            self.writes.extend(writes.map(|&(slot, value)| WriteAt {
                change: at,
                slot,
                value,
            }));
            self.changes.push(ChangeAt {
                address: change.address,
                index: BlockAccessIndex::new(u64::from(index)),
                nonce: change.nonce,
                balance: change.balance,
                code: change.code.as_ref().map(|code| code.code.clone()),
            });
        }
    }

    /// The diff, sorted as EIP-7928 asks.
    #[must_use]
    pub fn finish(mut self) -> StateDiff {
        self.fates.sort_by_key(|fate| (fate.index, fate.address));
        let changes = self.changes_in_order();
        let writes = self.writes_in_order(&changes);
        let mut writes = writes
            .chunk_by(|one, next| one.account == next.account)
            .peekable();
        let accounts = by_account(&changes).enumerate().map(|(account, changes)| {
            let mut of_account = self.fields_of(changes);
            if let Some(writes) = writes.next_if(|writes| writes[0].account == account) {
                of_account.storage_changes = self.slots_of(writes);
            }
            of_account
        });
        StateDiff {
            accounts: accounts.collect(),
            fates: self.fates,
        }
    }

    fn changes_in_order(&self) -> Vec<ChangeOrder> {
        let changes = self.changes.iter().enumerate();
        let mut order: Vec<_> = changes
            .map(|(change, told)| ChangeOrder {
                address: told.address.into(),
                change,
            })
            .collect();
        order.sort_unstable();
        order
    }

    fn writes_in_order(&self, changes: &[ChangeOrder]) -> Vec<WriteOrder> {
        let mut account_of = vec![0; changes.len()];
        for (account, changes) in by_account(changes).enumerate() {
            changes
                .iter()
                .for_each(|order| account_of[order.change] = account);
        }
        let writes = self.writes.iter().enumerate();
        let mut order: Vec<_> = writes
            .map(|(write, told)| WriteOrder {
                account: account_of[told.change],
                slot: told.slot,
                write,
            })
            .collect();
        order.sort_unstable();
        order
    }

    /// Everything but the slots that the changes of one account say.
    fn fields_of(&self, changes: &[ChangeOrder]) -> AccountChanges {
        let mut fields = AccountChanges {
            address: self.changes[changes[0].change].address,
            ..AccountChanges::default()
        };
        for (place, order) in changes.iter().enumerate() {
            let told = &self.changes[order.change];
            let (at, to_come) = (told.index, changes.len() - place);
            if let Some(nonce) = told.nonce {
                let nonces = &mut fields.nonce_changes;
                note(
                    nonces,
                    NonceChange::new(at, nonce),
                    |told| told.block_access_index,
                    to_come,
                );
            }
            if let Some(balance) = told.balance {
                let balances = &mut fields.balance_changes;
                note(
                    balances,
                    BalanceChange::new(at, balance),
                    |told| told.block_access_index,
                    to_come,
                );
            }
            if let Some(code) = &told.code {
                let codes = &mut fields.code_changes;
                note(
                    codes,
                    CodeChange::new(at, code.clone()),
                    |told| told.block_access_index,
                    1,
                );
            }
        }
        fields
    }

    /// The slots that the changes of one account say.
    fn slots_of(&self, writes: &[WriteOrder]) -> Vec<SlotChanges> {
        let by_slot = writes.chunk_by(|one, next| one.slot == next.slot);
        by_slot
            .map(|writes| {
                let mut changes = Vec::new();
                for (place, order) in writes.iter().enumerate() {
                    let told = &self.writes[order.write];
                    let change = StorageChange::new(self.changes[told.change].index, told.value);
                    note(
                        &mut changes,
                        change,
                        |told| told.block_access_index,
                        writes.len() - place,
                    );
                }
                SlotChanges {
                    slot: writes[0].slot,
                    changes,
                }
            })
            .collect()
    }
}

/// The changes of each account.
fn by_account(changes: &[ChangeOrder]) -> impl Iterator<Item = &[ChangeOrder]> {
    changes.chunk_by(|one, next| one.address == next.address)
}

/// Adds a value, instead of the last one if that has its index. At most `to_come` are added from now on, this one included.
fn note<T>(values: &mut Vec<T>, value: T, index: impl Fn(&T) -> BlockAccessIndex, to_come: usize) {
    if values.is_empty() {
        values.reserve_exact(to_come);
    }
    values.pop_if(|last| index(last) == index(&value));
    values.push(value);
}
