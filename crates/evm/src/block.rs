//! The sequential executor: one EVM block, transaction by transaction, in the order given.

use std::{fmt::Debug, sync::Arc};

use alloy_consensus::Transaction;
use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS,
    eip4788::{BEACON_ROOTS_ADDRESS, SYSTEM_ADDRESS},
    eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS,
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_TYPE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_TYPE},
    eip7685::Requests,
};
use alloy_evm::{
    Evm, EvmFactory, FromRecoveredTx,
    eth::{EthEvm, EthEvmFactory, eip6110, spec::EthExecutorSpec},
    precompiles::PrecompilesMap,
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bytes};
use rapid_chainspec::{ChainSpec, RequestPredeploys};
use rapid_primitives::{AccountChange, BlockEnvironment, Receipt, TransactionSigned, WriteState};
use revm::{
    context::TxEnv,
    context_interface::result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction, ResultAndState},
    inspector::NoOpInspector,
    primitives::hardfork::SpecId,
};

use crate::{BlockHashes, ExecutionError, ReadError, StateDb, changes::account_changes, evm_environment};

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
    evm: EthEvm<StateDb<S, H>, NoOpInspector, PrecompilesMap>,
    gas_used: u64,
    blob_gas_used: u64,
    blob_gas_limit: u64,
    deposits: Vec<u8>,
}

/// Result of a system call and what it changed.
type SystemCall = (ExecutionResult<HaltReason>, Vec<AccountChange>);
type EvmResult<S> = EVMError<ReadError<<S as rapid_primitives::ReadState>::Error>>;

impl<S: WriteState + Debug, H: BlockHashes + Debug> BlockExecutor<S, H> {
    /// An executor at the start of a block.
    pub fn new(spec: Arc<ChainSpec>, environment: BlockEnvironment, database: StateDb<S, H>) -> Self {
        let evm_env = evm_environment(&spec, &environment);
        let fork = evm_env.cfg_env.spec;
        let blob_gas_limit = spec
            .blob_params_at_timestamp(environment.timestamp)
            .map_or(0, |params| params.max_blob_gas_per_block());
        let evm = EthEvmFactory::default().create_evm(database, evm_env);
        Self {
            spec,
            environment,
            fork,
            evm,
            gas_used: 0,
            blob_gas_used: 0,
            blob_gas_limit,
            deposits: Vec::new(),
        }
    }

