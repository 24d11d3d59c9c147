//! Accounts in sorted maps, as the state a trie reads, and changes to them as generated input.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::{
    Nibbles, TrieAccount,
    proof::verify_proof,
    root::{state_root_unhashed, storage_root_unhashed},
};
use parking_lot::RwLock;
use proptest::{collection::vec, option, prelude::*};
use rapid_primitives::{Account, AccountChange, CodeChange, Fate};
use rapid_trie::{AccountProof, Forest, StateTrie, TrieError, TrieState};

/// The storage of an account: which life of it, and the slots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storage {
    id: u32,
    slots: BTreeMap<U256, U256>,
}

/// What the state is, without a trie.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model(pub(crate) BTreeMap<Address, (Account, Storage)>);

/// Places of accounts and slots, the same for all versions. None is used twice.
#[derive(Debug, Default)]
pub(crate) struct Places {
    accounts: HashMap<Address, u32>,
    addresses: Vec<Address>,
    slots: HashMap<(u32, U256), u32>,
    words: Vec<(Address, u32, U256)>,
    storages: u32,
}

/// A version of the state.
#[derive(Clone, Debug)]
pub(crate) struct View {
    places: Arc<RwLock<Places>>,
    model: Arc<Model>,
    /// Whether the version is no longer retained.
    gone: Arc<AtomicBool>,
}

impl TrieState for View {
    fn check(&self) -> Result<(), TrieError> {
        if self.gone.load(Relaxed) {
            Err(TrieError::VersionGone)
        } else {
            Ok(())
        }
    }

    fn account_ids(&self, addresses: &[Address], ids: &mut Vec<Option<u32>>) {
        let places = self.places.read();
        ids.extend(
            addresses
                .iter()
                .map(|address| places.accounts.get(address).copied()),
        );
    }

    fn addresses(&self, accounts: &[u32], addresses: &mut Vec<Address>) {
        let places = self.places.read();
        addresses.extend(accounts.iter().map(|id| places.addresses[*id as usize]));
    }

    fn accounts(&self, accounts: &[u32], values: &mut Vec<Option<Account>>) -> Result<(), TrieError> {
        self.check()?;
        values.extend(accounts.iter().map(|id| self.entry(*id).map(|entry| entry.0)));
        Ok(())
    }

    fn storage_ids(&self, accounts: &[u32], ids: &mut Vec<u32>) -> Result<(), TrieError> {
        self.check()?;
        ids.extend(
            accounts
                .iter()
                .map(|id| self.entry(*id).map_or(0, |entry| entry.1.id)),
        );
        Ok(())
    }

    fn slot_ids(&self, slots: &[(u32, U256)], ids: &mut Vec<Option<u32>>) {
        let places = self.places.read();
        ids.extend(slots.iter().map(|slot| places.slots.get(slot).copied()));
    }

    fn slots(&self, slots: &[u32], words: &mut Vec<B256>) {
        let places = self.places.read();
        words.extend(slots.iter().map(|id| B256::from(places.words[*id as usize].2)));
    }

    fn values(&self, slots: &[u32], values: &mut Vec<U256>) -> Result<(), TrieError> {
        self.check()?;
        let places = self.places.read();
        values.extend(slots.iter().map(|id| {
            let (address, storage, slot) = places.words[*id as usize];
            let storage = self.model.0.get(&address).filter(|entry| entry.1.id == storage);
            storage
                .and_then(|entry| entry.1.slots.get(&slot).copied())
                .unwrap_or_default()
        }));
        Ok(())
    }
}

impl View {
    fn entry(&self, id: u32) -> Option<&(Account, Storage)> {
        self.model.0.get(&self.places.read().addresses[id as usize])
    }
}

