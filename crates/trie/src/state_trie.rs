//! The trie of all accounts and their storage: one root is the whole state.

use std::fmt;

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use rapid_primitives::{Account, AccountChange};

use crate::{
    AccountProof, SlotProof,
    account::{AccountEdit, AccountLeaf, StorageTrie},
    edit::Keyed,
    trie::Trie,
};

/// The state trie of Ethereum: accounts by hash of their address, each with the trie of its storage.
///
/// [`apply`](Self::apply) changes the structure, [`root`](Self::root) hashes what changed. A clone costs one
/// reference count; it keeps its root, its values and its proofs whatever happens to the original, and may be read
/// from any thread.
#[derive(Clone, Default)]
pub struct StateTrie {
    accounts: Trie<AccountLeaf>,
}

impl fmt::Debug for StateTrie {
    /// Does not print the accounts: there are too many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateTrie")
            .field("is_empty", &self.accounts.is_empty())
            .finish_non_exhaustive()
    }
}

impl StateTrie {
    /// Builds the trie of a whole state: each account with all of its storage, as a checkpoint lists them.
    ///
    /// Slots of value zero are left out. Of an address, or of a slot of one account, that occurs several times, the
    /// last one counts. Accounts are taken as they are, empty ones too. Takes time linear in accounts and slots but
    /// for the sort, and hashes no nodes.
    #[must_use]
    pub fn from_accounts<S>(accounts: impl IntoIterator<Item = (Address, Account, S)>) -> Self
    where
        S: IntoIterator<Item = (U256, U256)>,
    {
        let leaves = accounts
            .into_iter()
            .map(|(address, account, storage)| (keccak256(address), AccountLeaf::new(account, storage)))
            .collect();
        Self {
            accounts: Trie::build(leaves),
        }
    }

    /// Merges changes into the state; several of one account apply in order.
    ///
    /// Follows [`AccountChange::apply_to`]: an account that does not exist afterwards goes with its storage, a wiped
    /// one keeps only the slots of its change, a slot of value zero is removed. Computes no node hash.
    pub fn apply(&mut self, changes: &[AccountChange]) {
        let mut keyed: Vec<_> = changes
            .iter()
            .map(|change| (keccak256(change.address), change))
            .collect();
        // Stable: changes of one account stay in order.
        keyed.sort_by_key(|item| item.0);
        let mut edits: Vec<Keyed<AccountEdit<'_>>> = keyed
            .chunk_by(|a, b| a.0 == b.0)
            .map(|changes| (changes[0].0, AccountEdit { changes }))
            .collect();
        self.accounts.apply(&mut edits);
    }

    /// The state root. Costs one hash per node changed since the last call on this trie or a clone that shares the
    /// node; nothing when asked again.
    #[must_use]
    pub fn root(&self) -> B256 {
        self.accounts.root()
    }

    /// [`root`](Self::root), hashing independent subtrees on `pool`, whose threads are the budget; the caller waits.
    ///
    /// For the root after a restart, where every node is to be hashed, and for blocks of thousands of changes. With
    /// fewer, waking threads costs more than it saves.
    #[must_use]
    pub fn root_with(&self, pool: &rayon::ThreadPool) -> B256 {
        pool.install(|| self.accounts.root_parallel())
    }

    /// The root of an account's storage, the empty root if it has none; `None` if the account does not exist.
    #[must_use]
    pub fn storage_root(&self, address: Address) -> Option<B256> {
        self.leaf(address).map(AccountLeaf::storage_root)
    }

    /// The fields of an account; `None` if it does not exist.
    #[must_use]
    pub fn account(&self, address: Address) -> Option<Account> {
        self.leaf(address).map(AccountLeaf::account)
    }

    /// Proves an account and slots of its storage, present or absent, against [`root`](Self::root).
    ///
    /// Takes time linear in the slots asked for: who serves strangers bounds their number.
    #[must_use]
    pub fn proof(&self, address: Address, slots: &[B256]) -> AccountProof {
        let key = keccak256(address);
        let leaf = self.accounts.get(&key);
        let storage = leaf.and_then(AccountLeaf::storage);
        AccountProof {
            address,
            account: leaf.map(AccountLeaf::account),
            storage_root: leaf.map_or(EMPTY_ROOT_HASH, AccountLeaf::storage_root),
            account_proof: self.accounts.prove(&key),
            storage: slots.iter().map(|slot| prove_slot(storage, *slot)).collect(),
        }
    }

    fn leaf(&self, address: Address) -> Option<&AccountLeaf> {
        self.accounts.get(&keccak256(address))
    }
}

fn prove_slot(storage: Option<&StorageTrie>, slot: B256) -> SlotProof {
    let key = keccak256(slot);
    SlotProof {
        key: slot,
        value: storage
            .and_then(|trie| trie.get(&key))
            .copied()
            .unwrap_or_default(),
        proof: storage.map(|trie| trie.prove(&key)).unwrap_or_default(),
    }
}
