//! One block, executed on the state of its parent, wherever that is: the rules are asked in the order of their price.

use std::{collections::BTreeMap, sync::Arc};

use alloy_eip7928::{BlockAccessList, compute_block_access_list_hash, total_bal_items};
use alloy_eips::eip7685::Requests;
use alloy_primitives::{Address, B256};
use rapid_consensus::{ExecutionOutcome, ReceiptsDigest, verify_post_execution};
use rapid_evm::{BlockExecutor, BlockHashes, ExecutionError, StateDb, environment_of_header};
use rapid_executor::{BlockHint, HintVerdict, Validated};
use rapid_primitives::{AccountChange, AmsterdamClose, Block, DiffBuilder, Receipt, SealedBlock, StateDiff};
use rapid_state::{Draft, VersionGone};
use rapid_trie::{StateTrie, TrieError};

use crate::{
    Chain, ChainError, Effort, ImportError, Stopwatch, block_receipts::BlockReceipts, hinted::run_hinted,
};

/// A block that was checked and executed on its parent.
#[derive(Clone, Debug)]
pub(crate) struct ExecutedBlock {
    pub(crate) block: Arc<SealedBlock>,
    /// The state after it.
    pub(crate) draft: Draft,
    pub(crate) trie: StateTrie,
    pub(crate) diff: StateDiff,
    pub(crate) requests: Option<Requests>,
    /// What its record says of a block from Amsterdam on.
    pub(crate) amsterdam: Option<AmsterdamClose>,
}

/// What a block is executed on.
#[derive(Clone, Debug)]
pub(crate) struct ParentState {
    /// An empty draft on the state after it.
    pub(crate) draft: Draft,
    pub(crate) trie: StateTrie,
    pub(crate) ancestors: AncestorHashes,
}

/// Hashes of a block's ancestors: those that are not canonical, and the chain for what is below them.
#[derive(Clone, Debug)]
pub(crate) struct AncestorHashes {
    pub(crate) chain: Chain,
    pub(crate) side: BTreeMap<u64, B256>,
}

impl AncestorHashes {
    /// Those of a block whose ancestors are all canonical.
    pub(crate) const fn canonical(chain: Chain) -> Self {
        Self {
            chain,
            side: BTreeMap::new(),
        }
    }
}

impl BlockHashes for AncestorHashes {
    fn block_hash(&self, number: u64) -> Option<B256> {
        match self.side.get(&number) {
            Some(hash) => Some(*hash),
            None => BlockHashes::block_hash(&self.chain, number),
        }
    }
}

/// Executes a block that passed the checks before execution, and compares what it does with what its header says. A hint
/// makes it faster, if it is true; nothing else depends on it.
pub(crate) fn execute_block(
    chain: &Chain,
    parent: &ParentState,
    block: &Block,
    senders: &[Address],
    hint: Option<BlockHint>,
) -> Result<Execution, ImportError> {
    let hinted = hint.and_then(|hint| run_hinted(chain, parent, block, senders, hint));
    let mut execution = hinted.unwrap_or_else(|| run(chain, parent, block, senders))?;
    let watch = Stopwatch::start();
    let changes = execution.diff.collapse();
    let state_root = execution.root(&changes).map_err(ChainError::from)?;
    execution.changed_accounts = changes.len() as u64;
    execution.root_effort = watch.stop();
    let outcome = ExecutionOutcome {
        gas_used: execution.gas_used,
        blob_gas_used: execution.blob_gas_used,
        receipts: execution.receipts_digest,
        requests: execution.requests.as_ref(),
        block_access_list_hash: execution
            .amsterdam
            .map(|amsterdam| amsterdam.block_access_list_hash),
        block_access_list_items: execution.access_list_items,
        state_root,
    };
    let number = block.header.number;
    verify_post_execution(&block.header, &outcome)
        .map_err(|error| ImportError::PostExecution { number, error })?;
    Ok(execution)
}

/// What executing a block gave.
pub(crate) struct Execution {
    draft: Draft,
    trie: StateTrie,
    receipts: Vec<Receipt>,
    receipts_digest: ReceiptsDigest,
    diff: StateDiff,
    requests: Option<Requests>,
    amsterdam: Option<AmsterdamClose>,
    access_list_items: u64,
    /// `None` before Amsterdam, and where the block came with a list.
    access_list: Option<BlockAccessList>,
    gas_used: u64,
    blob_gas_used: u64,
    pub(crate) changed_accounts: u64,
    /// What became of the hint, if there was one that was used.
    pub(crate) hint: Option<HintVerdict>,
    /// What bringing the trie along took.
    pub(crate) root_effort: Effort,
}

