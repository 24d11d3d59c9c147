//! One worker's EVM: single transactions of any block, on any state, one after the other.

use alloy_evm::{Database, FromRecoveredTx};
use alloy_primitives::{Address, U256};
use rapid_chainspec::ChainSpec;
use rapid_primitives::{AccountChange, BlockEnvironment, TransactionSigned};
use revm::{
    context::TxEnv,
    context_interface::result::{ExecutionResult, ResultAndState},
    inspector::NoOpInspector,
    primitives::hardfork::SpecId,
    state::EvmState,
};

use crate::{
    Compiler, ExecutionError, RapidEvm, ReadError, account_changes, block::execution_error, evm_environment,
    shadow::Outcome,
};

/// Executes single transactions and applies nothing: what they changed is the caller's to commit.
///
/// It checks what the transaction and the state decide, not what is left of the block. EVM, journal and the session of the
/// compiler are used again for every transaction of every block of the same fork.
#[expect(missing_debug_implementations, reason = "revm's EVM has none")]
pub struct TransactionExecutor<D: Database> {
    evm: RapidEvm<D>,
    compiler: Compiler,
}

/// A transaction that was executed, and whose changes are nowhere yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Result, gas and logs.
    pub result: ExecutionResult,
    /// Every account and slot it loaded, with what it made of them.
    pub journal: EvmState,
    /// What the beneficiary is owed in wei and the journal does not say; zero unless fees are withheld.
    pub withheld_fee: U256,
}

impl Ran {
    /// What it changed, sorted by address.
    #[must_use]
    pub fn into_changes(self, fork: SpecId) -> Vec<AccountChange> {
        account_changes(&self.journal, fork)
    }
}

impl<E: std::error::Error + Send + Sync + 'static, D: Database<Error = ReadError<E>>> TransactionExecutor<D> {
    /// An executor of transactions of this block.
    pub fn new(spec: &ChainSpec, environment: &BlockEnvironment, database: D, compiler: &Compiler) -> Self {
        let environment = evm_environment(spec, environment);
        Self {
            evm: RapidEvm::new(database, environment, NoOpInspector, compiler),
            compiler: compiler.clone(),
        }
    }

    /// Goes on with transactions of another block.
    pub fn enter_block(&mut self, spec: &ChainSpec, environment: &BlockEnvironment) {
        self.evm
            .enter_block(evm_environment(spec, environment), &self.compiler);
    }

    /// The fork whose rules are in force.
    #[must_use]
    pub const fn fork(&self) -> SpecId {
        self.evm.context().cfg.spec
    }

    /// The block's timestamp.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.evm.context().block.timestamp.saturating_to()
    }

    /// The database.
    pub const fn database(&self) -> &D {
        self.evm.database()
    }

    /// The database, to change.
    pub const fn database_mut(&mut self) -> &mut D {
        self.evm.database_mut()
    }

    /// Gives a journal back whose changes were taken, so that its memory is used again.
    pub fn reuse(&mut self, journal: EvmState) {
        self.evm.reuse(journal);
    }

    /// Executes a transaction as Ethereum does: its fee goes to the beneficiary.
    ///
    /// # Errors
    /// See [`ExecutionError`].
    pub fn run(
        &mut self,
        transaction: &TransactionSigned,
        sender: Address,
    ) -> Result<Ran, ExecutionError<E>> {
        let outcome = self
            .evm
            .run_transaction(TxEnv::from_recovered_tx(transaction, sender));
        ran(outcome, U256::ZERO)
    }

    /// Executes a transaction and keeps its fee back from the beneficiary, which is then not loaded for it.
    ///
    /// # Errors
    /// See [`ExecutionError`]; [`ExecutionError::BeneficiaryRead`] if the database was told to withhold from the beneficiary and the transaction
    /// looks at it itself.
    pub fn run_withholding_fee(
        &mut self,
        transaction: &TransactionSigned,
        sender: Address,
    ) -> Result<Ran, ExecutionError<E>> {
        let outcome = self
            .evm
            .run_withholding_fee(TxEnv::from_recovered_tx(transaction, sender));
        ran(outcome, self.evm.withheld_fee)
    }
}

fn ran<E: std::error::Error + Send + Sync + 'static>(
    outcome: Outcome<ReadError<E>>,
    withheld_fee: U256,
) -> Result<Ran, ExecutionError<E>> {
    let ResultAndState { result, state } = outcome.map_err(execution_error)?;
    Ok(Ran {
        result,
        journal: state,
        withheld_fee,
    })
}
