//! What a block comes to.

use std::collections::BTreeMap;

use alloy_eip7928::{BlockAccessList, compute_block_access_list_hash, total_bal_items};
use alloy_primitives::{B256, Log};
use rapid_chainspec::EthereumHardforks;
use rapid_consensus::{ExecutionOutcome, ReceiptsDigest, verify_post_execution};
use rapid_evm::BlockEnd;
use rapid_primitives::{AccountChange, Header, Receipt};
use rapid_state::Snapshot;

use crate::{Content, Fault, Subject, fault::compare};

/// A transaction of a block in the order of the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its place in the subject.
    pub(crate) index: usize,
    pub(crate) receipt: Receipt,
    /// What it changed, fee and all.
    pub(crate) changes: Vec<AccountChange>,
}

/// A block that was executed.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Its transactions in their order.
    pub(crate) steps: Vec<Step>,
    /// Those that were refused on the state after all others, and why.
    pub(crate) refused: BTreeMap<usize, String>,
    /// What followed the transactions.
    pub(crate) end: Result<BlockEnd, String>,
    /// What was touched; `None` before Amsterdam.
    pub(crate) access_list: Option<BlockAccessList>,
    pub(crate) gas_used: u64,
    pub(crate) blob_gas_used: u64,
    /// Everything that the state holds after it.
    pub(crate) after: Content,
    /// The state after it.
    pub(crate) version: Snapshot,
}

impl Outcome {
    /// Places of the transactions, in their order.
    pub(crate) fn order(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().map(|step| step.index)
    }

    /// Whether all transactions are there in the order in which they were given.
    pub(crate) fn is_in_order(&self, count: usize) -> bool {
        self.order().eq(0..count)
    }

    /// Fails unless production came to the same as one after the other.
    pub(crate) fn equals(&self, expected: &Self) -> Result<(), Fault> {
        for (position, (found, expected)) in self.steps.iter().zip(&expected.steps).enumerate() {
            let of = |what: &str| format!("{what} of transaction {} at place {position}", found.index);
            compare(|| of("receipt"), &found.receipt, &expected.receipt)?;
            compare(|| of("changes"), &found.changes, &expected.changes)?;
        }
        compare(
            || "number of transactions".to_owned(),
            &self.steps.len(),
            &expected.steps.len(),
        )?;
        compare(
            || "refused transactions".to_owned(),
            &self.refused,
            &expected.refused,
        )?;
        compare(|| "end of the block".to_owned(), &self.end, &expected.end)?;
        compare(
            || "access list".to_owned(),
            &self.access_list,
            &expected.access_list,
        )?;
        compare(|| "gas used".to_owned(), &self.gas_used, &expected.gas_used)?;
        compare(
            || "blob gas used".to_owned(),
            &self.blob_gas_used,
            &expected.blob_gas_used,
        )?;
        self.after
            .difference(&expected.after)
            .map_or(Ok(()), |(found, expected)| {
                compare(|| "account after the block".to_owned(), &found, &expected)
            })
    }

    /// Fails unless it is what the block's header says. Receipts before Byzantium, which hold state roots (EIP-658), are
    /// compared by their blooms only.
    pub(crate) fn verify_header(&self, subject: &Subject<'_>, header: &Header) -> Result<(), Fault> {
        let end = self
            .end
            .as_ref()
            .map_err(|reason| Fault::Execution(reason.clone()))?;
        let list = self.access_list.as_deref();
        let receipts: Vec<_> = self.steps.iter().map(|step| step.receipt.clone()).collect();
        let mut receipts = ReceiptsDigest::of(&receipts);
        if !subject.rules.spec.is_byzantium_active_at_block(header.number) {
            receipts.root = header.receipts_root;
        }
        verify_post_execution(
            header,
            &ExecutionOutcome {
                gas_used: self.gas_used,
                blob_gas_used: self.blob_gas_used,
                receipts,
                requests: end.requests.as_ref(),
                block_access_list_hash: list.map(compute_block_access_list_hash),
                block_access_list_items: list.map_or(0, total_bal_items),
                state_root: self.root()?,
            },
        )?;
        Ok(())
    }

    /// The root of the state after it, computed from all that is in it.
    pub(crate) fn root(&self) -> Result<B256, Fault> {
        self.after.root(&self.version)
    }

    /// Everything that was logged.
    pub(crate) fn logs(&self) -> Vec<Log> {
        self.steps
            .iter()
            .flat_map(|step| step.receipt.logs.iter().cloned())
            .collect()
    }
}

/// The same changes in the one order that can be compared: slots have none of their own.
pub(crate) fn sorted(mut changes: Vec<AccountChange>) -> Vec<AccountChange> {
    for change in &mut changes {
        change.storage.sort_unstable();
    }
    changes
}
