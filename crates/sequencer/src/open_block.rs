//! The EVM block in execution.

use std::sync::Arc;

use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4895::Withdrawal};
use alloy_primitives::{B256, KECCAK256_EMPTY, U256};
use rapid_chain::{Chain, OpenBlock as PublishedBlock};
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_evm::{BlockEnd, BlockExecutor, Executed, ExecutionError, Promised, StateDb, TransactionAccesses};
use rapid_pool::PooledTransaction;
use rapid_primitives::{Account, AccountChange, BlockEnvironment, BlockPosition, Header, ReadState, Receipt};
use rapid_state::Newest;
use revm::context_interface::result::ExecutionResult;

use crate::{SequencerError, cut::AmsterdamPart};

/// Bytes of a block besides its transactions: header, list prefixes, and room for the withdrawals of a block.
const BLOCK_OVERHEAD_BYTES: u64 = 8 << 10;

/// A typed transaction stands in its block as a string, whose RLP prefix takes up to this many bytes.
const MAX_RLP_PREFIX_BYTES: u64 = 4;

pub(crate) type LiveError = <Newest as ReadState>::Error;

/// The EVM block in execution, with its running totals.
pub(crate) struct OpenBlock {
    executor: BlockExecutor<Newest, Chain>,
    parent_hash: Option<B256>,
    /// Whether the history contract (EIP-2935) had code when the block opened: a call before the first transaction
    /// would have found it.
    history_contract: bool,
    /// Totals after everything executed.
    position: BlockPosition,
    /// The beneficiary's balance after everything executed, while fees are withheld from it.
    beneficiary_balance: U256,
    /// What the transactions had spent on execution and growth of the state at the newest cut (EIP-8037).
    gas_at_cut: (u64, u64),
}

/// What is not in the block yet, and may take of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outstanding {
    pub(crate) promised: Promised,
    pub(crate) transactions: u64,
    pub(crate) bytes: u64,
}

/// What a worker's execution did, besides its result.
#[derive(Debug)]
pub(crate) struct WorkersEffect {
    /// The fee left out.
    pub(crate) changes: Vec<AccountChange>,
    /// The fee left out; `None` before Amsterdam.
    pub(crate) accesses: Option<Box<TransactionAccesses>>,
    pub(crate) fee: U256,
}

impl OpenBlock {
    /// Opens a block: everything of its start that does not need the hash of the parent.
    pub(crate) fn open(
        chain: &Chain,
        environment: BlockEnvironment,
    ) -> Result<(Self, Vec<AccountChange>), SequencerError> {
        let mut block = Self::new(chain, environment);
        block.history_contract = block.has_history_contract()?;
        let changes = block.executor.begin().map_err(|error| block.failed(&error))?;
        Ok((block, changes))
    }

    /// Takes up a block that was open when the node stopped.
    pub(crate) fn resume(chain: &Chain, published: &PublishedBlock) -> Result<Self, SequencerError> {
        let mut block = Self::new(chain, published.environment.clone());
        let bodies = published.mini_blocks.iter().map(|mini_block| mini_block.body());
        block
            .executor
            .resume(bodies, published.position.blob_gas_used)
            .map_err(|error| block.failed(&error))?;
        block.gas_at_cut = block.executor.gas_dimensions();
        block.position = published.position;
        // Code deployed by this block itself came after its opening.
        block.history_contract = block.has_history_contract()? && !deploys_history_contract(published);
        if let Some(hash) = published.parent_hash {
            block.parent_hash = Some(hash);
            block.executor.parent_hash_is_stored();
        }
        Ok(block)
    }

    fn new(chain: &Chain, environment: BlockEnvironment) -> Self {
        let mut database = StateDb::new(chain.state().newest(), chain.clone());
        database.parent_hash_pending(environment.number - 1);
        let mut executor =
            BlockExecutor::new(Arc::clone(chain.spec()), environment, database, chain.compiler());
        executor.limit_accesses();
        Self {
            executor,
            parent_hash: None,
            history_contract: false,
            position: BlockPosition::default(),
            beneficiary_balance: U256::ZERO,
            gas_at_cut: (0, 0),
        }
    }

