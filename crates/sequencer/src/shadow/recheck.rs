//! A mini-block executed again, as the reference does it: on a draft of the state before, in the order of its record.

use std::sync::Arc;

use alloy_eip7928::AccountChanges;
use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_primitives::{Address, KECCAK256_EMPTY};
use rapid_chain::{Chain, OpenBlock as PublishedBlock};
use rapid_evm::{BlockExecutor, Compiler, ExecutionError, StateDb};
use rapid_primitives::{AccountChange, DiffBuilder, MiniBlockBody, ReadState, Receipt};
use rapid_state::{Draft, Snapshot, VersionGone};

use super::Sample;
use crate::open_block::deploys_history_contract;

/// Why a mini-block executed again is not what was published.
#[derive(Debug, thiserror::Error)]
pub(super) enum Disagreement {
    /// The comparison was not possible: no disagreement.
    #[error(transparent)]
    Unavailable(#[from] VersionGone),
    /// A transaction, or what surrounds them, fails.
    #[error("execution fails at block access index {index}: {reason}")]
    Fails {
        /// Block access index (EIP-7928).
        index: u64,
        /// What failed.
        reason: String,
    },
    /// A receipt differs, in status, gas or logs.
    #[error("the receipt at block access index {index} is {executed:?} and was published as {published:?}")]
    Receipt {
        /// Block access index (EIP-7928).
        index: u64,
        /// The reference's.
        executed: Box<Receipt>,
        /// The record's.
        published: Option<Box<Receipt>>,
    },
    /// The diff differs in an account.
    #[error("the changes of account {address} differ")]
    Diff {
        /// The first such account.
        address: Address,
    },
    /// The diff differs in what became of accounts.
    #[error("the fates of accounts differ")]
    Fates,
    /// What it adds to the gas of its block differs (EIP-8037).
    #[error("execution and growth of the state used {executed:?} gas, published were {published:?}")]
    Gas {
        /// The reference's: execution, state.
        executed: (u64, u64),
        /// The record's.
        published: (u64, u64),
    },
    /// What it adds to the access list of its block differs (EIP-7928).
    #[error("what was touched of account {address} differs")]
    Accesses {
        /// The first such account.
        address: Address,
    },
    /// The record says nothing about accesses, and is to, or the other way round.
    #[error("accesses are said or left out where they are not to be")]
    AccessesPresence,
    /// The requests of the block differ (EIP-7685).
    #[error("the execution requests differ")]
    Requests,
    /// The record is right and the state is not what it says.
    #[error("the state after it differs in account {address}")]
    State {
        /// The first such account.
        address: Address,
    },
    /// The reference panicked; its message is on stderr.
    #[error("executing it panics")]
    Panicked,
}

/// Executes a mini-block again and compares receipts with their gas and logs, diff, requests, from Amsterdam on what it touched
/// and its gas in two dimensions, and the state after it.
///
/// The whole mini-block: system calls before the first transaction and after the last one included. The hash of the parent,
/// which may have been stored between any two transactions, is stored before all of them here: it makes no difference, since
/// what reads it is not executed before it is there.
pub(super) fn recheck(chain: &Chain, sample: &Sample) -> Result<(), Disagreement> {
    let draft = Draft::begin(sample.before.clone());
    let published = sample.mini_block.body();
    let mut again = Again::take_up(chain, sample, draft)?;
    for position in 0..published.transactions.len() {
        again.execute(sample, position)?;
    }
    again.close(sample)?;
    let diff = std::mem::take(&mut again.diff).finish();
    if let Some(address) = first_difference(&diff.accounts, &published.diff.accounts) {
        return Err(Disagreement::Diff { address });
    }
    if diff.fates != published.diff.fates {
        return Err(Disagreement::Fates);
    }
    again.compare_amsterdam(published)?;
    compare_states(&again.executor.into_state(), &sample.after, &diff.collapse())
}

/// The first account that is not in both as it is in the other; both are sorted.
fn first_difference(executed: &[AccountChanges], published: &[AccountChanges]) -> Option<Address> {
    let differing = executed
        .iter()
        .zip(published)
        .find(|(executed, published)| executed != published)
        .map(|(executed, published)| executed.address.min(published.address));
    let in_both = executed.len().min(published.len());
    let beyond = executed.get(in_both).or_else(|| published.get(in_both));
    differing.or_else(|| beyond.map(|account| account.address))
}

/// The block in execution, from where the mini-block begins.
struct Again {
    executor: BlockExecutor<Draft, Chain>,
    diff: DiffBuilder,
    /// Block access index of what is executed next.
    index: u64,
    /// What the mini-blocks before it spent on execution and growth of the state.
    gas_before: (u64, u64),
}

impl Again {
    fn take_up(chain: &Chain, sample: &Sample, draft: Draft) -> Result<Self, Disagreement> {
        let header = sample.mini_block.header();
        let environment = header.environment.clone();
        let mut database = StateDb::new(draft, chain.clone());
        database.parent_hash_pending(environment.number.saturating_sub(1));
        let executor = BlockExecutor::new(Arc::clone(chain.spec()), environment, database, &Compiler::none());
        let mut again = Self {
            executor,
            diff: DiffBuilder::new(),
            index: 0,
            gas_before: (0, 0),
        };
        // Only at the opening of the block does it count whether the history contract is there.
        let mut history_contract = has_code(&sample.before, &HISTORY_STORAGE_ADDRESS)?;
        let earlier = sample
            .earlier
            .as_deref()
            .filter(|_| header.position.mini_block_index > 0);
        match earlier {
            None => {
                let changes = again.executor.begin().map_err(|error| fails(0, error))?;
                again.diff.push(0, &changes);
            }
            Some(earlier) => {
                history_contract &= !deploys_history_contract(earlier);
                again.resume(earlier, header.position.blob_gas_used)?;
            }
        }
        if earlier.is_some_and(|earlier| earlier.parent_hash.is_some()) {
            again.executor.parent_hash_is_stored();
        } else if !history_contract {
            if header.block_parent_hash.is_some() {
                again.executor.pass_over_parent_hash();
            }
        } else if let Some(hash) = header.block_parent_hash {
            let changes = again
                .executor
                .store_parent_hash(hash)
                .map_err(|error| fails(0, error))?;
            again.diff.push(0, &changes);
        }
        again.index = header.position.transaction_index + 1;
        Ok(again)
    }

