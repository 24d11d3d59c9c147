//! The state as the trie reads it.

use alloy_primitives::{Address, B256, U256};
use alloy_rlp::Encodable;
use alloy_trie::TrieAccount;
use rapid_keccak::{keccak256_addresses, keccak256_words};
use rapid_primitives::Account;

use crate::{
    TrieError,
    leaves::{Leaves, Values},
};

/// One version of the state, or a draft, whose accounts and slots have places.
///
/// A place is a number that belongs to an account, or to a slot of one life of an account's storage, as long as any
/// version that a trie was made of is held; all versions have the same. Everything is asked for many at once, so that
/// an implementation can have many cache misses under way, and answered by appending in the order of the questions.
pub trait TrieState: Clone + Send + Sync {
    /// Whether the version is still retained, so that all its accounts and slots have their places.
    ///
    /// # Errors
    /// [`TrieError::VersionGone`] if not.
    fn check(&self) -> Result<(), TrieError>;

    /// The places of accounts; `None` for one that exists in no retained version.
    fn account_ids(&self, addresses: &[Address], ids: &mut Vec<Option<u32>>);

    /// The addresses at places of accounts.
    fn addresses(&self, accounts: &[u32], addresses: &mut Vec<Address>);

    /// The accounts at places; `None` for one that does not exist in this version.
    ///
    /// # Errors
    /// [`TrieError::VersionGone`] when the version is no longer retained.
    fn accounts(&self, accounts: &[u32], values: &mut Vec<Option<Account>>) -> Result<(), TrieError>;

    /// The life of each account's storage; 0 for none. It is another one after the storage was cleared.
    ///
    /// # Errors
    /// [`TrieError::VersionGone`] when the version is no longer retained.
    fn storage_ids(&self, accounts: &[u32], ids: &mut Vec<u32>) -> Result<(), TrieError>;

    /// The places of slots, each of a storage; `None` for one that has a value in no retained
    /// version.
    fn slot_ids(&self, slots: &[(u32, U256)], ids: &mut Vec<Option<u32>>);

    /// The slots at places, as words.
    fn slots(&self, slots: &[u32], words: &mut Vec<B256>);

    /// The values of the slots at places; zero for one that has none in this version.
    ///
    /// # Errors
    /// [`TrieError::VersionGone`] when the version is no longer retained.
    fn values(&self, slots: &[u32], values: &mut Vec<U256>) -> Result<(), TrieError>;
}

/// Leaves of the account trie.
#[derive(Debug)]
pub(crate) struct AccountLeaves<'s, S>(pub(crate) &'s S);

impl<S: TrieState> Leaves for AccountLeaves<'_, S> {
    fn keys(&self, places: &[u32], keys: &mut Vec<B256>) -> Result<(), TrieError> {
        let mut addresses = Vec::with_capacity(places.len());
        self.0.addresses(places, &mut addresses);
        let first = keys.len();
        keys.resize(first + addresses.len(), B256::ZERO);
        keccak256_addresses(&addresses, &mut keys[first..]);
        Ok(())
    }

    fn values(&self, places: &[u32], storage_roots: &[B256], values: &mut Values) -> Result<(), TrieError> {
        let mut accounts = Vec::with_capacity(places.len());
        self.0.accounts(places, &mut accounts)?;
        for (account, root) in accounts.into_iter().zip(storage_roots) {
            let account = account.ok_or(TrieError::UnknownEntry)?;
            TrieAccount::new(account.nonce, account.balance, *root, account.code_hash)
                .encode(&mut values.bytes);
            values.end();
        }
        Ok(())
    }
}

/// Leaves of the storage tries.
#[derive(Debug)]
pub(crate) struct SlotLeaves<'s, S>(pub(crate) &'s S);

impl<S: TrieState> Leaves for SlotLeaves<'_, S> {
    fn keys(&self, places: &[u32], keys: &mut Vec<B256>) -> Result<(), TrieError> {
        let mut words = Vec::with_capacity(places.len());
        self.0.slots(places, &mut words);
        let first = keys.len();
        keys.resize(first + words.len(), B256::ZERO);
        keccak256_words(&words, &mut keys[first..]);
        Ok(())
    }

    fn values(&self, places: &[u32], _: &[B256], values: &mut Values) -> Result<(), TrieError> {
        let mut words = Vec::with_capacity(places.len());
        self.0.values(places, &mut words)?;
        for word in words {
            word.encode(&mut values.bytes);
            values.end();
        }
        Ok(())
    }
}
