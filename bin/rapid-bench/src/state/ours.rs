//! The node's own state and trie, as the comparisons use them: the only file here that calls their crates.

use super::{
    leaves::Leaves,
    slots::{BATCH, SlotKey, SlotSource, SlotStore},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use rapid_keccak::{Kernel, keccak256_many};
use rapid_primitives::{Account, AccountChange, ReadState};
use rapid_state::{Newest, ReadSet, Snapshot, State, StateConfig, StateView};
use rapid_trie::{Forest, StateTrie, TrieError};
use rayon::ThreadPool;

/// Leaves loaded at once.
const LOADED_AT_ONCE: usize = 1 << 15;

/// Bytes of the past beside a trie: what a few blocks change.
const TRIE_WINDOW_BYTES: usize = 64 << 20;

/// The node's state.
#[derive(Clone)]
pub(crate) struct OurState {
    state: State,
    newest: Newest,
}

impl OurState {
    /// An empty state that keeps `window` bytes of the past, and as many more as `leased` for a version that is held.
    ///
    /// # Errors
    /// If the system has no address space for it.
    pub(crate) fn new(window: usize, leased: usize) -> eyre::Result<Self> {
        let state = State::new(StateConfig {
            retained_bytes: window,
            leased_bytes: leased,
        })?;
        let newest = state.newest();
        Ok(Self { state, newest })
    }

    /// A state with the accounts and slots of these leaves, loaded as after a restart.
    ///
    /// # Errors
    /// If the system has no memory for it.
    pub(crate) fn of(leaves: &Leaves) -> eyre::Result<Self> {
        let state = Self::new(TRIE_WINDOW_BYTES, TRIE_WINDOW_BYTES)?;
        let accounts = leaves.accounts();
        let slots = accounts.iter().map(|account| account.slots.len()).sum();
        state.state.reserve(accounts.len(), slots)?;
        for account in accounts {
            state.put(account.address, account.account);
            for slots in account.slots.chunks(LOADED_AT_ONCE) {
                let mut change = AccountChange::new(account.address);
                change.storage = slots.iter().map(|slot| (slot.key, slot.value)).collect();
                state.commit(&[change]);
            }
        }
        state.publish();
        Ok(state)
    }

    /// Writes changes; readers of the published version do not see them yet.
    pub(crate) fn commit(&self, changes: &[AccountChange]) {
        self.state
            .commit(&ReadSet::new(), changes)
            .expect("nothing was read, so nothing conflicts");
    }

    /// Writes the fields of an account.
    pub(crate) fn put(&self, address: Address, account: Account) {
        self.commit(&[AccountChange {
            nonce: Some(account.nonce),
            balance: Some(account.balance),
            ..AccountChange::new(address)
        }]);
    }

    /// Publishes all that is committed.
    pub(crate) fn publish(&self) {
        self.state.publish(self.state.cut());
    }

    /// The published version, held.
    pub(crate) fn version(&self) -> OurVersion {
        OurVersion(self.state.published())
    }

    /// Bytes of the state as it counts them itself.
    pub(crate) fn counted_bytes(&self) -> u64 {
        let usage = self.state.usage();
        (usage.table_bytes + usage.retained_bytes) as u64
    }

    /// The trie of the published version and its root, as after a restart, on the threads of a pool.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(crate) fn build_trie(&self, pool: &ThreadPool) -> eyre::Result<(OurTrie, B256)> {
        let forest = Forest::default();
        let trie = StateTrie::of_snapshot(pool, &forest, &self.state.published())?;
        let root = trie.root_with(pool)?;
        let state = self.clone();
        Ok((OurTrie { state, forest, trie }, root))
    }
}

impl SlotSource for OurState {
    fn slot(&self, (address, key): &SlotKey) -> eyre::Result<U256> {
        Ok(self.newest.storage(address, key)?)
    }

    /// Of the published version: nobody reads many of the newest values at once.
    fn slots(&self, keys: &[SlotKey; BATCH]) -> eyre::Result<[U256; BATCH]> {
        self.version().slots(keys)
    }
}

impl SlotStore for OurState {
    fn write(&mut self, values: &[(SlotKey, U256)]) -> eyre::Result<()> {
        let mut changes = changes_of(values);
        for change in &mut changes {
            // An account without a nonce does not exist.
            change.nonce = Some(1);
        }
        self.commit(&changes);
        self.publish();
        Ok(())
    }
}

