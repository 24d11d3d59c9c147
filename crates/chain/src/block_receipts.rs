//! The receipts of a block in execution, digested in the form of its fork.

use alloy_primitives::B256;
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_consensus::ReceiptsDigest;
use rapid_primitives::{AccountChange, Receipt};
use rapid_state::Draft;
use rapid_trie::StateTrie;

use crate::{ChainError, execute::ParentState};

/// What the digest of a block's receipts needs beside them.
///
/// Before Byzantium a receipt holds the state root after its transaction (EIP-658), so there the state trie is brought
/// along, transaction by transaction. Later forks need nothing.
#[derive(Debug)]
pub(crate) struct BlockReceipts(Option<PostStates>);

#[derive(Debug)]
struct PostStates {
    /// The state so far.
    draft: Draft,
    trie: StateTrie,
    /// Its root after each transaction.
    roots: Vec<B256>,
}

impl BlockReceipts {
    /// Starts block `number` on the state of its parent.
    pub(crate) fn begin(spec: &ChainSpec, number: u64, parent: &ParentState) -> Self {
        let hold_roots = !spec.is_byzantium_active_at_block(number);
        Self(hold_roots.then(|| PostStates {
            draft: parent.draft.clone(),
            trie: parent.trie.clone(),
            roots: Vec::new(),
        }))
    }

    /// Takes up what was changed before the first transaction.
    pub(crate) fn precede(&mut self, changes: &[AccountChange]) -> Result<(), ChainError> {
        self.0.as_mut().map_or(Ok(()), |states| states.apply(changes))
    }

    /// Takes up what the next transaction changed.
    pub(crate) fn follow(&mut self, changes: &[AccountChange]) -> Result<(), ChainError> {
        let Some(states) = &mut self.0 else { return Ok(()) };
        states.apply(changes)?;
        states.roots.push(states.trie.root()?);
        Ok(())
    }

    /// The digest of the receipts of all transactions.
    pub(crate) fn digest(self, receipts: &[Receipt]) -> ReceiptsDigest {
        match self.0 {
            Some(states) => ReceiptsDigest::with_post_states(receipts.iter().zip(states.roots)),
            None => ReceiptsDigest::of(receipts),
        }
    }
}

impl PostStates {
    fn apply(&mut self, changes: &[AccountChange]) -> Result<(), ChainError> {
        self.draft.apply(changes)?;
        Ok(self.trie.apply(self.draft.clone().into(), changes)?)
    }
}
