//! Blocks that come with a hint, executed by many workers at once.

use std::sync::Arc;

use alloy_primitives::Address;
use rapid_chainspec::EthereumHardforks;
use rapid_evm::environment_of_header;
use rapid_executor::{BlockHint, ValidationError, ValidationInput, Workers, validate};
use rapid_primitives::Block;

use crate::{
    Chain, ImportError,
    execute::{Execution, ParentState, block_error, transaction_error},
};

/// How blocks from elsewhere are executed.
#[derive(Clone, Debug, Default)]
pub enum ExecutionMode {
    /// One transaction after the other.
    #[default]
    Sequential,
    /// Those that come with a hint by many workers at once, if that pays; the others one transaction after the other.
    Parallel(Arc<Workers>),
}

/// Executes a block with its hint; `None` if it has to be executed without, and nothing was found out about it.
pub(crate) fn run_hinted(
    chain: &Chain,
    parent: &ParentState,
    block: &Block,
    senders: &[Address],
    hint: BlockHint,
) -> Option<Result<Execution, ImportError>> {
    let ExecutionMode::Parallel(workers) = chain.execution_mode() else {
        return None;
    };
    let number = block.header.number;
    let transactions = &block.body.transactions;
    // Older receipts hold the state root after their transaction, so there the trie goes along one by one.
    if !workers.pay_off_for(transactions) || !chain.spec().is_byzantium_active_at_block(number) {
        return None;
    }
    let input = ValidationInput {
        spec: chain.spec(),
        environment: &environment_of_header(&block.header),
        parent_hash: block.header.parent_hash,
        transactions,
        senders,
        withdrawals: block
            .body
            .withdrawals
            .as_ref()
            .map(|withdrawals| withdrawals.as_slice()),
        ommers: &block.body.ommers,
        block_hashes: &parent.ancestors,
        compiler: chain.compiler(),
    };
    let error = match validate(workers, input, parent.draft.clone(), hint) {
        Ok(validated) => return Some(Ok(Execution::of_validated(validated, parent.trie.clone()))),
        Err(error) => error,
    };
    match error {
        ValidationError::Block(error) => Some(Err(block_error(number, error))),
        ValidationError::Transaction { index, error } => {
            Some(Err(transaction_error(number, index, senders[index], error)))
        }
        unusable @ (ValidationError::Hint(_) | ValidationError::Panicked) => {
            metrics::counter!("rapid_reth_chain_unusable_hints_total").increment(1);
            tracing::warn!(number, %unusable, "A block is executed without the hint it came with");
            None
        }
    }
}