    fn has_history_contract(&self) -> Result<bool, SequencerError> {
        let account = self.executor.state().account(&HISTORY_STORAGE_ADDRESS);
        let account = account.map_err(|error| self.failed(&ExecutionError::State(error)))?;
        Ok(account.is_some_and(|account| account.code_hash != KECCAK256_EMPTY))
    }

    pub(crate) const fn environment(&self) -> &BlockEnvironment {
        self.executor.environment()
    }

    pub(crate) const fn position(&self) -> BlockPosition {
        self.position
    }

    pub(crate) const fn parent_hash(&self) -> Option<B256> {
        self.parent_hash
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.position.transaction_index == 0
    }

    /// A mini-block was cut: the next one has the next index.
    pub(crate) const fn mini_block_cut(&mut self) {
        self.position.mini_block_index += 1;
    }

    /// Takes what was added since the newest cut to what the block's header says from Amsterdam on; `None` before.
    pub(crate) fn take_amsterdam_part(&mut self) -> Option<AmsterdamPart> {
        let accesses = self.executor.take_accesses()?;
        let (execution, state) = self.executor.gas_dimensions();
        let (execution_before, state_before) = std::mem::replace(&mut self.gas_at_cut, (execution, state));
        Some(AmsterdamPart {
            accesses,
            execution_gas: execution - execution_before,
            state_gas: state - state_before,
        })
    }

    /// Stores the parent's hash, once.
    pub(crate) fn store_parent_hash(&mut self, hash: B256) -> Result<Vec<AccountChange>, SequencerError> {
        self.parent_hash = Some(hash);
        if !self.history_contract {
            self.executor.pass_over_parent_hash();
            return Ok(Vec::new());
        }
        let changes = self.executor.store_parent_hash(hash);
        changes.map_err(|error| self.failed(&error))
    }

    /// Whether a transaction fits what is left of the block's size (EIP-7934) and gas.
    pub(crate) fn fits(&self, pooled: &PooledTransaction, outstanding: Outstanding) -> bool {
        let transactions = self.position.transaction_index + outstanding.transactions + 1;
        let bytes = self.position.transaction_bytes + outstanding.bytes + pooled.encoded_len() as u64;
        let total = bytes + MAX_RLP_PREFIX_BYTES * transactions + BLOCK_OVERHEAD_BYTES;
        total <= rapid_consensus::MAX_BLOCK_RLP_BYTES as u64
            && self
                .executor
                .check_fits(pooled.transaction(), outstanding.promised)
                .is_ok()
    }

    /// Whether a transaction that [fits](Self::fits) also fits the block's access list (EIP-7928), whatever it touches. One that
    /// does not is to be executed here, where it shows what it touches.
    pub(crate) fn fits_whatever_it_touches(
        &self,
        pooled: &PooledTransaction,
        outstanding: Outstanding,
    ) -> bool {
        self.executor
            .fits_whatever_it_touches(pooled.transaction(), outstanding.promised)
    }

    pub(crate) fn execute(
        &mut self,
        pooled: &PooledTransaction,
    ) -> Result<Executed, ExecutionError<LiveError>> {
        let executed = self.executor.execute(pooled.transaction(), pooled.sender())?;
        self.advance(&executed.receipt, pooled.encoded_len());
        Ok(executed)
    }

    fn advance(&mut self, receipt: &Receipt, bytes: usize) {
        self.position.transaction_index += 1;
        self.position.log_index += receipt.logs.len() as u64;
        self.position.gas_used = receipt.cumulative_gas_used;
        self.position.blob_gas_used = self.executor.blob_gas_used();
        self.position.transaction_bytes += bytes as u64;
    }

