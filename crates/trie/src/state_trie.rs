//! The trie of all accounts and their storage: one root is the whole state.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use parking_lot::Mutex;
use rapid_primitives::{Account, AccountChange};
use rapid_state::StateView;

use crate::{
    AccountProof, Forest, ForestUsage, SlotProof, TrieError, TrieState,
    apply::apply,
    build::build,
    changes::Changes,
    forest::VersionNumber,
    hash::{Dirty, Place},
    node::{Branch, Contract, Link, Slot},
    parts::Threads,
    path::nibble,
    proof::{prove, storage_root},
    state::{AccountLeaves, SlotLeaves},
};

/// The state trie of Ethereum: accounts by hash of their address, each with the trie of its storage.
///
/// [`apply`](Self::apply) changes the structure, [`root`](Self::root) hashes what changed. A clone costs one
/// reference count; it keeps its root, its values and its proofs whatever happens to the original, and may be read
/// from any thread. It also holds the state it was made of: who keeps clones bounds their number.
#[derive(Clone)]
pub struct StateTrie<S: TrieState = StateView> {
    version: Arc<Version<S>>,
}

/// One version of the trie. Its nodes belong to it as long as it is not dropped.
struct Version<S> {
    forest: Forest,
    number: VersionNumber,
    state: S,
    root: Slot,
    hash: OnceLock<Result<B256, TrieError>>,
    /// Held by whoever computes `hash`: nodes of the version are written.
    hashing: Mutex<()>,
}

impl<S> Drop for Version<S> {
    fn drop(&mut self) {
        self.forest.0.release(self.number, self.root);
    }
}

impl<S: TrieState> fmt::Debug for StateTrie<S> {
    /// Does not print the accounts: there are too many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateTrie")
            .field("version", &self.version.number)
            .field("is_empty", &(self.version.root == Slot::Empty))
            .finish_non_exhaustive()
    }
}

impl<S: TrieState> StateTrie<S> {
    /// The trie of a state without accounts.
    #[must_use]
    pub fn empty(forest: &Forest, state: S) -> Self {
        let number = forest.0.begin(0).version;
        Self::of_version(forest.clone(), number, state, Slot::Empty)
    }

    fn of_version(forest: Forest, number: VersionNumber, state: S, root: Slot) -> Self {
        Self {
            version: Arc::new(Version {
                forest,
                number,
                state,
                root,
                hash: OnceLock::new(),
                hashing: Mutex::new(()),
            }),
        }
    }

    /// Builds the trie of a whole state, of which these are the places of all accounts, each with those of all its slots
    /// that have a value. Hashes nearly all of it on the way.
    ///
    /// # Errors
    /// [`TrieError`]; the forest is then of no more use, since what was built stays in it.
    pub fn build<I, J>(forest: &Forest, state: S, accounts: I) -> Result<Self, TrieError>
    where
        I: IntoIterator<Item = (u32, J)>,
        J: IntoIterator<Item = u32>,
    {
        Self::build_on(Threads::One, forest, state, accounts)
    }

