//! revm as it comes: its `State` with the bundle, over the same store in memory.

use super::{Run, Side, Subject};
use crate::{clock::timed_with_others, parallel::block::Block};
use alloy_eip7928::BlockAccessList;
use alloy_evm::{
    Evm, FromRecoveredTx,
    eth::{EthEvm, EthEvmBuilder},
    precompiles::PrecompilesMap,
};
use alloy_primitives::{Address, B256, U256};
use eyre::{OptionExt, eyre};
use rapid_evm::{NoBlockHashes, StateDb, evm_environment};
use rapid_primitives::{Account, ReadState, Receipt, TransactionSigned};
use rapid_state::Snapshot;
use revm::{
    Database, DatabaseCommit,
    bytecode::Bytecode,
    context::TxEnv,
    context_interface::result::ExecutionResult,
    database::{State, states::bundle_state::BundleRetention},
    inspector::NoOpInspector,
    state::bal::BlockAccessIndex,
};

/// The store as revm's `State` reads it.
pub(super) type Parent = StateDb<Snapshot, NoBlockHashes>;

/// revm's own EVM over a database.
pub(super) type PlainEvm<D> = EthEvm<D, NoOpInspector, PrecompilesMap>;

/// The state before a block as revm's `State` reads it.
pub(super) fn parent(block: &Block) -> eyre::Result<Parent> {
    Ok(StateDb::new(block.state()?.published(), NoBlockHashes))
}

/// revm's own EVM at the beginning of a block.
pub(super) fn plain_evm<D: Database<Error: Send + Sync + 'static> + std::fmt::Debug>(
    block: &Block,
    database: D,
) -> PlainEvm<D> {
    EthEvmBuilder::new(database, evm_environment(&block.spec, &block.environment)).build()
}

/// A transaction as revm takes it.
pub(super) fn prepared(block: &Block, index: usize) -> TxEnv {
    TxEnv::from_recovered_tx(&block.transactions[index], block.senders[index])
}

/// Receipts of a block in execution.
#[derive(Debug)]
pub(super) struct Receipts(Vec<Receipt>);

impl Receipts {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Gas of the transactions so far.
    pub(super) fn gas_used(&self) -> u64 {
        self.0.last().map_or(0, |receipt| receipt.cumulative_gas_used)
    }

    pub(super) fn push(&mut self, transaction: &TransactionSigned, result: ExecutionResult) {
        self.0.push(Receipt {
            tx_type: transaction.tx_type(),
            success: result.is_success(),
            cumulative_gas_used: self.gas_used() + result.tx_gas_used(),
            logs: result.into_logs(),
        });
    }

    pub(super) fn finish(self) -> Vec<Receipt> {
        self.0
    }
}

/// One transaction after the other.
#[derive(Debug)]
pub(super) struct RevmState;

impl Side for RevmState {
    fn run(&mut self, subject: &Subject) -> eyre::Result<Run> {
        let block = &subject.block;
        let parent = parent(block)?;
        let (outcome, elapsed) = timed_with_others(|| {
            let state = State::builder()
                .with_database(parent)
                .with_bundle_update()
                .build();
            let (receipts, mut state) = sequentially(block, state)?;
            state.merge_transitions(BundleRetention::Reverts);
            eyre::Ok((receipts, state))
        });
        let (receipts, mut state) = outcome?;
        let after = Bundled(state.take_bundle());
        subject.expected.check(&receipts, &after)?;
        Ok(Run::of(elapsed))
    }
}

/// The access list of a block (EIP-7928), found by executing it.
///
/// # Errors
/// If it cannot be executed.
pub(crate) fn list_of(block: &Block) -> eyre::Result<BlockAccessList> {
    let state = State::builder()
        .with_database(parent(block)?)
        .with_bundle_update()
        .with_bal_builder()
        .build();
    let (_, mut state) = sequentially(block, state)?;
    state
        .take_built_alloy_bal()
        .ok_or_eyre("no access list was built")
}

fn sequentially(block: &Block, state: State<Parent>) -> eyre::Result<(Vec<Receipt>, State<Parent>)> {
    let mut evm = plain_evm(block, state);
    let mut receipts = Receipts::with_capacity(block.len());
    for (index, transaction) in block.transactions.iter().enumerate() {
        evm.db_mut()
            .set_bal_index(BlockAccessIndex::new(index as u64 + 1));
        let outcome = evm
            .transact_raw(prepared(block, index))
            .map_err(|error| eyre!("transaction {index}: {error}"))?;
        receipts.push(transaction, outcome.result);
        evm.db_mut().commit(outcome.state);
    }
    let (state, _) = evm.finish();
    Ok((receipts.finish(), state))
}

/// What a bundle changed.
#[derive(Debug)]
pub(super) struct Bundled(pub(super) revm::database::BundleState);

impl ReadState for Bundled {
    type Error = std::convert::Infallible;

    fn account(&self, address: &Address) -> Result<Option<Account>, Self::Error> {
        let info = self.0.account(address).and_then(|account| account.info.as_ref());
        Ok(info.map(|info| Account {
            nonce: info.nonce,
            balance: info.balance,
            code_hash: info.code_hash,
        }))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Self::Error> {
        let account = self.0.account(address);
        Ok(account
            .and_then(|account| account.storage_slot(*slot))
            .unwrap_or_default())
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytecode>, Self::Error> {
        Ok(self.0.contracts.get(hash).cloned())
    }
}