    /// Whether its transactions may be executed by workers that withhold fees: the forks in force clear empty accounts, and
    /// the beneficiary is none that the first fee of nothing would clear.
    pub(crate) fn may_withhold_fees(&self, spec: &ChainSpec) -> Result<bool, SequencerError> {
        let environment = self.environment();
        let beneficiary = self.beneficiary()?;
        Ok(spec.is_shanghai_active_at_timestamp(environment.timestamp)
            && !beneficiary.is_some_and(|account| account.is_empty()))
    }

    /// From now on transactions are [absorbed](Self::absorb); everything executed so far is in the state.
    pub(crate) fn begin_withholding(&mut self) -> Result<(), SequencerError> {
        self.beneficiary_balance = self.beneficiary()?.unwrap_or_default().balance;
        Ok(())
    }

    fn beneficiary(&self) -> Result<Option<Account>, SequencerError> {
        let account = self.executor.state().account(&self.environment().beneficiary);
        account.map_err(|error| self.failed(&ExecutionError::State(error)))
    }

    /// Takes up the next transaction, which a worker has executed.
    pub(crate) fn absorb(
        &mut self,
        pooled: &PooledTransaction,
        result: ExecutionResult,
        WorkersEffect {
            mut changes,
            accesses,
            fee,
        }: WorkersEffect,
    ) -> Result<(Receipt, Vec<AccountChange>), SequencerError> {
        let receipt = self
            .executor
            .absorb(pooled.transaction(), result)
            .map_err(|error| self.failed(&error))?;
        self.advance(&receipt, pooled.encoded_len());
        self.beneficiary_balance += fee;
        let change = AccountChange {
            balance: (!fee.is_zero()).then_some(self.beneficiary_balance),
            ..AccountChange::new(self.environment().beneficiary)
        };
        if let Some(mut accesses) = accesses {
            // A fee of nothing touches the beneficiary, too.
            accesses.credit(&change);
            self.executor.absorb_transaction_accesses(&accesses);
        }
        if !change.is_noop() {
            let place = changes.partition_point(|other| other.address < change.address);
            changes.insert(place, change);
        }
        Ok((receipt, changes))
    }

    /// The beneficiary's balance after everything absorbed.
    #[cfg(debug_assertions)]
    pub(crate) const fn beneficiary_balance(&self) -> U256 {
        self.beneficiary_balance
    }

    /// Block access index of the newest transaction, or of what follows the last one (EIP-7928).
    pub(crate) fn access_index(&self) -> u32 {
        u32::try_from(self.position.transaction_index)
            .expect("EIP-7934 and the intrinsic gas bound a block's transactions far below 2^32")
    }

    /// What follows the last transaction.
    pub(crate) fn finish(&mut self, withdrawals: Option<&[Withdrawal]>) -> Result<BlockEnd, SequencerError> {
        self.executor
            .conclude(withdrawals, &[])
            .map_err(|error| SequencerError::Close {
                number: self.environment().number,
                reason: error.to_string(),
            })
    }

    /// The header as far as the next block's environment depends on it.
    pub(crate) fn header_so_far(&self) -> Header {
        let environment = self.environment();
        Header {
            number: environment.number,
            timestamp: environment.timestamp,
            gas_limit: environment.gas_limit,
            gas_used: self.executor.gas_used(),
            base_fee_per_gas: environment.base_fee_per_gas,
            difficulty: environment.difficulty,
            excess_blob_gas: environment.excess_blob_gas,
            blob_gas_used: environment.excess_blob_gas.map(|_| self.position.blob_gas_used),
            slot_number: environment.slot_number,
            ..Header::default()
        }
    }

    fn failed(&self, error: &ExecutionError<LiveError>) -> SequencerError {
        SequencerError::Execution {
            number: self.environment().number,
            reason: error.to_string(),
        }
    }
}

/// Whether a block in execution deployed the history contract (EIP-2935) itself.
pub(crate) fn deploys_history_contract(published: &PublishedBlock) -> bool {
    let accounts = published
        .mini_blocks
        .iter()
        .flat_map(|mini_block| &mini_block.body().diff.accounts);
    accounts
        .into_iter()
        .any(|account| account.address == HISTORY_STORAGE_ADDRESS && !account.code_changes.is_empty())
}