    /// [`build`](Self::build) on `pool`, whose threads are the budget; the caller waits.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn build_with<I, J>(
        pool: &rayon::ThreadPool,
        forest: &Forest,
        state: S,
        accounts: I,
    ) -> Result<Self, TrieError>
    where
        I: IntoIterator<Item = (u32, J)> + Send,
        J: IntoIterator<Item = u32>,
    {
        pool.install(|| Self::build_on(Threads::Pool, forest, state, accounts))
    }

    fn build_on<I, J>(threads: Threads, forest: &Forest, state: S, accounts: I) -> Result<Self, TrieError>
    where
        I: IntoIterator<Item = (u32, J)>,
        J: IntoIterator<Item = u32>,
    {
        let change = forest.0.begin(0);
        match build(&forest.0, change, &state, accounts, threads) {
            Ok(root) => Ok(Self::of_version(forest.clone(), change.version, state, root)),
            Err(error) => {
                forest.0.release(change.version, Slot::Empty);
                Err(error)
            }
        }
    }

    /// What the forest holds, this version and all others.
    #[must_use]
    pub fn usage(&self) -> ForestUsage {
        self.version.forest.usage()
    }

    /// The state the trie is of.
    #[must_use]
    pub fn state(&self) -> &S {
        &self.version.state
    }

    /// Merges changes into the trie, of which `after` is the state after them. An account may occur several times.
    ///
    /// An account that does not exist afterwards goes with its storage, a wiped one keeps only the slots of its
    /// change, a slot of value zero is removed. Computes no node hash, but for those of a version that others see and
    /// whose root was not asked for yet.
    ///
    /// # Errors
    /// [`TrieError`]; the trie is as it was.
    pub fn apply(&mut self, after: S, changes: &[AccountChange]) -> Result<(), TrieError> {
        self.apply_on(Threads::One, after, changes)
    }

    fn apply_on(&mut self, threads: Threads, after: S, changes: &[AccountChange]) -> Result<(), TrieError> {
        if let Some(Err(error)) = self.version.hash.get() {
            // Hashed in part: what is known of its nodes cannot be told from what is not.
            return Err(*error);
        }
        let batch = Changes::read(&after, changes)?;
        // What has no place was not there before the changes, if that version is retained. Without changes nothing was
        // looked up: a draft's trie becomes that of the version the draft became, whatever the draft was made on.
        if !changes.is_empty() {
            self.version.state.check()?;
        }
        // Nobody else sees a version that only this holds and that no other began as a copy of.
        if let Some(version) = Arc::get_mut(&mut self.version)
            && let Some(change) = version.forest.0.resume(version.number)
        {
            version.root = apply(&version.forest.0, change, version.root, &after, batch, threads)?;
            version.state = after;
            version.hash = OnceLock::new();
            return Ok(());
        }
        self.root()?;
        let (forest, number) = (self.version.forest.clone(), self.version.number);
        let change = forest.0.begin(number);
        match apply(&forest.0, change, self.version.root, &after, batch, threads) {
            Ok(root) => {
                *self = Self::of_version(forest, change.version, after, root);
                Ok(())
            }
            Err(error) => {
                forest.0.release(change.version, Slot::Empty);
                Err(error)
            }
        }
    }

    /// [`apply`](Self::apply) on `pool`, whose threads are the budget; the caller waits.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_with(
        &mut self,
        pool: &rayon::ThreadPool,
        after: S,
        changes: &[AccountChange],
    ) -> Result<(), TrieError> {
        // What may wait for another is done here; see `Version::root`.
        if Arc::get_mut(&mut self.version).is_none() {
            self.root_with(pool)?;
        }
        pool.install(|| self.apply_on(Threads::Pool, after, changes))
    }

    /// The state root. Costs one hash per node changed since the last call on this trie or a clone; nothing when asked
    /// again.
    ///
    /// # Errors
    /// [`TrieError::VersionGone`] if values that changed can no longer be read.
    pub fn root(&self) -> Result<B256, TrieError> {
        self.version.root(|version| version.compute_root(Threads::One))
    }

    /// [`root`](Self::root), hashing independent subtrees on `pool`, whose threads are the budget; the caller waits and
    /// is none of them.
    ///
    /// # Errors
    /// As [`Self::root`].
    pub fn root_with(&self, pool: &rayon::ThreadPool) -> Result<B256, TrieError> {
        self.version
            .root(|version| pool.install(|| version.compute_root(Threads::Pool)))
    }

    /// The root of an account's storage, the empty root if it has none; `None` if the account does not exist.
    ///
    /// # Errors
    /// As [`Self::root`], which it computes.
    pub fn storage_root(&self, address: Address) -> Result<Option<B256>, TrieError> {
        self.root()?;
        let Some((_, _, slot)) = self.find(address)? else {
            return Ok(None);
        };
        Ok(Some(match slot {
            Slot::Contract(place) => storage_root(&Contract::load(self.version.forest.0.arena(), place)),
            _ => EMPTY_ROOT_HASH,
        }))
    }

    /// The fields of an account; `None` if it does not exist.
    ///
    /// # Errors
    /// [`TrieError::VersionGone`] if the state is no longer retained.
    pub fn account(&self, address: Address) -> Result<Option<Account>, TrieError> {
        Ok(self.find(address)?.map(|(_, account, _)| account))
    }

    /// Proves an account and slots of its storage, present or absent, against [`root`](Self::root).
    ///
    /// Takes time linear in the slots asked for: who serves strangers bounds their number.
    ///
    /// # Errors
    /// As [`Self::root`], which it computes.
    pub fn proof(&self, address: Address, slots: &[B256]) -> Result<AccountProof, TrieError> {
        self.root()?;
        let version = &*self.version;
        let arena = version.forest.0.arena();
        let found = self.find(address)?;
        let contract = match found {
            Some((_, _, Slot::Contract(place))) => Some(Contract::load(arena, place)),
            _ => None,
        };
        let leaves = AccountLeaves(&version.state);
        Ok(AccountProof {
            address,
            account: found.map(|(_, account, _)| account),
            storage_root: contract.as_ref().map_or(EMPTY_ROOT_HASH, storage_root),
            account_proof: prove(arena, version.root, &keccak256(address), &leaves)?,
            storage: slots
                .iter()
                .map(|slot| self.prove_slot(contract.as_ref(), *slot))
                .collect::<Result<_, _>>()?,
        })
    }

    fn prove_slot(&self, contract: Option<&Contract>, slot: B256) -> Result<SlotProof, TrieError> {
        let Some(contract) = contract else {
            return Ok(SlotProof {
                key: slot,
                value: U256::ZERO,
                proof: Vec::new(),
            });
        };
        let state = &self.version.state;
        let (mut ids, mut values) = (Vec::new(), Vec::new());
        state.slot_ids(&[(contract.storage, slot.into())], &mut ids);
        if let Some(id) = ids[0] {
            state.values(&[id], &mut values)?;
        }
        let arena = self.version.forest.0.arena();
        Ok(SlotProof {
            key: slot,
            value: values.first().copied().unwrap_or_default(),
            proof: prove(arena, contract.root.slot, &keccak256(slot), &SlotLeaves(state))?,
        })
    }

    /// The place of an account that exists, its fields, and its leaf.
    fn find(&self, address: Address) -> Result<Option<(u32, Account, Slot)>, TrieError> {
        let version = &*self.version;
        let mut ids = Vec::new();
        version.state.account_ids(&[address], &mut ids);
        let Some(id) = ids[0] else { return Ok(None) };
        let mut accounts = Vec::new();
        version.state.accounts(&[id], &mut accounts)?;
        Ok(accounts[0].map(|account| (id, account, version.leaf(&keccak256(address)))))
    }
}

