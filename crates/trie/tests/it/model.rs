//! Accounts in sorted maps, and changes to them as generated input.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::{
    Nibbles, TrieAccount,
    proof::verify_proof,
    root::{state_root_unhashed, storage_root_unhashed},
};
use proptest::{collection::vec, option, prelude::*};
use rapid_primitives::{Account, AccountChange, CodeChange, Fate};
use rapid_trie::{AccountProof, StateTrie};

pub(crate) type Storage = BTreeMap<U256, U256>;

/// What the state is, without a trie.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model(pub(crate) BTreeMap<Address, (Account, Storage)>);

impl Model {
    pub(crate) fn apply(&mut self, changes: &[AccountChange]) {
        for change in changes {
            let before = self.0.remove(&change.address);
            let (account, mut storage) = before.clone().unwrap_or_default();
            let Some(account) = change.apply_to(before.map(|_| account)) else {
                continue;
            };
            if matches!(change.fate, Fate::Wiped | Fate::Removed) {
                storage.clear();
            }
            for (slot, value) in &change.storage {
                storage.insert(*slot, *value);
            }
            storage.retain(|_, value| !value.is_zero());
            self.0.insert(change.address, (account, storage));
        }
    }

    pub(crate) fn root(&self) -> B256 {
        state_root_unhashed(self.0.iter().map(|(address, (account, storage))| {
            let root = storage_root(storage);
            (
                *address,
                TrieAccount::new(account.nonce, account.balance, root, account.code_hash),
            )
        }))
    }

    pub(crate) fn trie(&self) -> StateTrie {
        StateTrie::from_accounts(
            self.0
                .iter()
                .map(|(address, (account, storage))| (*address, *account, storage.clone())),
        )
    }

    /// Asks `trie` for proofs of an account and its slots, verifies them as a stranger would, and compares what
    /// they prove with the model.
    pub(crate) fn assert_proves(&self, trie: &StateTrie, address: Address, slots: &[B256]) {
        let proof = trie.proof(address, slots);
        let (account, storage) = self.0.get(&address).cloned().unzip();
        let storage = storage.unwrap_or_default();
        assert_eq!(proof.address, address);
        assert_eq!(proof.account, account);
        assert_eq!(proof.storage_root, storage_root(&storage));
        assert_eq!(trie.account(address), account);
        assert_eq!(trie.storage_root(address), account.map(|_| proof.storage_root));
        verify_account(self.root(), &proof);
        assert_eq!(proof.storage.len(), slots.len());
        for (slot, asked) in proof.storage.iter().zip(slots) {
            assert_eq!(slot.key, *asked);
            let expected = storage.get(&U256::from_be_bytes(asked.0)).copied();
            assert_eq!(slot.value, expected.unwrap_or_default());
            verify(
                proof.storage_root,
                *asked,
                expected.map(alloy_rlp::encode),
                &slot.proof,
            );
        }
    }
}

fn storage_root(storage: &Storage) -> B256 {
    storage_root_unhashed(storage.iter().map(|(slot, value)| (B256::from(*slot), *value)))
}

fn verify_account(root: B256, proof: &AccountProof) {
    let leaf = proof.account.map(|account| {
        TrieAccount::new(
            account.nonce,
            account.balance,
            proof.storage_root,
            account.code_hash,
        )
    });
    verify(
        root,
        proof.address,
        leaf.map(alloy_rlp::encode),
        &proof.account_proof,
    );
}

fn verify(root: B256, key: impl AsRef<[u8]>, expected: Option<Vec<u8>>, proof: &[Bytes]) {
    let path = Nibbles::unpack(keccak256(key));
    verify_proof(root, path, expected, proof).unwrap_or_else(|error| panic!("{error}: {proof:?}"));
}

pub(crate) fn address(number: u8) -> Address {
    Address::with_last_byte(number)
}

pub(crate) fn slot(number: u8) -> B256 {
    B256::with_last_byte(number)
}

fn code() -> impl Strategy<Value = CodeChange> {
    prop_oneof![
        Just(CodeChange {
            hash: KECCAK256_EMPTY,
            code: Bytes::new()
        }),
        (1..4u8).prop_map(|byte| CodeChange::new(Bytes::from(vec![byte]))),
    ]
}

fn storage(slots: u8) -> impl Strategy<Value = Vec<(U256, U256)>> {
    let value = prop_oneof![
        2 => Just(U256::ZERO),
        3 => (1..100u64).prop_map(U256::from),
        1 => any::<[u8; 32]>().prop_map(U256::from_be_bytes),
    ];
    proptest::collection::btree_map((0..slots).prop_map(U256::from), value, 0..6)
        .prop_map(|slots| slots.into_iter().collect())
}

/// A change as execution makes them, of one of `accounts` accounts with up to `slots` slots.
pub(crate) fn change(accounts: u8, slots: u8) -> impl Strategy<Value = AccountChange> {
    let fate = prop_oneof![
        12 => Just(Fate::Kept), 2 => Just(Fate::Wiped), 2 => Just(Fate::Removed), 1 => Just(Fate::CreatedEmpty)
    ];
    let fields = (
        option::of(0..3u64),
        option::of(0..3u64),
        option::weighted(0.3, code()),
    );
    (0..accounts, fate, fields, storage(slots)).prop_map(|(number, fate, (nonce, balance, code), storage)| {
        let mut change = AccountChange::new(address(number));
        change.fate = fate;
        if fate == Fate::Removed {
            return change;
        }
        let balance = balance.map(|wei| U256::from(wei) << 64);
        (change.nonce, change.balance, change.code, change.storage) = (nonce, balance, code, storage);
        if fate == Fate::Wiped {
            change.nonce.get_or_insert(1);
            change.balance.get_or_insert(U256::ZERO);
            change
                .code
                .get_or_insert_with(|| CodeChange::new(Bytes::from_static(&[0x5f])));
        }
        change
    })
}

/// Batches of changes; an account may occur several times in one.
pub(crate) fn batches() -> impl Strategy<Value = Vec<Vec<AccountChange>>> {
    vec(vec(change(24, 20), 1..24), 12..24)
}
