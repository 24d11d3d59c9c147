//! The difference between two states of an account, as a change.

use alloy_primitives::{Address, B256, U256};
use rapid_primitives::{Account, AccountChange, CodeChange, Fate};
use revm::bytecode::Bytecode;

/// An account before and after.
#[derive(Debug)]
pub(crate) struct NetChange {
    pub(crate) address: Address,
    pub(crate) before: Option<Account>,
    pub(crate) after: Option<Account>,
    pub(crate) storage: StorageChange,
}

/// What happened to an account's storage in between.
#[derive(Debug)]
pub(crate) enum StorageChange {
    /// These slots have new values.
    Slots(Vec<(U256, U256)>),
    /// It was dropped, and now has these slots.
    Replaced(Vec<(U256, U256)>),
}

impl NetChange {
    /// The change that leads from before to after; `None` when they are equal. `code` finds code by its hash.
    ///
    /// # Panics
    /// If `code` does not know the code of the account after.
    pub(crate) fn into_change(self, code: impl Fn(&B256) -> Option<Bytecode>) -> Option<AccountChange> {
        let mut change = AccountChange::new(self.address);
        let Some(after) = self.after else {
            change.fate = Fate::Removed;
            return self.before.map(|_| change);
        };
        let replaced = self.before.is_some() && matches!(self.storage, StorageChange::Replaced(_));
        let before = self.before.unwrap_or_default();
        change.nonce = (replaced || after.nonce != before.nonce).then_some(after.nonce);
        change.balance = (replaced || after.balance != before.balance).then_some(after.balance);
        change.code = (replaced || after.code_hash != before.code_hash).then(|| {
            let code = code(&after.code_hash).expect("whoever has a code hash brought the code");
            CodeChange {
                hash: after.code_hash,
                code: code.original_bytes(),
            }
        });
        change.fate = match self.before {
            Some(_) if replaced => Fate::Wiped,
            Some(before) if after.is_empty() && after != before => Fate::CreatedEmpty,
            None if after.is_empty() => Fate::CreatedEmpty,
            _ => Fate::Kept,
        };
        let (StorageChange::Slots(mut storage) | StorageChange::Replaced(mut storage)) = self.storage;
        storage.sort_unstable();
        change.storage = storage;
        (!change.is_noop()).then_some(change)
    }
}
