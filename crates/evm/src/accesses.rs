//! What one transaction touched, on its way from the thread that executed it to the block it is in.

use alloy_primitives::{Address, B256, U256};
use rapid_primitives::AccountChange;
use revm::{
    bytecode::Bytecode,
    state::{Account as JournalAccount, EvmState, EvmStorageSlot},
};

use crate::AccessedKey;

/// Everything that a transaction touched, with the values of what it changed, as a block access list records them (EIP-7928).
///
/// That is not what its [`AccountChange`]s say: they say all fields of an account that was created over an old one, and none of
/// one that was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionAccesses {
    accounts: Vec<AccountAccess>,
    /// Of all accounts, one after the other: a slot, and its value if it changed.
    slots: Vec<(U256, Option<U256>)>,
}

/// An account that was touched, with what changed of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AccountAccess {
    pub(crate) address: Address,
    pub(crate) nonce: Option<u64>,
    pub(crate) balance: Option<U256>,
    pub(crate) code: Option<(B256, Bytecode)>,
    /// How many of the slots are its.
    slots: usize,
}

impl TransactionAccesses {
    /// What the journal of a transaction says.
    #[must_use]
    pub fn of(journal: &EvmState) -> Self {
        let mut accesses = Self {
            accounts: Vec::with_capacity(journal.len()),
            slots: Vec::new(),
        };
        for (address, account) in journal {
            accesses.accounts.push(AccountAccess::of(*address, account));
            let destroyed = account.is_selfdestructed_locally();
            let slots = account.storage.iter();
            accesses
                .slots
                .extend(slots.map(|(slot, value)| (*slot, changed_value(value, destroyed))));
        }
        accesses
    }

    /// Adds an account that was credited outside of the journal, be it with nothing: `change` is what became of it.
    pub fn credit(&mut self, change: &AccountChange) {
        self.accounts.push(AccountAccess {
            address: change.address,
            balance: change.balance,
            ..AccountAccess::default()
        });
    }

    /// Addresses and slots.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.accounts.len() + self.slots.len()
    }

    /// Whether nothing was touched.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// The accounts, each with its slots.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = (&AccountAccess, &[(U256, Option<U256>)])> {
        let mut rest = self.slots.as_slice();
        self.accounts.iter().map(move |account| {
            let (slots, others) = rest.split_at(account.slots);
            rest = others;
            (account, slots)
        })
    }
}

impl AccountAccess {
    fn of(address: Address, account: &JournalAccount) -> Self {
        let slots = account.storage.len();
        let before = account.original_info();
        let after = match account.is_selfdestructed_locally() {
            true => revm::state::AccountInfo::default(),
            false => account.info.clone(),
        };
        Self {
            address,
            nonce: (after.nonce != before.nonce).then_some(after.nonce),
            balance: (after.balance != before.balance).then_some(after.balance),
            code: (after.code_hash != before.code_hash)
                .then(|| (after.code_hash, after.code.unwrap_or_default())),
            slots,
        }
    }
}

fn changed_value(slot: &EvmStorageSlot, destroyed: bool) -> Option<U256> {
    let value = match destroyed {
        true => U256::ZERO,
        false => slot.present_value,
    };
    (value != slot.original_value).then_some(value)
}

/// The keys that a journal has.
pub(crate) fn keys_of(journal: &EvmState) -> impl Iterator<Item = AccessedKey> {
    journal.iter().flat_map(|(address, account)| {
        let slots = account.storage.keys();
        let slots = slots.map(|slot| AccessedKey::Slot(*address, *slot));
        slots.chain([AccessedKey::Account(*address)])
    })
}