    /// Takes up a block whose first transactions were executed before and whose changes are already in the state:
    /// restores the running totals from their receipts.
    ///
    /// # Errors
    /// [`ExecutionError::InvalidBlock`] if a deposit log does not decode.
    pub fn resume(
        &mut self,
        receipts: &[Receipt],
        blob_gas_used: u64,
    ) -> Result<(), ExecutionError<S::Error>> {
        self.gas_used = receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used);
        self.blob_gas_used = blob_gas_used;
        for receipt in receipts {
            let deposits = self.deposits_of(receipt)?;
            self.deposits.extend(deposits);
        }
        Ok(())
    }

    /// The block's environment.
    pub const fn environment(&self) -> &BlockEnvironment {
        &self.environment
    }

    /// Gas used by the transactions so far.
    pub const fn gas_used(&self) -> u64 {
        self.gas_used
    }

    /// Blob gas used by the transactions so far.
    pub const fn blob_gas_used(&self) -> u64 {
        self.blob_gas_used
    }

    /// The state, with everything executed so far applied.
    pub fn state(&self) -> &S {
        self.evm.db().state()
    }

    /// Gives the state back.
    pub fn into_state(self) -> S {
        self.evm.into_db().into_state()
    }

    /// Whether the parent's hash has not been stored yet ([`StateDb::parent_hash_pending`]).
    pub fn is_parent_hash_pending(&self) -> bool {
        self.evm.db().is_parent_hash_pending()
    }

    /// What precedes the first transaction and does not need the parent's hash: the beacon root (EIP-4788) and the
    /// irregular state change of the DAO fork.
    ///
    /// # Errors
    /// [`ExecutionError::State`] or [`ExecutionError::Fatal`].
    pub fn begin(&mut self) -> Result<Vec<AccountChange>, ExecutionError<S::Error>> {
        let mut changes = self.apply_dao_fork()?;
        let cancun = self
            .spec
            .is_cancun_active_at_timestamp(self.environment.timestamp);
        if let Some(root) = self
            .environment
            .parent_beacon_block_root
            .filter(|_| cancun && self.environment.number > 0)
        {
            changes.extend(self.system_call(BEACON_ROOTS_ADDRESS, root.0.into())?.1);
        }
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
        self.evm.db_mut().parent_hash_arrived();
        if !self
            .spec
            .is_prague_active_at_timestamp(self.environment.timestamp)
            || self.environment.number == 0
        {
            return Ok(Vec::new());
        }
        Ok(self.system_call(HISTORY_STORAGE_ADDRESS, parent_hash.0.into())?.1)
    }

    /// Takes up a block in which the parent's hash was stored already.
    pub fn parent_hash_is_stored(&mut self) {
        self.evm.db_mut().parent_hash_arrived();
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
        self.check_fits(transaction)?;
        let ResultAndState { result, state } = self
            .evm
            .transact_raw(TxEnv::from_recovered_tx(transaction, sender))
            .map_err(transaction_error::<S>)?;
        let gas_used = result.tx_gas_used();
        let changes = account_changes(state, self.fork);
        let receipt = self.receipt(transaction, result);
        let deposits = self.deposits_of(&receipt)?;
        self.evm.db_mut().apply(&changes).map_err(read_error)?;
        self.deposits.extend(deposits);
        self.gas_used += gas_used;
        self.blob_gas_used += transaction.blob_gas_used().unwrap_or_default();
        Ok(Executed {
            receipt,
            gas_used,
            changes,
        })
    }

    /// Ends the block: rewards, withdrawals, execution requests.
    ///
    /// # Errors
    /// [`ExecutionError::InvalidBlock`] if a request contract is missing (EIP-7002, EIP-7251) or its call fails.
    pub fn finish(
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
        Ok(BlockEnd { changes, requests })
    }

    fn check_fits(&self, transaction: &TransactionSigned) -> Result<(), ExecutionError<S::Error>> {
        let cap = self.evm.cfg_env().tx_gas_limit_cap.unwrap_or(u64::MAX);
        let gas_limit = transaction.gas_limit().min(cap);
        let available = self.environment.gas_limit.saturating_sub(self.gas_used);
        if gas_limit > available {
            return Err(ExecutionError::BlockGasExhausted { gas_limit, available });
        }
        let blob_gas = transaction.blob_gas_used().unwrap_or_default();
        let available = self.blob_gas_limit.saturating_sub(self.blob_gas_used);
        if blob_gas > available {
            return Err(ExecutionError::BlobGasExhausted { blob_gas, available });
        }
        Ok(())
    }

    fn receipt(&self, transaction: &TransactionSigned, result: ExecutionResult) -> Receipt {
        Receipt {
            tx_type: transaction.tx_type(),
            success: result.is_success(),
            cumulative_gas_used: self.gas_used + result.tx_gas_used(),
            logs: result.into_logs(),
        }
    }

    /// The deposits logged by the deposit contract (EIP-6110).
    fn deposits_of(&self, receipt: &Receipt) -> Result<Vec<u8>, ExecutionError<S::Error>> {
        let mut deposits = Vec::new();
        if self
            .spec
            .is_prague_active_at_timestamp(self.environment.timestamp)
        {
            let contract = self
                .spec
                .deposit_contract_address()
                .unwrap_or(MAINNET_DEPOSIT_CONTRACT_ADDRESS);
            eip6110::accumulate_deposits_from_receipt(contract, receipt, &mut deposits)
                .map_err(|error| ExecutionError::InvalidBlock(error.to_string()))?;
        }
        Ok(deposits)
    }

    fn collect_requests(&mut self) -> Result<(Requests, Vec<AccountChange>), ExecutionError<S::Error>> {
        let mut requests = Requests::default();
        let mut changes = Vec::new();
        if !self.deposits.is_empty() {
            requests
                .push_request_with_type(eip6110::DEPOSIT_REQUEST_TYPE, std::mem::take(&mut self.deposits));
        }
        for (request_type, contract) in [
            (WITHDRAWAL_REQUEST_TYPE, WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS),
            (
                CONSOLIDATION_REQUEST_TYPE,
                CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            ),
        ] {
            let (data, made) = self.request_call(contract)?;
            if !data.is_empty() {
                requests.push_request_with_type(request_type, data);
            }
            changes.extend(made);
        }
        Ok((requests, changes))
    }

    /// Calls a request contract. Unlike the calls before the transactions, it must exist and succeed.
    fn request_call(
        &mut self,
        contract: Address,
    ) -> Result<(Bytes, Vec<AccountChange>), ExecutionError<S::Error>> {
        let account = self.state().account(&contract).map_err(ExecutionError::State)?;
        let has_code = account.is_some_and(|account| account.code_hash != alloy_primitives::KECCAK256_EMPTY);
        if !has_code && self.spec.request_predeploys() == RequestPredeploys::Required {
            return Err(ExecutionError::InvalidBlock(format!(
                "no code at request contract {contract}"
            )));
        }
        let (result, changes) = self.system_call(contract, Bytes::new())?;
        match result {
            ExecutionResult::Success { output, .. } => Ok((output.into_data(), changes)),
            failed => Err(ExecutionError::InvalidBlock(format!(
                "request contract {contract} failed: {failed:?}"
            ))),
        }
    }

    /// Calls a system contract from the system address and applies what it changed.
    fn system_call(
        &mut self,
        contract: Address,
        data: Bytes,
    ) -> Result<SystemCall, ExecutionError<S::Error>> {
        let ResultAndState { result, state } = self
            .evm
            .transact_system_call(SYSTEM_ADDRESS, contract, data)
            .map_err(transaction_error::<S>)?;
        let changes = account_changes(state, self.fork);
        self.evm.db_mut().apply(&changes).map_err(read_error)?;
        Ok((result, changes))
    }

    pub(crate) const fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    pub(crate) fn apply(&mut self, changes: &[AccountChange]) -> Result<(), ExecutionError<S::Error>> {
        self.evm.db_mut().apply(changes).map_err(read_error)
    }
}

fn read_error<E>(error: ReadError<E>) -> ExecutionError<E> {
    match error {
        ReadError::ParentHashPending(number) => ExecutionError::ParentHashPending(number),
        ReadError::State(error) => ExecutionError::State(error),
        ReadError::MissingCode(hash) => {
            ExecutionError::Fatal(format!("code {hash} is missing from the state"))
        }
    }
}

fn transaction_error<S: rapid_primitives::ReadState>(error: EvmResult<S>) -> ExecutionError<S::Error> {
    match error {
        EVMError::Transaction(invalid) => ExecutionError::InvalidTransaction(invalid),
        EVMError::Header(invalid) => ExecutionError::InvalidBlock(invalid.to_string()),
        EVMError::Database(error) => read_error(error),
        other => ExecutionError::Fatal(other.to_string()),
    }
}

impl<E> ExecutionError<E> {
    /// The rule the transaction breaks, if the transaction is to blame.
    pub const fn invalid_transaction(&self) -> Option<&InvalidTransaction> {
        match self {
            Self::InvalidTransaction(invalid) => Some(invalid),
            _ => None,
        }
    }
}
