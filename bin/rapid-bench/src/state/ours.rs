//! The node's own state and trie, as the comparisons use them: the only file here that calls their crates.

use super::{
    leaves::Leaves,
    slots::{SlotKey, SlotSource, SlotStore},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use rapid_keccak::{Kernel, keccak256_many};
use rapid_primitives::{Account, AccountChange, CommitSequence, ReadState};
use rapid_state::{Newest, ReadSet, Snapshot, State, StateConfig};
use rapid_trie::StateTrie;
use rayon::ThreadPool;

/// Leaves loaded at once.
const LOADED_AT_ONCE: usize = 1 << 15;

/// The node's state.
#[derive(Clone)]
pub(crate) struct OurState {
    state: State,
    newest: Newest,
}

impl OurState {
    /// An empty state that keeps `window` bytes of the past, and as many more as `leased` for a version that is held.
    pub(crate) fn new(window: usize, leased: usize) -> Self {
        let state = State::new(StateConfig {
            retained_bytes: window,
            leased_bytes: leased,
        });
        let newest = state.newest();
        Self { state, newest }
    }

    /// A state with the accounts and slots of these leaves.
    pub(crate) fn of(leaves: &Leaves) -> Self {
        let state = Self::new(1 << 20, 0);
        for account in leaves.accounts() {
            state.put(account.address, account.account);
            for slots in account.slots.chunks(LOADED_AT_ONCE) {
                let mut change = AccountChange::new(account.address);
                change.storage = slots.iter().map(|slot| (slot.key, slot.value)).collect();
                state.commit(&[change]);
            }
        }
        state.publish();
        state
    }

    /// Writes changes; readers of the published version do not see them yet.
    pub(crate) fn commit(&self, changes: &[AccountChange]) -> CommitSequence {
        self.state
            .commit(&ReadSet::new(), changes)
            .expect("nothing was read, so nothing conflicts")
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
    pub(crate) const fn counted_bytes(&self) -> Option<u64> {
        None
    }

    /// The trie of the published version and its root, as after a restart.
    ///
    /// # Errors
    /// If the version went on the way.
    pub(crate) fn build_trie(&self) -> eyre::Result<(OurTrie, B256)> {
        let snapshot = self.state.published();
        let mut accounts = Vec::new();
        for account in snapshot.accounts() {
            let account = account?;
            let slots: Vec<_> = account.storage().collect::<Result<_, _>>()?;
            accounts.push((account.address(), account.account(), slots));
        }
        let trie = StateTrie::from_accounts(accounts);
        let root = trie.root();
        Ok((OurTrie(trie), root))
    }
}

impl SlotSource for OurState {
    fn slot(&self, (address, key): &SlotKey) -> eyre::Result<U256> {
        Ok(self.newest.storage(address, key)?)
    }
}

impl SlotStore for OurState {
    fn write(&mut self, values: &[(SlotKey, U256)]) -> eyre::Result<()> {
        self.commit(&changes_of(values));
        self.publish();
        Ok(())
    }
}

/// These values as changes of accounts, which have a nonce so that they exist.
pub(crate) fn changes_of(values: &[(SlotKey, U256)]) -> Vec<AccountChange> {
    let mut values = values.to_vec();
    values.sort_unstable_by_key(|((address, _), _)| *address);
    values
        .chunk_by(|one, other| one.0.0 == other.0.0)
        .map(|slots| AccountChange {
            nonce: Some(1),
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
}

/// The node's trie.
pub(crate) struct OurTrie(StateTrie);

/// A block whose root is to be computed.
pub(crate) struct OurBlock {
    changes: Vec<AccountChange>,
}

impl OurTrie {
    /// All that a block's execution leaves behind for the root.
    pub(crate) fn block(&self, changes: &[AccountChange]) -> OurBlock {
        OurBlock {
            changes: changes.to_vec(),
        }
    }

    /// The root after a block. The trie before stays as it is, as it does in the node.
    pub(crate) fn root_after(&self, block: &OurBlock) -> B256 {
        let mut trie = self.0.clone();
        trie.apply(&block.changes);
        trie.root()
    }

    /// [`root_after`](Self::root_after) with one message hashed after the other, as on processors without vectors.
    pub(crate) fn root_after_scalar(&self, block: &OurBlock) -> B256 {
        self.root_after(block)
    }

    /// [`root_after`](Self::root_after) on the threads of a pool.
    pub(crate) fn root_after_with(&self, block: &OurBlock, pool: &ThreadPool) -> B256 {
        let mut trie = self.0.clone();
        trie.apply(&block.changes);
        trie.root_with(pool)
    }

    /// Nodes that prove an account, and those that prove each slot.
    pub(crate) fn proof(&self, address: Address, slots: &[B256]) -> (Vec<Bytes>, Vec<Vec<Bytes>>) {
        let proof = self.0.proof(address, slots);
        let slots = proof.storage.into_iter().map(|slot| slot.proof);
        (proof.account_proof, slots.collect())
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
