//! A block with a hint, executed by all workers at once.

use std::{fmt::Debug, sync::Arc};

use alloy_eip7928::{BlockAccessList, compute_block_access_list_hash, total_bal_items};
use alloy_eips::{eip4895::Withdrawal, eip7685::Requests};
use alloy_primitives::B256;
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_evm::{BlockExecutor, BlockHashes, Compiler, ExecutionError, StateDb};
use rapid_primitives::{BlockEnvironment, Header, Receipt, StateDiff, TransactionSigned};
use rapid_state::{Draft, VersionGone};

use crate::{BlockHint, HintError, Workers, attempt::index_of, hinted_block::HintedBlock, hints::Hints};

/// A block to validate.
#[derive(Debug)]
pub struct ValidationInput<'a, H> {
    /// Its chain.
    pub spec: &'a Arc<ChainSpec>,
    /// What it is executed in.
    pub environment: &'a BlockEnvironment,
    /// Hash of its parent.
    pub parent_hash: B256,
    /// Its transactions.
    pub transactions: &'a [TransactionSigned],
    /// Their senders.
    pub senders: &'a [alloy_primitives::Address],
    /// Its withdrawals.
    pub withdrawals: Option<&'a [Withdrawal]>,
    /// Its ommers.
    pub ommers: &'a [Header],
    /// Hashes of its ancestors.
    pub block_hashes: &'a H,
    /// What compiles contracts.
    pub compiler: &'a Compiler,
}

/// What executing the block gave. It is what executing it sequentially gives, whatever the hint said.
#[derive(Debug)]
pub struct Validated {
    /// The state after it.
    pub draft: Draft,
    /// Receipts of its transactions.
    pub receipts: Vec<Receipt>,
    /// What it changed.
    pub diff: StateDiff,
    /// Execution layer requests; `None` before Prague.
    pub requests: Option<Requests>,
    /// Its block access list; `None` before Amsterdam.
    pub access_list: Option<AccessListDigest>,
    /// Gas used, as its header counts it.
    pub gas_used: u64,
    /// Blob gas used.
    pub blob_gas_used: u64,
    /// Whether the hint was true.
    pub hint: HintVerdict,
}

/// What a header and its rules say of a block access list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessListDigest {
    /// Its hash.
    pub hash: B256,
    /// Addresses and slots in it.
    pub items: u64,
}

/// Whether a hint was true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintVerdict {
    /// All of it, and nothing was missing.
    Proven,
    /// Not all of it; or it was, and could not say everything that happened (accounts created over old ones).
    NotProven,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum ValidationError {
    /// The hint is of no use. Nothing is said of the block.
    #[error("unusable hint: {0}")]
    Hint(#[from] HintError),
    /// The EVM panicked on the state that the hint says. Nothing is said of the block.
    #[error("the EVM panicked on a hinted state")]
    Panicked,
    /// The block, apart from its transactions.
    #[error(transparent)]
    Block(ExecutionError<VersionGone>),
    /// A transaction. It is the first that sequential execution would stop at, with the same error.
    #[error("transaction {index}: {error}")]
    Transaction {
        /// Its position in the block.
        index: usize,
        /// What is wrong.
        error: ExecutionError<VersionGone>,
    },
}

impl<H> Clone for ValidationInput<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for ValidationInput<'_, H> {}

impl<H> ValidationInput<'_, H> {
    /// The block access index of what follows the transactions.
    pub(crate) fn last_index(&self) -> u32 {
        index_of(self.transactions.len())
    }
}

/// Executes a block on `draft`, the state after its parent, with the help of a hint.
///
/// # Errors
/// [`ValidationError`]. After [`Hint`](ValidationError::Hint) and [`Panicked`](ValidationError::Panicked) it can be executed
/// sequentially.
pub fn validate<H: BlockHashes + Debug + Sync>(
    workers: &Workers,
    input: ValidationInput<'_, H>,
    draft: Draft,
    hint: BlockHint,
) -> Result<Validated, ValidationError> {
    let amsterdam = input
        .spec
        .is_amsterdam_active_at_timestamp(input.environment.timestamp);
    if amsterdam != matches!(hint, BlockHint::Declared(_)) {
        return Err(HintError::Kind.into());
    }
    let hints = Hints::new(&hint, input.transactions.len(), input.environment.gas_limit)?;
    let mut executor = BlockExecutor::new(
        Arc::clone(input.spec),
        input.environment.clone(),
        StateDb::new(draft, input.block_hashes),
        input.compiler,
    );
    let mut before = executor.begin().map_err(ValidationError::Block)?;
    let stored = executor.store_parent_hash(input.parent_hash);
    before.extend(stored.map_err(ValidationError::Block)?);
    let base = executor.state().reader();
    let finished = HintedBlock {
        input,
        hints: &hints,
        base: &base,
        executor,
        before,
    }
    .finish(workers)?;
    Ok(finished.validated(hint))
}

impl AccessListDigest {
    pub(crate) fn of(list: &BlockAccessList) -> Self {
        Self {
            hash: compute_block_access_list_hash(list),
            items: total_bal_items(list),
        }
    }
}
