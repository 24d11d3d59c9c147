//! The receipts of a block in execution, digested in the form of its fork.

use alloy_primitives::B256;
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_consensus::ReceiptsDigest;
use rapid_primitives::{AccountChange, Receipt};
use rapid_trie::StateTrie;

/// What the digest of a block's receipts needs beside them.
///
/// Before Byzantium a receipt holds the state root after its transaction (EIP-658), so there the state trie is brought
/// along, transaction by transaction. Later forks need nothing.
#[derive(Debug)]
pub(crate) struct BlockReceipts(Option<PostStates>);

#[derive(Debug)]
struct PostStates {
    /// The state so far.
    trie: StateTrie,
    /// Its root after each transaction.
    roots: Vec<B256>,
}

impl BlockReceipts {
    /// Starts block `number` on the state of its parent.
    pub(crate) fn begin(spec: &ChainSpec, number: u64, parent: &StateTrie) -> Self {
        let hold_roots = !spec.is_byzantium_active_at_block(number);
        Self(hold_roots.then(|| PostStates {
            trie: parent.clone(),
            roots: Vec::new(),
        }))
    }

    /// Takes up what was changed before the first transaction.
    pub(crate) fn precede(&mut self, changes: &[AccountChange]) {
        if let Some(states) = &mut self.0 {
            states.trie.apply(changes);
        }
    }

    /// Takes up what the next transaction changed.
    pub(crate) fn follow(&mut self, changes: &[AccountChange]) {
        if let Some(states) = &mut self.0 {
            states.trie.apply(changes);
            states.roots.push(states.trie.root());
        }
    }

    /// The digest of the receipts of all transactions.
    pub(crate) fn digest(self, receipts: &[Receipt]) -> ReceiptsDigest {
        match self.0 {
            Some(states) => ReceiptsDigest::with_post_states(receipts.iter().zip(states.roots)),
            None => ReceiptsDigest::of(receipts),
        }
    }
}
