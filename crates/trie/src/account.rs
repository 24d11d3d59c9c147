//! The leaf of the account trie: an account together with its storage trie.

use std::sync::Arc;

use alloy_primitives::{B256, KECCAK256_EMPTY, U256, keccak256};
use alloy_rlp::{BufMut, Encodable};
use alloy_trie::TrieAccount;
use rapid_primitives::{Account, AccountChange};

use crate::{
    edit::{Edit, Effect},
    node::LeafValue,
    trie::{SlotWrite, Trie, sort_last_wins},
};

/// Storage of one account, by hash of the slot.
pub(crate) type StorageTrie = Trie<U256>;

/// An account and its storage.
#[derive(Clone, Default)]
pub(crate) struct AccountLeaf {
    nonce: u64,
    balance: U256,
    /// `None` without code and storage: most accounts, which then take half of the memory.
    contract: Option<Arc<Contract>>,
}

#[derive(Clone)]
struct Contract {
    code_hash: B256,
    storage: StorageTrie,
}

impl Default for Contract {
    fn default() -> Self {
        Self {
            code_hash: KECCAK256_EMPTY,
            storage: StorageTrie::default(),
        }
    }
}

impl Contract {
    fn is_blank(&self) -> bool {
        self.code_hash == KECCAK256_EMPTY && self.storage.is_empty()
    }
}

impl LeafValue for AccountLeaf {
    fn encode_value(&self, out: &mut dyn BufMut) {
        let Account {
            nonce,
            balance,
            code_hash,
        } = self.account();
        TrieAccount::new(nonce, balance, self.storage_root(), code_hash).encode(out);
    }

    fn hash_parallel(&self) {
        if let Some(storage) = self.storage() {
            storage.root_parallel();
        }
    }
}

impl AccountLeaf {
    /// An account with all of its storage; slots of value zero are left out.
    pub(crate) fn new(account: Account, storage: impl IntoIterator<Item = (U256, U256)>) -> Self {
        let slots = storage.into_iter().filter(|(_, value)| !value.is_zero());
        let storage = StorageTrie::build(slots.map(|(slot, value)| (hash_slot(slot), value)).collect());
        let contract = Contract {
            code_hash: account.code_hash,
            storage,
        };
        Self {
            nonce: account.nonce,
            balance: account.balance,
            contract: (!contract.is_blank()).then(|| Arc::new(contract)),
        }
    }

    /// The flat fields.
    pub(crate) fn account(&self) -> Account {
        let code_hash = self
            .contract
            .as_ref()
            .map_or(KECCAK256_EMPTY, |contract| contract.code_hash);
        Account {
            nonce: self.nonce,
            balance: self.balance,
            code_hash,
        }
    }

    /// The storage; `None` if the account has none.
    pub(crate) fn storage(&self) -> Option<&StorageTrie> {
        self.contract.as_ref().map(|contract| &contract.storage)
    }

    pub(crate) fn storage_root(&self) -> B256 {
        self.storage().map_or(alloy_trie::EMPTY_ROOT_HASH, Trie::root)
    }

    /// Sets the flat fields and writes slots; returns whether the code hash or a slot differs.
    fn write(&mut self, account: Account, slots: &[(U256, U256)]) -> bool {
        self.nonce = account.nonce;
        self.balance = account.balance;
        if slots.is_empty() && self.account().code_hash == account.code_hash {
            return false;
        }
        let contract = Arc::make_mut(self.contract.get_or_insert_default());
        let mut changed = contract.code_hash != account.code_hash;
        contract.code_hash = account.code_hash;
        let mut writes = slots
            .iter()
            .map(|(slot, value)| (hash_slot(*slot), SlotWrite(*value)))
            .collect();
        sort_last_wins(&mut writes);
        changed |= contract.storage.apply(&mut writes);
        if contract.is_blank() {
            self.contract = None;
        }
        changed
    }

    /// Drops the storage; returns whether there was any.
    fn clear_storage(&mut self) -> bool {
        let Some(contract) = self.contract.take() else {
            return false;
        };
        let blank = Contract {
            code_hash: contract.code_hash,
            storage: StorageTrie::default(),
        };
        self.contract = (!blank.is_blank()).then(|| Arc::new(blank));
        !contract.storage.is_empty()
    }
}

/// The key of a slot in the storage trie.
pub(crate) fn hash_slot(slot: U256) -> B256 {
    keccak256(slot.to_be_bytes::<32>())
}

/// Changes of one account, in order.
#[derive(Debug)]
pub(crate) struct AccountEdit<'a> {
    pub(crate) changes: &'a [(B256, &'a AccountChange)],
}

impl Edit for AccountEdit<'_> {
    type Value = AccountLeaf;

    fn may_create(&self) -> bool {
        self.changes
            .iter()
            .any(|(_, change)| change.apply_to(None).is_some())
    }

    fn create(&mut self) -> Option<AccountLeaf> {
        let mut leaf = None;
        for (_, change) in self.changes {
            merge(&mut leaf, change);
        }
        leaf
    }

    fn update(&mut self, value: &mut AccountLeaf) -> Effect {
        let mut leaf = Some(std::mem::take(value));
        let mut changed = false;
        for (_, change) in self.changes {
            changed |= merge(&mut leaf, change);
        }
        match leaf {
            None => Effect::Removed,
            Some(leaf) => {
                *value = leaf;
                if changed {
                    Effect::Changed
                } else {
                    Effect::Unchanged
                }
            }
        }
    }
}

/// Folds one change into an account that may not exist; returns whether anything differs.
fn merge(leaf: &mut Option<AccountLeaf>, change: &AccountChange) -> bool {
    let before = leaf.as_ref().map(AccountLeaf::account);
    let Some(after) = change.apply_to(before) else {
        return leaf.take().is_some();
    };
    let leaf = leaf.get_or_insert_default();
    let mut changed = before != Some(after);
    if change.clears_storage() {
        changed |= leaf.clear_storage();
    }
    changed |= leaf.write(after, &change.storage);
    changed
}
