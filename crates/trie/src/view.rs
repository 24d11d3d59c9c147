//! The node's state, as the trie reads it.

use alloy_primitives::{Address, B256, U256};
use rapid_primitives::Account;
use rapid_state::{AccountId, SlotId, Snapshot, StateView, StorageId, VersionGone};
use rayon::slice::ParallelSliceMut;

use crate::{Forest, StateTrie, TrieError, TrieState};

/// Entries asked for ahead of the one that is read: more cache misses than a core can have under way.
const AHEAD: usize = 16;

impl From<VersionGone> for TrieError {
    fn from(_: VersionGone) -> Self {
        Self::VersionGone
    }
}

impl TrieState for StateView {
    fn check(&self) -> Result<(), TrieError> {
        Ok(Self::check(self)?)
    }

    fn account_ids(&self, addresses: &[Address], ids: &mut Vec<Option<u32>>) {
        let find = |address: &Address| self.account_id(address).map(AccountId::get);
        ids.extend(ahead(addresses, |address| self.prefetch_account_id(address)).map(find));
    }

    fn addresses(&self, accounts: &[u32], addresses: &mut Vec<Address>) {
        let read = |account: &u32| self.address(AccountId::from_stored(*account));
        addresses.extend(ahead(accounts, |account| self.prefetch(*account)).map(read));
    }

    fn accounts(&self, accounts: &[u32], values: &mut Vec<Option<Account>>) -> Result<(), TrieError> {
        for account in ahead(accounts, |account| self.prefetch(*account)) {
            values.push(self.account(AccountId::from_stored(*account))?);
        }
        Ok(())
    }

    fn storage_ids(&self, accounts: &[u32], ids: &mut Vec<u32>) -> Result<(), TrieError> {
        for account in ahead(accounts, |account| self.prefetch(*account)) {
            ids.push(self.storage_of(AccountId::from_stored(*account))?.get());
        }
        Ok(())
    }

    fn slot_ids(&self, slots: &[(u32, U256)], ids: &mut Vec<Option<u32>>) {
        let prefetch = |(storage, slot): &(u32, U256)| {
            self.prefetch_slot_id(StorageId::from_stored(*storage), slot);
        };
        let find = |(storage, slot): &(u32, U256)| {
            self.slot_id(StorageId::from_stored(*storage), slot)
                .map(SlotId::get)
        };
        ids.extend(ahead(slots, prefetch).map(find));
    }

    fn slots(&self, slots: &[u32], words: &mut Vec<B256>) {
        let read = |slot: &u32| B256::from(self.slot(SlotId::from_stored(*slot)));
        words.extend(ahead(slots, |slot| self.prefetch_slot(SlotId::from_stored(*slot))).map(read));
    }

    fn values(&self, slots: &[u32], values: &mut Vec<U256>) -> Result<(), TrieError> {
        for slot in ahead(slots, |slot| self.prefetch_slot(SlotId::from_stored(*slot))) {
            values.push(self.value(SlotId::from_stored(*slot))?);
        }
        Ok(())
    }
}

trait Prefetch {
    fn prefetch(&self, account: u32);
}

impl Prefetch for StateView {
    fn prefetch(&self, account: u32) {
        self.prefetch_account(AccountId::from_stored(account));
    }
}

/// Items in order, each asked for some places ahead.
fn ahead<'a, T>(items: &'a [T], prefetch: impl Fn(&T) + 'a) -> impl Iterator<Item = &'a T> + 'a {
    items.iter().take(AHEAD).for_each(&prefetch);
    items.iter().enumerate().map(move |(at, item)| {
        if let Some(next) = items.get(at + AHEAD) {
            prefetch(next);
        }
        item
    })
}

impl StateTrie {
    /// Builds the trie of a whole version, as after a restart, on `pool`, whose threads are the budget; the caller waits.
    ///
    /// # Errors
    /// [`TrieError`]; the forest is then of no more use.
    pub fn of_snapshot(
        pool: &rayon::ThreadPool,
        forest: &Forest,
        snapshot: &Snapshot,
    ) -> Result<Self, TrieError> {
        let mut slots = Vec::new();
        for slot in snapshot.slots() {
            let slot = slot?;
            slots.push((slot.account.get(), slot.id.get()));
        }
        pool.install(|| slots.par_sort_unstable());
        let mut accounts = Vec::new();
        for account in snapshot.accounts() {
            accounts.push(account?.id().get());
        }
        // Both are in the order of the accounts' ids.
        let mut rest = slots.as_slice();
        let with_slots = accounts.into_iter().map(|account| {
            let count = rest.partition_point(|(of, _)| *of == account);
            let (own, others) = rest.split_at(count);
            rest = others;
            (account, own.iter().map(|(_, slot)| *slot))
        });
        Self::build_with(pool, forest, snapshot.clone().into(), with_slots)
    }
}