    fn resume(&mut self, earlier: &PublishedBlock, blob_gas_used: u64) -> Result<(), Disagreement> {
        let bodies = earlier.mini_blocks.iter().map(|mini_block| mini_block.body());
        self.executor
            .resume(bodies, blob_gas_used)
            .map_err(|error| fails(0, error))?;
        self.gas_before = self.executor.gas_dimensions();
        Ok(())
    }

    /// Compares what the mini-block adds to what the header of its block says from Amsterdam on.
    fn compare_amsterdam(&mut self, published: &MiniBlockBody) -> Result<(), Disagreement> {
        let (executed, published_list) = match (self.executor.take_accesses(), published.access_list()) {
            (None, None) => return Ok(()),
            (Some(executed), Some(published)) => (executed.finish(), published),
            _ => return Err(Disagreement::AccessesPresence),
        };
        if let Some(address) = first_difference(&executed, &published_list) {
            return Err(Disagreement::Accesses { address });
        }
        let (execution, state) = self.executor.gas_dimensions();
        let executed = (execution - self.gas_before.0, state - self.gas_before.1);
        let delta = published.amsterdam.as_ref();
        let published = delta.map_or((0, 0), |delta| (delta.execution_gas, delta.state_gas));
        match executed == published {
            true => Ok(()),
            false => Err(Disagreement::Gas { executed, published }),
        }
    }

    fn execute(&mut self, sample: &Sample, position: usize) -> Result<(), Disagreement> {
        let published = sample.mini_block.body();
        let index = self.index;
        let executed = self
            .executor
            .execute(&published.transactions[position], published.senders[position])
            .map_err(|error| fails(index, error))?;
        let receipt = published.receipts.get(position);
        if receipt != Some(&executed.receipt) {
            return Err(Disagreement::Receipt {
                index,
                executed: Box::new(executed.receipt),
                published: receipt.cloned().map(Box::new),
            });
        }
        self.push(&executed.changes);
        self.index += 1;
        Ok(())
    }

    fn close(&mut self, sample: &Sample) -> Result<(), Disagreement> {
        let Some(close) = &sample.mini_block.header().close else {
            return Ok(());
        };
        let index = self.index;
        let end = self
            .executor
            .conclude(close.withdrawals.as_deref(), &[])
            .map_err(|error| fails(index, error))?;
        self.push(&end.changes);
        if end.requests != close.requests {
            return Err(Disagreement::Requests);
        }
        Ok(())
    }

    fn push(&mut self, changes: &[AccountChange]) {
        let index = u32::try_from(self.index)
            .expect("EIP-7934 and the intrinsic gas bound a block's transactions far below 2^32");
        self.diff.push(index, changes);
    }
}

/// Compares what was changed: the rest of both states is the same version.
fn compare_states(
    executed: &Draft,
    published: &Snapshot,
    changes: &[AccountChange],
) -> Result<(), Disagreement> {
    for change in changes {
        let address = change.address;
        let mut equal = executed.account(&address)? == published.account(&address)?;
        for (slot, _) in &change.storage {
            equal &= executed.storage(&address, slot)? == published.storage(&address, slot)?;
        }
        if !equal {
            return Err(Disagreement::State { address });
        }
    }
    Ok(())
}

fn has_code(state: &Snapshot, address: &Address) -> Result<bool, VersionGone> {
    let account = state.account(address)?;
    Ok(account.is_some_and(|account| account.code_hash != KECCAK256_EMPTY))
}

fn fails(index: u64, error: ExecutionError<VersionGone>) -> Disagreement {
    match error {
        ExecutionError::State(gone) => Disagreement::Unavailable(gone),
        other => Disagreement::Fails {
            index,
            reason: other.to_string(),
        },
    }
}
