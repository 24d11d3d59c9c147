//! The receipts of a block in execution, digested in the form of its fork.

use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_consensus::{ReceiptsDigest, ReceiptsDigester};
use rapid_primitives::{AccountChange, Receipt};
use rapid_trie::StateTrie;

/// Digests the receipts of a block as they come.
///
/// Before Byzantium a receipt holds the state root after its transaction (EIP-658), so there the state trie is brought
/// along, transaction by transaction. Later forks cost nothing more than the digest.
#[derive(Debug)]
pub(crate) struct BlockReceipts {
    digester: ReceiptsDigester,
    /// The state so far, before Byzantium only.
    trie: Option<StateTrie>,
}

impl BlockReceipts {
    /// Starts block `number` on the state of its parent.
    pub(crate) fn begin(spec: &ChainSpec, number: u64, parent: &StateTrie) -> Self {
        let hold_roots = !spec.is_byzantium_active_at_block(number);
        Self {
            digester: ReceiptsDigester::default(),
            trie: hold_roots.then(|| parent.clone()),
        }
    }

    /// Takes up what was changed before the first transaction.
    pub(crate) fn precede(&mut self, changes: &[AccountChange]) {
        if let Some(trie) = &mut self.trie {
            trie.apply(changes);
        }
    }

    /// Adds the receipt of the next transaction and what that changed.
    pub(crate) fn push(&mut self, receipt: &Receipt, changes: &[AccountChange]) {
        match &mut self.trie {
            Some(trie) => {
                trie.apply(changes);
                self.digester.push_with_post_state(receipt, trie.root());
            }
            None => self.digester.push(receipt),
        }
    }

    /// The digest of all receipts.
    pub(crate) fn finish(self) -> ReceiptsDigest {
        self.digester.finish()
    }
}
