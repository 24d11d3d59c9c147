//! The block access list (EIP-7928): what a block read and wrote, found by executing it.

use alloy_eip7928::{BlockAccessIndex, BlockAccessList};
use alloy_primitives::{Address, U256};
use rapid_primitives::AccountChange;
use revm::state::{
    EvmState,
    bal::{Bal, BalWrites},
};

use crate::{TransactionAccesses, access_budget::AccessBudget, accesses::keys_of};

/// Gathers the accesses of a block in execution.
///
/// Indices do not decrease from call to call: 0 before the transactions, `1..=n` the transactions, `n + 1` after them.
#[derive(Debug, Default)]
pub struct BlockAccesses {
    list: Bal,
    /// Of a block in the making.
    budget: Option<AccessBudget>,
}

/// Something that a block access list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessedKey {
    /// An account.
    Account(Address),
    /// A slot.
    Slot(Address, U256),
}

impl BlockAccesses {
    /// Adds everything a transaction or system call loaded, whether it changed it or not.
    pub(crate) fn record(&mut self, index: u64, journal: &EvmState) {
        for (address, account) in journal {
            self.list
                .update_account(BlockAccessIndex::new(index), *address, account);
        }
        if let Some(budget) = &mut self.budget {
            keys_of(journal).for_each(|key| budget.note(key));
        }
    }

    /// Adds everything that a transaction touched which was executed elsewhere.
    pub(crate) fn record_accesses(&mut self, index: u64, accesses: &TransactionAccesses) {
        let index = BlockAccessIndex::new(index);
        for (account, slots) in accesses.accounts() {
            self.note(AccessedKey::Account(account.address));
            for (slot, _) in slots {
                self.note(AccessedKey::Slot(account.address, *slot));
            }
            let list = self.list.accounts.entry(account.address).or_default();
            let fields = &mut list.account_info;
            if let Some(nonce) = account.nonce {
                fields.nonce.force_update(index, nonce);
            }
            if let Some(balance) = account.balance {
                fields.balance.force_update(index, balance);
            }
            if let Some(code) = &account.code {
                fields.code.force_update(index, code.clone());
            }
            for (slot, value) in slots {
                let writes = list.storage.storage.entry(*slot).or_default();
                if let Some(value) = value {
                    writes.force_update(index, *value);
                }
            }
        }
    }

    /// From now on counts what is touched, as a block of this gas limit may not touch everything.
    pub(crate) fn limit(&mut self, gas_limit: u64) {
        self.budget = Some(AccessBudget::new(gas_limit));
    }

    pub(crate) const fn budget(&self) -> Option<&AccessBudget> {
        self.budget.as_ref()
    }

    pub(crate) const fn budget_mut(&mut self) -> Option<&mut AccessBudget> {
        self.budget.as_mut()
    }

    /// Takes what was gathered since the last time.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            list: std::mem::take(&mut self.list),
            budget: None,
        }
    }

    fn note(&mut self, key: AccessedKey) {
        if let Some(budget) = &mut self.budget {
            budget.note(key);
        }
    }

    /// Adds an account that was loaded.
    pub(crate) fn touch(&mut self, address: Address) {
        self.note(AccessedKey::Account(address));
        self.list.accounts.entry(address).or_default();
    }

    /// Adds an account that was credited outside of the EVM, be it with nothing.
    pub(crate) fn credit(&mut self, index: u64, address: Address, before: U256, after: U256) {
        self.note(AccessedKey::Account(address));
        let account = self.list.accounts.entry(address).or_default();
        account
            .account_info
            .balance_update(BlockAccessIndex::new(index), &before, after);
    }

    /// Adds what was recorded elsewhere: keys that were touched, and the values of those that changed. Every value differs
    /// from the one before this index.
    pub fn absorb(
        &mut self,
        index: u64,
        touched: impl IntoIterator<Item = AccessedKey>,
        changes: &[AccountChange],
    ) {
        let index = BlockAccessIndex::new(index);
        for key in touched {
            let (AccessedKey::Account(address) | AccessedKey::Slot(address, _)) = key;
            let account = self.list.accounts.entry(address).or_default();
            if let AccessedKey::Slot(_, slot) = key {
                account.storage.storage.entry(slot).or_default();
            }
        }
        for change in changes {
            let account = self.list.accounts.entry(change.address).or_default();
            let fields = &mut account.account_info;
            if let Some(nonce) = change.nonce {
                fields.nonce.force_update(index, nonce);
            }
            if let Some(balance) = change.balance {
                fields.balance.force_update(index, balance);
            }
            if let Some(code) = &change.code {
                fields.code.force_update(index, (code.hash, code.bytecode()));
            }
            for (slot, value) in &change.storage {
                let writes: &mut BalWrites<U256> = account.storage.storage.entry(*slot).or_default();
                writes.force_update(index, *value);
            }
        }
    }

    /// Adds another list's keys, and of its values those at one index.
    pub fn absorb_part(&mut self, list: &BlockAccessList, index: u64) {
        let at = BlockAccessIndex::new(index);
        for account in list {
            let address = account.address;
            let slots = account
                .storage_slots()
                .chain(account.storage_reads.iter().copied());
            let touched = slots.map(|slot| AccessedKey::Slot(address, slot));
            let mut change = AccountChange::new(address);
            let nonces = account.nonce_changes.iter();
            let nonce = nonces.rev().find(|change| change.block_access_index == at);
            change.nonce = nonce.map(|change| change.new_nonce);
            let balances = account.balance_changes.iter();
            let balance = balances.rev().find(|change| change.block_access_index == at);
            change.balance = balance.map(|change| change.post_balance);
            let codes = account.code_changes.iter();
            let code = codes.rev().find(|change| change.block_access_index == at);
            change.code = code.map(|change| rapid_primitives::CodeChange::new(change.new_code.clone()));
            for slot in &account.storage_changes {
                let values = slot.changes.iter();
                let value = values.rev().find(|change| change.block_access_index == at);
                change
                    .storage
                    .extend(value.map(|change| (slot.slot, change.new_value)));
            }
            self.absorb(
                index,
                touched.chain([AccessedKey::Account(address)]),
                std::slice::from_ref(&change),
            );
        }
    }

    /// The list, sorted as EIP-7928 asks.
    pub fn finish(self) -> BlockAccessList {
        self.list.into_alloy_bal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_count_from_the_value_before() {
        let (credited, touched) = (Address::with_last_byte(2), Address::with_last_byte(1));
        let mut accesses = BlockAccesses::default();
        accesses.credit(1, credited, U256::from(3), U256::from(5));
        accesses.credit(1, touched, U256::from(3), U256::from(3));
        let list = accesses.finish();
        assert_eq!(list.len(), 2);
        assert_eq!((list[0].address, list[1].address), (touched, credited), "sorted");
        assert!(list[0].balance_changes.is_empty(), "nothing changed");
        assert_eq!(list[1].balance_changes[0].post_balance, U256::from(5));
    }
}
