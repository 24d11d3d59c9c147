//! Running a call on a state without keeping what it does.

use alloy_evm::{
    Evm, EvmEnv, EvmFactory,
    overrides::{StateOverrideError, apply_block_overrides, apply_state_overrides},
    rpc::TryIntoTxEnv,
};
use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::{BlockOverrides, TransactionRequest, state::StateOverride};
use rapid_chain::{Chain, PastReadError, StateAt};
use rapid_evm::{BlockHashes, RapidEvmFactory, ReadError, StateDb, evm_environment};
use revm::{
    Database,
    context::{
        TxEnv,
        result::{EVMError, ExecutionResult, InvalidTransaction},
    },
    context_interface::Transaction as _,
    database::State,
    database_interface::bal::EvmDatabaseError,
};
use revm_inspectors::access_list::AccessListInspector;

use super::context::{EthContext, SimulationBase};
use crate::error::{RpcError, RpcResult};

/// The state under a simulation: that of a block, and what overrides and the run itself write on top.
pub(crate) type SimulationDb = State<StateDb<StateAt, KnownHashes>>;
type SimulationReadError = EvmDatabaseError<ReadError<PastReadError>>;
type SimulationError = EVMError<SimulationReadError>;

/// Hashes of all blocks, those that only history has included: a call may run on any of them.
#[derive(Clone, Debug)]
pub(crate) struct KnownHashes(Chain);

impl BlockHashes for KnownHashes {
    fn block_hash(&self, number: u64) -> Option<B256> {
        // The executor cannot tell a failing disk from a block that is not there; the next read of the state can.
        self.0.block_hash(number).ok().flatten()
    }
}

/// A call with everything it needs.
#[derive(Debug)]
pub(crate) struct Simulation {
    pub(crate) db: SimulationDb,
    pub(crate) env: EvmEnv,
    pub(crate) call: TxEnv,
    /// Most gas that a transaction, unlike a call, may have here: the block's, or the cap of EIP-7825.
    pub(crate) transaction_gas_max: u64,
    evms: RapidEvmFactory,
}

/// What a caller may change of the world its call runs in.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) state: Option<StateOverride>,
    pub(crate) block: Option<Box<BlockOverrides>>,
}

impl EthContext {
    /// Prepares a call: applies overrides, fills in what the request leaves out, bounds its gas.
    pub(crate) fn prepare(
        &self,
        base: SimulationBase,
        mut request: TransactionRequest,
        overrides: Overrides,
    ) -> RpcResult<Simulation> {
        let mut env = evm_environment(self.chain.spec(), &base.environment);
        let transaction_gas_max = env
            .cfg_env
            .tx_gas_limit_cap
            .unwrap_or(u64::MAX)
            .min(base.environment.gas_limit);
        // Calls are not transactions: anyone may make them, from contracts too, larger than a block, and for nothing.
        env.cfg_env.disable_eip3607 = true;
        env.cfg_env.disable_base_fee = true;
        env.cfg_env.disable_block_gas_limit = true;
        env.cfg_env.disable_nonce_check = true;
        env.cfg_env.tx_gas_limit_cap = Some(u64::MAX);
        env.cfg_env.memory_limit = self.config.memory_limit;
        let mut db = State::builder()
            .with_database(StateDb::new(base.state, KnownHashes(self.chain.clone())))
            .build();
        if let Some(block) = overrides.block {
            apply_block_overrides(*block, &mut db, &mut env.block_env);
        }
        if let Some(state) = overrides.state {
            apply_state_overrides(state, &mut db).map_err(override_error)?;
        }
        if let Some(chain_id) = request.chain_id
            && chain_id != env.cfg_env.chain_id
        {
            return Err(RpcError::InvalidInput("invalid chain ID".to_owned()));
        }
        let gas_was_given = request.gas.is_some();
        // A call without a gas limit gets all there is. The cap bounds both.
        let gas = request.gas.unwrap_or(if self.config.gas_cap == 0 {
            env.block_env.gas_limit
        } else {
            u64::MAX
        });
        request.gas = Some(self.config.capped_gas(gas));
        if request.nonce.is_none() {
            let sender = db.basic(request.from.unwrap_or_default()).map_err(read_error)?;
            request.nonce = Some(sender.map_or(0, |account| account.nonce));
        }
        let mut call: TxEnv = request
            .try_into_tx_env(&env)
            .map_err(|error| RpcError::invalid_params(error.to_string()))?;
        if call.gas_price > 0 && !gas_was_given {
            let affordable = affordable_gas(&mut db, &call)?;
            call.gas_limit = call.gas_limit.min(affordable);
        }
        Ok(Simulation {
            db,
            env,
            call,
            transaction_gas_max,
            evms: RapidEvmFactory::new(self.chain.compiler().for_calls()),
        })
    }
}