impl Model {
    fn apply(&mut self, places: &mut Places, changes: &[AccountChange]) {
        for change in changes {
            let before = self.0.remove(&change.address);
            let (account, mut storage) = before.clone().unwrap_or_default();
            let Some(account) = change.apply_to(before.map(|_| account)) else {
                continue;
            };
            places.accounts.entry(change.address).or_insert_with(|| {
                places.addresses.push(change.address);
                places.addresses.len() as u32 - 1
            });
            if matches!(change.fate, Fate::Wiped | Fate::Removed) {
                storage = Storage::default();
            }
            for (slot, value) in &change.storage {
                if storage.id == 0 {
                    places.storages += 1;
                    storage.id = places.storages;
                }
                // As in the state: a slot that never had a value has no place.
                if !value.is_zero() {
                    places.slots.entry((storage.id, *slot)).or_insert_with(|| {
                        places.words.push((change.address, storage.id, *slot));
                        places.words.len() as u32 - 1
                    });
                }
                storage.slots.insert(*slot, *value);
            }
            storage.slots.retain(|_, value| !value.is_zero());
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
}

/// A trie and what it should be.
#[derive(Clone, Debug)]
pub(crate) struct Tracked {
    pub(crate) trie: StateTrie<View>,
    pub(crate) model: Model,
    pub(crate) forest: Forest,
    places: Arc<RwLock<Places>>,
    /// Shared by all versions.
    pub(crate) gone: Arc<AtomicBool>,
}

impl Default for Tracked {
    fn default() -> Self {
        Self::with_limit(1 << 30)
    }
}

impl Tracked {
    /// An empty trie whose forest may take so many bytes.
    pub(crate) fn with_limit(bytes: u64) -> Self {
        let forest = Forest::new(bytes).expect("address space");
        let places = Arc::<RwLock<Places>>::default();
        let state = View {
            places: Arc::clone(&places),
            model: Arc::default(),
            gone: Arc::default(),
        };
        Self {
            trie: StateTrie::empty(&forest, state),
            model: Model::default(),
            forest,
            places,
            gone: Arc::default(),
        }
    }

    pub(crate) fn apply(&mut self, changes: &[AccountChange]) {
        self.try_apply(changes).expect("state and memory");
    }

    /// Applies changes; if that fails, the model too is as it was.
    pub(crate) fn try_apply(&mut self, changes: &[AccountChange]) -> Result<(), TrieError> {
        let before = self.model.clone();
        self.model.apply(&mut self.places.write(), changes);
        self.trie
            .apply(self.view(), changes)
            .inspect_err(|_| self.model = before)
    }

    pub(crate) fn apply_with(&mut self, pool: &rayon::ThreadPool, changes: &[AccountChange]) {
        self.model.apply(&mut self.places.write(), changes);
        let applied = self.trie.apply_with(pool, self.view(), changes);
        applied.expect("state and memory");
    }

    fn view(&self) -> View {
        View {
            places: Arc::clone(&self.places),
            model: Arc::new(self.model.clone()),
            gone: Arc::clone(&self.gone),
        }
    }

    pub(crate) fn root(&self) -> B256 {
        self.trie.root().expect("state")
    }

    pub(crate) fn assert_root(&self) {
        assert_eq!(self.root(), self.model.root());
    }

    /// The trie of the same accounts and slots, made at once in a forest of its own.
    pub(crate) fn rebuilt(&self) -> Self {
        self.rebuilt_by(StateTrie::build)
    }

    /// The same on the threads of a pool.
    pub(crate) fn rebuilt_with(&self, pool: &rayon::ThreadPool) -> Self {
        self.rebuilt_by(|forest, view, leaves| StateTrie::build_with(pool, forest, view, leaves))
    }

    fn rebuilt_by(
        &self,
        build: impl FnOnce(&Forest, View, Vec<(u32, Vec<u32>)>) -> Result<StateTrie<View>, TrieError>,
    ) -> Self {
        let forest = Forest::new(1 << 30).expect("address space");
        Self {
            trie: build(&forest, self.view(), self.leaves()).expect("state and memory"),
            model: self.model.clone(),
            forest,
            places: Arc::clone(&self.places),
            gone: Arc::clone(&self.gone),
        }
    }

    /// Places of all accounts with those of their slots.
    fn leaves(&self) -> Vec<(u32, Vec<u32>)> {
        let places = self.places.read();
        let slots = |storage: &Storage| {
            let slots = storage.slots.keys();
            slots.map(|slot| places.slots[&(storage.id, *slot)]).collect()
        };
        let accounts = self.model.0.iter();
        accounts
            .map(|(address, (_, storage))| (places.accounts[address], slots(storage)))
            .collect()
    }

    /// Asks the trie for proofs of an account and its slots, verifies them as a stranger would, and compares what
    /// they prove with the model.
    pub(crate) fn assert_proves(&self, address: Address, slots: &[B256]) {
        let proof = self.trie.proof(address, slots).expect("state");
        let (account, storage) = self.model.0.get(&address).cloned().unzip();
        let storage = storage.unwrap_or_default();
        assert_eq!(proof.address, address);
        assert_eq!(proof.account, account);
        assert_eq!(proof.storage_root, storage_root(&storage));
        assert_eq!(self.trie.account(address), Ok(account));
        assert_eq!(
            self.trie.storage_root(address),
            Ok(account.map(|_| proof.storage_root))
        );
        verify_account(self.model.root(), &proof);
        assert_eq!(proof.storage.len(), slots.len());
        for (slot, asked) in proof.storage.iter().zip(slots) {
            assert_eq!(slot.key, *asked);
            let expected = storage.slots.get(&U256::from_be_bytes(asked.0)).copied();
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
    storage_root_unhashed(
        storage
            .slots
            .iter()
            .map(|(slot, value)| (B256::from(*slot), *value)),
    )
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