impl Execution {
    /// Brings the trie along, and computes the root of the state after the block.
    fn root(&mut self, changes: &[AccountChange]) -> Result<B256, TrieError> {
        self.trie.apply(self.draft.clone().into(), changes)?;
        self.trie.root()
    }

    /// What all workers found.
    pub(crate) fn of_validated(validated: Validated, trie: StateTrie) -> Self {
        let Validated {
            draft,
            receipts,
            diff,
            requests,
            access_list,
            gas_used,
            blob_gas_used,
            hint,
        } = validated;
        Self {
            draft,
            trie,
            receipts_digest: ReceiptsDigest::of(&receipts),
            receipts,
            diff,
            requests,
            amsterdam: access_list.map(|list| AmsterdamClose {
                gas_used,
                block_access_list_hash: list.hash,
            }),
            access_list_items: access_list.map_or(0, |list| list.items),
            access_list: None,
            gas_used,
            blob_gas_used,
            changed_accounts: 0,
            hint: Some(hint),
            root_effort: Effort::default(),
        }
    }

    /// What a hint would have said.
    pub(crate) fn into_hint(self) -> BlockHint {
        match self.access_list {
            Some(list) => BlockHint::Declared(list),
            None => BlockHint::Advisory(self.diff),
        }
    }

    /// Puts it together with the block that was executed.
    pub(crate) fn of(self, block: Block, senders: Vec<Address>) -> ExecutedBlock {
        ExecutedBlock {
            block: Arc::new(SealedBlock::seal(block, senders, self.receipts)),
            draft: self.draft,
            trie: self.trie,
            diff: self.diff,
            requests: self.requests,
            amsterdam: self.amsterdam,
        }
    }
}

pub(crate) fn run(
    chain: &Chain,
    parent: &ParentState,
    block: &Block,
    senders: &[Address],
) -> Result<Execution, ImportError> {
    let number = block.header.number;
    let database = StateDb::new(parent.draft.clone(), parent.ancestors.clone());
    let environment = environment_of_header(&block.header);
    let mut executor = BlockExecutor::new(Arc::clone(chain.spec()), environment, database, chain.compiler());
    let mut diff = DiffBuilder::new();
    let failed = |error| block_error(number, error);
    let mut post_states = BlockReceipts::begin(chain.spec(), number, parent);
    let mut before = executor.begin().map_err(failed)?;
    let parent_hash = block.header.parent_hash;
    before.extend(executor.store_parent_hash(parent_hash).map_err(failed)?);
    diff.push(0, &before);
    post_states.precede(&before)?;
    let mut receipts = Vec::with_capacity(block.body.transactions.len());
    for (index, (transaction, sender)) in block.body.transactions.iter().zip(senders).enumerate() {
        let executed = executor
            .execute(transaction, *sender)
            .map_err(|error| transaction_error(number, index, *sender, error))?;
        diff.push(access_index(index + 1), &executed.changes);
        post_states.follow(&executed.changes)?;
        receipts.push(executed.receipt);
    }
    let withdrawals = block
        .body
        .withdrawals
        .as_ref()
        .map(|withdrawals| withdrawals.as_slice());
    let end = executor.finish(withdrawals, &block.body.ommers).map_err(failed)?;
    diff.push(access_index(receipts.len() + 1), &end.changes);
    let access_list = end.access_list.as_deref();
    let amsterdam = access_list.map(|list| AmsterdamClose {
        gas_used: executor.gas_used(),
        block_access_list_hash: compute_block_access_list_hash(list),
    });
    Ok(Execution {
        amsterdam,
        access_list_items: access_list.map_or(0, total_bal_items),
        access_list: end.access_list,
        receipts_digest: post_states.digest(&receipts),
        gas_used: executor.gas_used(),
        blob_gas_used: executor.blob_gas_used(),
        draft: executor.into_state(),
        trie: parent.trie.clone(),
        receipts,
        diff: diff.finish(),
        requests: end.requests,
        changed_accounts: 0,
        hint: None,
        root_effort: Effort::default(),
    })
}

fn access_index(index: usize) -> u32 {
    u32::try_from(index).expect("EIP-7934 and the intrinsic gas bound a block's transactions far below 2^32")
}

pub(crate) fn block_error(number: u64, error: ExecutionError<VersionGone>) -> ImportError {
    match error {
        ExecutionError::State(gone) => ChainError::VersionGone(gone).into(),
        other => ImportError::Execution {
            number,
            reason: other.to_string(),
        },
    }
}

pub(crate) fn transaction_error(
    number: u64,
    index: usize,
    sender: Address,
    error: ExecutionError<VersionGone>,
) -> ImportError {
    match error {
        ExecutionError::State(gone) => ChainError::VersionGone(gone).into(),
        other => ImportError::Transaction {
            number,
            index,
            sender,
            reason: other.to_string(),
        },
    }
}
