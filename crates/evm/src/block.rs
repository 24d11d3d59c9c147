//! The sequential executor: one EVM block, transaction by transaction, in the order given.

use std::{fmt::Debug, sync::Arc};

use alloy_consensus::Transaction;
use alloy_eip7928::BlockAccessList;
use alloy_eips::eip7685::Requests;
use alloy_evm::FromRecoveredTx;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256};
use rapid_chainspec::ChainSpec;
use rapid_primitives::{AccountChange, BlockEnvironment, ReadState, Receipt, TransactionSigned, WriteState};
use revm::{
    context::TxEnv,
    context_interface::result::{EVMError, ResultGas},
    inspector::NoOpInspector,
    primitives::hardfork::SpecId,
    state::EvmState,
};

use crate::{
    BlockHashes, Compiler, ExecutionError, InvalidBlock, Promised, RapidEvm, ReadError, ReceiptParts,
    StateDb, access_budget::AccessBudget, access_list::BlockAccesses, accesses::keys_of,
    changes::account_changes, evm_environment, gas::BlockGas,
};

/// What one transaction did. Its changes are already applied to the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// The receipt; its cumulative gas counts from the start of the block.
    pub receipt: Receipt,
    /// Gas the transaction paid for.
    pub gas_used: u64,
    /// What it changed.
    pub changes: Vec<AccountChange>,
}

/// What the end of the block did. The changes are already applied to the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockEnd {
    /// Changes of rewards, withdrawals and system calls, in order.
    pub changes: Vec<AccountChange>,
    /// Execution layer requests (EIP-7685); `None` before Prague.
    pub requests: Option<Requests>,
    /// What the whole block read and wrote (EIP-7928); `None` before Amsterdam.
    pub access_list: Option<BlockAccessList>,
}

/// Executes the transactions of one block on a state.
///
/// Call [`begin`](Self::begin) first, then [`store_parent_hash`](Self::store_parent_hash) (at once, or later when the
/// hash of the parent becomes known), [`execute`](Self::execute) for each transaction and
/// [`finish`](Self::finish) at the end.
#[expect(missing_debug_implementations, reason = "revm's EVM has none")]
pub struct BlockExecutor<S: WriteState + Debug, H: BlockHashes + Debug> {
    spec: Arc<ChainSpec>,
    environment: BlockEnvironment,
    fork: SpecId,
    evm: RapidEvm<StateDb<S, H>>,
    pub(crate) gas: BlockGas,
    pub(crate) blob_gas_used: u64,
    blob_gas_limit: u64,
    /// Transactions executed.
    pub(crate) executed: u64,
    pub(crate) deposits: Vec<u8>,
    /// `None` before Amsterdam.
    accesses: Option<BlockAccesses>,
}

/// What the EVM fails with over this state.
pub(crate) type EvmError<S> = EVMError<ReadError<<S as ReadState>::Error>>;

impl<S: WriteState + Debug, H: BlockHashes + Debug> BlockExecutor<S, H> {
    /// An executor at the start of a block.
    pub fn new(
        spec: Arc<ChainSpec>,
        environment: BlockEnvironment,
        database: StateDb<S, H>,
        compiler: &Compiler,
    ) -> Self {
        let evm_env = evm_environment(&spec, &environment);
        let fork = evm_env.cfg_env.spec;
        let blob_gas_limit = spec
            .blob_params_at_timestamp(environment.timestamp)
            .map_or(0, |params| params.max_blob_gas_per_block());
        let amsterdam = spec.is_amsterdam_active_at_timestamp(environment.timestamp);
        let evm = RapidEvm::new(database, evm_env, NoOpInspector, compiler);
        Self {
            spec,
            environment,
            fork,
            evm,
            gas: BlockGas::new(amsterdam),
            blob_gas_used: 0,
            blob_gas_limit,
            executed: 0,
            deposits: Vec::new(),
            accesses: amsterdam.then(BlockAccesses::default),
        }
    }

    /// The block's environment.
    pub const fn environment(&self) -> &BlockEnvironment {
        &self.environment
    }

    /// Gas used by the transactions so far, as the header counts it.
    pub const fn gas_used(&self) -> u64 {
        self.gas.used()
    }

    /// Blob gas used by the transactions so far.
    pub const fn blob_gas_used(&self) -> u64 {
        self.blob_gas_used
    }

    /// The state, with everything executed so far applied.
    pub fn state(&self) -> &S {
        self.database().state()
    }

    /// The state, for its owner to apply what was executed elsewhere.
    pub fn state_mut(&mut self) -> &mut S {
        self.database_mut().state_mut()
    }

    /// Gives the state back.
    pub fn into_state(self) -> S {
        self.evm.into_database().into_state()
    }

    /// Whether the parent's hash has not been stored yet ([`StateDb::parent_hash_pending`]).
    pub fn is_parent_hash_pending(&self) -> bool {
        self.database().is_parent_hash_pending()
    }