/// The gas that the sender can pay for at the call's price.
///
/// # Errors
/// When it cannot even pay the value.
pub(crate) fn affordable_gas(db: &mut SimulationDb, call: &TxEnv) -> RpcResult<u64> {
    let balance = db
        .basic(call.caller())
        .map_err(read_error)?
        .map_or(U256::ZERO, |account| account.balance);
    let rest = balance.checked_sub(call.value()).ok_or_else(|| {
        RpcError::Rejected(format!(
            "insufficient funds for gas * price + value: have {balance} want {}",
            call.value()
        ))
    })?;
    Ok(rest
        .checked_div(U256::from(call.gas_price()))
        .unwrap_or(U256::MAX)
        .saturating_to())
}

impl Simulation {
    /// Runs the call. The state stays as it was, so that it can run again.
    pub(crate) fn run(&mut self) -> RpcResult<ExecutionResult> {
        let mut evm = self.evms.create_evm(&mut self.db, self.env.clone());
        Ok(evm
            .transact_raw(self.call.clone())
            .map_err(execution_error)?
            .result)
    }

    /// Runs the call and notes which slots and accounts it touches.
    pub(crate) fn run_inspected(
        &mut self,
        inspector: &mut AccessListInspector,
    ) -> RpcResult<ExecutionResult> {
        let mut evm = self
            .evms
            .create_evm_with_inspector(&mut self.db, self.env.clone(), inspector);
        Ok(evm
            .transact_raw(self.call.clone())
            .map_err(execution_error)?
            .result)
    }

    /// Runs the call with another gas limit; `None` if that does not even pay for its start.
    pub(crate) fn run_with_gas(&mut self, gas_limit: u64) -> RpcResult<Option<ExecutionResult>> {
        self.call.gas_limit = gas_limit;
        let mut evm = self.evms.create_evm(&mut self.db, self.env.clone());
        match evm.transact_raw(self.call.clone()) {
            Ok(outcome) => Ok(Some(outcome.result)),
            Err(EVMError::Transaction(error)) if is_too_little_gas(&error) => Ok(None),
            Err(error) => Err(execution_error(error)),
        }
    }

    /// Whether an address has code in the state of the call.
    pub(crate) fn has_code(&mut self, address: Address) -> RpcResult<bool> {
        let account = self.db.basic(address).map_err(read_error)?;
        Ok(account.is_some_and(|account| !account.is_empty_code_hash()))
    }
}

const fn is_too_little_gas(error: &InvalidTransaction) -> bool {
    matches!(
        error,
        InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
            | InvalidTransaction::GasFloorMoreThanGasLimit { .. }
    )
}

/// What a call answered: its output, or why it failed.
pub(crate) fn output(result: ExecutionResult) -> RpcResult<alloy_primitives::Bytes> {
    match result {
        ExecutionResult::Success { output, .. } => Ok(output.into_data()),
        ExecutionResult::Revert { output, .. } => Err(RpcError::Reverted(output)),
        ExecutionResult::Halt { reason, .. } => Err(RpcError::Halted(reason)),
    }
}

fn read_error(error: SimulationReadError) -> RpcError {
    match error {
        EvmDatabaseError::Database(ReadError::State(gone)) => gone.into(),
        error => RpcError::internal(error),
    }
}

fn override_error(error: StateOverrideError<SimulationReadError>) -> RpcError {
    match error {
        StateOverrideError::Database(error) => read_error(error),
        error => RpcError::invalid_params(error.to_string()),
    }
}

/// A call that could not be run at all, with reth's grouping of codes.
pub(crate) fn execution_error(error: SimulationError) -> RpcError {
    match error {
        EVMError::Transaction(error) => match error {
            InvalidTransaction::NonceTooLow { .. }
            | InvalidTransaction::NonceTooHigh { .. }
            | InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
            | InvalidTransaction::GasFloorMoreThanGasLimit { .. }
            | InvalidTransaction::CallerGasLimitMoreThanBlock
            | InvalidTransaction::GasPriceLessThanBasefee
            | InvalidTransaction::InvalidChainId => RpcError::InvalidInput(error.to_string()),
            error => RpcError::Rejected(error.to_string()),
        },
        EVMError::Database(error) => read_error(error),
        error => RpcError::internal(error),
    }
}