/// These values as changes of accounts that exist.
pub(crate) fn changes_of(values: &[(SlotKey, U256)]) -> Vec<AccountChange> {
    let mut values = values.to_vec();
    values.sort_unstable_by_key(|((address, _), _)| *address);
    values
        .chunk_by(|one, other| one.0.0 == other.0.0)
        .map(|slots| AccountChange {
            storage: slots.iter().map(|((_, key), value)| (*key, *value)).collect(),
            ..AccountChange::new(slots[0].0.0)
        })
        .collect()
}

/// A version of the node's state.
#[derive(Clone)]
pub(crate) struct OurVersion(Snapshot);

impl SlotSource for OurVersion {
    fn slot(&self, (address, key): &SlotKey) -> eyre::Result<U256> {
        Ok(self.0.storage(address, key)?)
    }

    fn slots(&self, keys: &[SlotKey; BATCH]) -> eyre::Result<[U256; BATCH]> {
        Ok(std::array::from_fn({
            let values = self.0.storage_many(keys)?;
            move |place| values[place]
        }))
    }
}

/// The node's trie, and the state it is of.
pub(crate) struct OurTrie {
    state: OurState,
    forest: Forest,
    trie: StateTrie,
}

/// A block whose root is to be computed.
pub(crate) struct OurBlock {
    changes: Vec<AccountChange>,
    after: StateView,
}

impl OurTrie {
    /// All that a block's execution leaves behind for the root: its changes, and the state after them.
    pub(crate) fn execute(&self, changes: &[AccountChange]) -> OurBlock {
        self.state.commit(changes);
        self.state.publish();
        OurBlock {
            changes: changes.to_vec(),
            after: self.state.state.published().into(),
        }
    }

    /// Goes on to the trie after a block; its root. The trie before is there until the root is known, as in the node,
    /// and what it alone has is freed then.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(crate) fn root_after(&mut self, block: &OurBlock) -> eyre::Result<B256> {
        self.go_on(|trie| {
            trie.apply(block.after.clone(), &block.changes)?;
            trie.root()
        })
    }

    /// [`root_after`](Self::root_after) with one message hashed after the other, as on processors without vectors.
    ///
    /// # Errors
    /// As `root_after`.
    pub(crate) fn root_after_scalar(&mut self, block: &OurBlock) -> eyre::Result<B256> {
        Kernel::without_vectors(|| self.root_after(block))
    }

    /// [`root_after`](Self::root_after) on the threads of a pool.
    ///
    /// # Errors
    /// As `root_after`.
    pub(crate) fn root_after_with(&mut self, block: &OurBlock, pool: &ThreadPool) -> eyre::Result<B256> {
        self.go_on(|trie| {
            trie.apply_with(pool, block.after.clone(), &block.changes)?;
            trie.root_with(pool)
        })
    }

    fn go_on(
        &mut self,
        change: impl FnOnce(&mut StateTrie) -> Result<B256, TrieError>,
    ) -> eyre::Result<B256> {
        let mut trie = self.trie.clone();
        let root = change(&mut trie)?;
        self.trie = trie;
        Ok(root)
    }

    /// Nodes that prove an account, and those that prove each slot.
    ///
    /// # Errors
    /// If the state of the trie is gone.
    pub(crate) fn proof(
        &self,
        address: Address,
        slots: &[B256],
    ) -> eyre::Result<(Vec<Bytes>, Vec<Vec<Bytes>>)> {
        let proof = self.trie.proof(address, slots)?;
        let slots = proof.storage.into_iter().map(|slot| slot.proof);
        Ok((proof.account_proof, slots.collect()))
    }

    /// Bytes of the nodes as the trie counts them itself.
    pub(crate) fn counted_bytes(&self) -> u64 {
        self.forest.usage().used_bytes
    }
}

/// Hashes many messages as the trie does.
pub(crate) fn hash_many<M: AsRef<[u8]>>(messages: &[M], digests: &mut [B256]) {
    keccak256_many(messages, digests);
}

/// What of the processor that uses.
pub(crate) fn hash_kernel() -> &'static str {
    Kernel::detect().name()
}