    /// What precedes the first transaction and does not need the parent's hash: the beacon root (EIP-4788) and the
    /// irregular state change of the DAO fork.
    ///
    /// # Errors
    /// [`ExecutionError::State`] or [`ExecutionError::Fatal`].
    pub fn begin(&mut self) -> Result<Vec<AccountChange>, ExecutionError<S::Error>> {
        let mut changes = self.apply_dao_fork()?;
        changes.extend(self.store_beacon_root()?);
        Ok(changes)
    }

    /// Stores the parent's hash in the history contract (EIP-2935) and lets transactions read it from now on.
    ///
    /// # Errors
    /// [`ExecutionError::State`] or [`ExecutionError::Fatal`].
    pub fn store_parent_hash(
        &mut self,
        parent_hash: B256,
    ) -> Result<Vec<AccountChange>, ExecutionError<S::Error>> {
        self.parent_hash_is_stored();
        self.store_history(parent_hash)
    }

    /// Takes up a block in which the parent's hash was stored already.
    pub fn parent_hash_is_stored(&mut self) {
        self.database_mut().parent_hash_arrived();
    }

    /// Executes a transaction and applies what it changed. On any error nothing is changed.
    ///
    /// # Errors
    /// See [`ExecutionError`]; only `State` and `Fatal` concern this process.
    pub fn execute(
        &mut self,
        transaction: &TransactionSigned,
        sender: Address,
    ) -> Result<Executed, ExecutionError<S::Error>> {
        self.check_fits(transaction, Promised::default())?;
        let executed = self
            .evm
            .run_transaction(TxEnv::from_recovered_tx(transaction, sender))
            .map_err(transaction_error::<S>)?;
        self.check_accesses(&executed.state)?;
        let gas = *executed.result.gas();
        let receipt = self.receipt(transaction, executed.result.into());
        let deposits = self.deposits_of(&receipt)?;
        let changes = self.commit(self.executed + 1, executed.state)?;
        self.deposits.extend(deposits);
        self.count(transaction, &gas);
        Ok(Executed {
            receipt,
            gas_used: gas.tx_gas_used(),
            changes,
        })
    }

    /// Ends the block: rewards, withdrawals, execution requests, access list.
    ///
    /// # Errors
    /// [`ExecutionError::InvalidBlock`] if a request contract is missing (EIP-7002, EIP-7251) or its call fails.
    pub fn finish(
        &mut self,
        withdrawals: Option<&[alloy_eips::eip4895::Withdrawal]>,
        ommers: &[rapid_primitives::Header],
    ) -> Result<BlockEnd, ExecutionError<S::Error>> {
        let end = self.conclude(withdrawals, ommers)?;
        let access_list = self.accesses.take().map(BlockAccesses::finish);
        Ok(BlockEnd { access_list, ..end })
    }

    /// [`finish`](Self::finish) without the access list, of which the last part is then to be
    /// [taken](Self::take_accesses).
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn conclude(
        &mut self,
        withdrawals: Option<&[alloy_eips::eip4895::Withdrawal]>,
        ommers: &[rapid_primitives::Header],
    ) -> Result<BlockEnd, ExecutionError<S::Error>> {
        let mut changes = self.credit_rewards_and_withdrawals(withdrawals, ommers)?;
        let requests = if self
            .spec
            .is_prague_active_at_timestamp(self.environment.timestamp)
        {
            let (requests, made) = self.collect_requests()?;
            changes.extend(made);
            Some(requests)
        } else {
            None
        };
        self.check_access_list()?;
        Ok(BlockEnd {
            changes,
            requests,
            access_list: None,
        })
    }

    /// Takes up a transaction that was executed elsewhere on this block's state and whose changes are in the state; it is the
    /// next one of the block. From Amsterdam on what it touched is to be absorbed after it, by
    /// [`absorb_transaction_accesses`](Self::absorb_transaction_accesses) or
    /// [`absorb_accesses`](Self::absorb_accesses).
    ///
    /// # Errors
    /// [`ExecutionError::InvalidBlock`] if a deposit log does not decode.
    pub fn absorb(
        &mut self,
        transaction: &TransactionSigned,
        result: impl Into<ReceiptParts>,
    ) -> Result<Receipt, ExecutionError<S::Error>> {
        let result = result.into();
        let gas = result.gas;
        let receipt = self.receipt(transaction, result);
        let deposits = self.deposits_of(&receipt)?;
        self.deposits.extend(deposits);
        self.count(transaction, &gas);
        Ok(receipt)
    }

    fn count(&mut self, transaction: &TransactionSigned, gas: &ResultGas) {
        self.executed += 1;
        self.gas.add(gas);
        self.blob_gas_used += transaction.blob_gas_used().unwrap_or_default();
    }