impl<S: TrieState> Version<S> {
    /// The root, computed once whoever asks. Who waits for it is outside of the pool that computes it: a thread of the
    /// pool that waited could be the one it waits for.
    fn root(&self, compute: impl FnOnce(&Self) -> Result<B256, TrieError>) -> Result<B256, TrieError> {
        if let Some(known) = self.hash.get() {
            return *known;
        }
        let _alone = self.hashing.lock();
        *self.hash.get_or_init(|| compute(self))
    }

    fn compute_root(&self, threads: Threads) -> Result<B256, TrieError> {
        let forest = &*self.forest.0;
        let hash_storage = |accounts: &Dirty| {
            let storage = accounts.storage(forest.arena());
            let leaves = SlotLeaves(&self.state);
            storage.hash_all(forest, &leaves, threads, &|_| Ok(())).map(drop)
        };
        let mut accounts = Dirty::default();
        accounts.add(Link::unknown(self.root), 0, Place::Root);
        let root = accounts.hash_all(forest, &AccountLeaves(&self.state), threads, &hash_storage)?;
        Ok(root.unwrap_or(EMPTY_ROOT_HASH))
    }

    /// The leaf that the way of a key leads to.
    fn leaf(&self, key: &B256) -> Slot {
        let mut slot = self.root;
        let mut depth = 0;
        while let Slot::Branch(place) = slot {
            let branch = Branch::at(self.forest.0.arena(), place);
            depth += usize::from(branch.head.extension);
            slot = branch.slot(nibble(key, depth));
            depth += 1;
        }
        slot
    }
}