    /// Checks that a transaction fits what is left of the block besides what is promised to others.
    ///
    /// # Errors
    /// [`ExecutionError::BlockGasExhausted`] or [`ExecutionError::BlobGasExhausted`].
    pub fn check_fits(
        &self,
        transaction: &TransactionSigned,
        promised: Promised,
    ) -> Result<(), ExecutionError<S::Error>> {
        let cap = self.evm.context().cfg.tx_gas_limit_cap.unwrap_or(u64::MAX);
        self.gas
            .check_fits(transaction.gas_limit(), cap, self.environment.gas_limit, promised)
            .map_err(|(gas_limit, available)| ExecutionError::BlockGasExhausted { gas_limit, available })?;
        let blob_gas = transaction.blob_gas_used().unwrap_or_default();
        let available = self
            .blob_gas_limit
            .saturating_sub(self.blob_gas_used + promised.blob_gas);
        if blob_gas > available {
            return Err(ExecutionError::BlobGasExhausted { blob_gas, available });
        }
        Ok(())
    }

    fn check_accesses(&self, journal: &EvmState) -> Result<(), ExecutionError<S::Error>> {
        let budget = self.accesses.as_ref().and_then(BlockAccesses::budget);
        let checked = budget.map_or(Ok(()), |budget| budget.check(keys_of(journal)));
        checked.map_err(|(accesses, available)| ExecutionError::AccessesExhausted { accesses, available })
    }

    fn check_access_list(&self) -> Result<(), ExecutionError<S::Error>> {
        let budget = self.accesses.as_ref().and_then(BlockAccesses::budget);
        let checked = budget.map_or(Ok(()), AccessBudget::check_end);
        checked
            .map_err(|(found, max)| ExecutionError::InvalidBlock(InvalidBlock::AccessListSize { found, max }))
    }

    fn receipt(&self, transaction: &TransactionSigned, result: ReceiptParts) -> Receipt {
        Receipt {
            tx_type: transaction.tx_type(),
            success: result.success,
            cumulative_gas_used: self.gas.paid() + result.gas.tx_gas_used(),
            logs: result.logs,
        }
    }

    pub(crate) const fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    pub(crate) fn apply(&mut self, changes: &[AccountChange]) -> Result<(), ExecutionError<S::Error>> {
        self.database_mut().apply(changes).map_err(read_error)
    }

    /// Applies what the EVM's journal says has changed at this block access index (EIP-7928).
    pub(crate) fn commit(
        &mut self,
        index: u64,
        journal: EvmState,
    ) -> Result<Vec<AccountChange>, ExecutionError<S::Error>> {
        if let Some(accesses) = &mut self.accesses {
            accesses.record(index, &journal);
        }
        let changes = account_changes(&journal, self.fork);
        self.evm.reuse(journal);
        self.apply(&changes)?;
        Ok(changes)
    }

    pub(crate) const fn accesses(&self) -> Option<&BlockAccesses> {
        self.accesses.as_ref()
    }

    pub(crate) const fn evm_mut(&mut self) -> &mut RapidEvm<StateDb<S, H>> {
        &mut self.evm
    }

    pub(crate) const fn accesses_mut(&mut self) -> Option<&mut BlockAccesses> {
        self.accesses.as_mut()
    }

    /// The block access index of what follows the transactions (EIP-7928).
    pub(crate) const fn index_after_transactions(&self) -> u64 {
        self.executed + 1
    }

    pub(crate) fn take_deposits(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.deposits)
    }

    const fn database(&self) -> &StateDb<S, H> {
        self.evm.database()
    }

    const fn database_mut(&mut self) -> &mut StateDb<S, H> {
        self.evm.database_mut()
    }
}

pub(crate) fn read_error<E>(error: ReadError<E>) -> ExecutionError<E> {
    match error {
        ReadError::ParentHashPending(number) => ExecutionError::ParentHashPending(number),
        ReadError::Beneficiary => ExecutionError::BeneficiaryRead,
        ReadError::State(error) => ExecutionError::State(error),
        ReadError::MissingCode(hash) => {
            ExecutionError::Fatal(format!("code {hash} is missing from the state"))
        }
    }
}

pub(crate) fn transaction_error<S: ReadState>(error: EvmError<S>) -> ExecutionError<S::Error> {
    execution_error(error)
}

pub(crate) fn execution_error<E: std::error::Error + Send + Sync + 'static>(
    error: EVMError<ReadError<E>>,
) -> ExecutionError<E> {
    match error {
        EVMError::Transaction(invalid) => ExecutionError::InvalidTransaction(invalid),
        EVMError::Header(invalid) => ExecutionError::InvalidBlock(InvalidBlock::Environment(invalid)),
        EVMError::Database(error) => read_error(error),
        other => ExecutionError::Fatal(other.to_string()),
    }
}
