//! Execution-layer requests (EIP-7685): what a block asks of the consensus layer.

use std::fmt::Debug;

use alloy_eips::{
    eip6110::{DEPOSIT_REQUEST_TYPE, MAINNET_DEPOSIT_CONTRACT_ADDRESS},
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_TYPE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_TYPE},
    eip7685::Requests,
};
use alloy_evm::block::system_calls::{
    BUILDER_DEPOSIT_REQUEST_PREDEPLOY_ADDRESS, BUILDER_DEPOSIT_REQUEST_TYPE,
    BUILDER_EXIT_REQUEST_PREDEPLOY_ADDRESS, BUILDER_EXIT_REQUEST_TYPE,
};
use alloy_hardforks::{EthereumHardfork as Fork, EthereumHardforks};
use alloy_primitives::{Address, Bytes, KECCAK256_EMPTY, Log};
use rapid_chainspec::{ChainSpec, RequestPredeploys};
use rapid_primitives::{AccountChange, Receipt, WriteState};
use revm::context_interface::result::ExecutionResult;

use crate::{
    BlockExecutor, BlockHashes, CallFailure, DepositLogError, ExecutionError, InvalidBlock,
    deposit::append_deposit,
};

/// Contracts that collect requests, by type in ascending order, and the fork from which: withdrawals (EIP-7002),
/// consolidations (EIP-7251), deposits and exits of builders (EIP-8282).
const CONTRACTS: [(Fork, u8, Address); 4] = [
    (
        Fork::Prague,
        WITHDRAWAL_REQUEST_TYPE,
        WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    ),
    (
        Fork::Prague,
        CONSOLIDATION_REQUEST_TYPE,
        CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
    ),
    (
        Fork::Amsterdam,
        BUILDER_DEPOSIT_REQUEST_TYPE,
        BUILDER_DEPOSIT_REQUEST_PREDEPLOY_ADDRESS,
    ),
    (
        Fork::Amsterdam,
        BUILDER_EXIT_REQUEST_TYPE,
        BUILDER_EXIT_REQUEST_PREDEPLOY_ADDRESS,
    ),
];

/// The deposits among the logs of a transaction (EIP-6110), in the form of their request; none before Prague.
///
/// # Errors
/// [`DepositLogError`] if a log of the deposit contract is not a deposit: no block may have such a transaction.
pub fn deposits_of(spec: &ChainSpec, timestamp: u64, logs: &[Log]) -> Result<Vec<u8>, DepositLogError> {
    let contract = spec
        .deposit_contract()
        .unwrap_or(MAINNET_DEPOSIT_CONTRACT_ADDRESS);
    let mut logged = logs.iter().filter(|log| log.address == contract).peekable();
    let mut deposits = Vec::new();
    // Few transactions log there, so the fork is asked for after that.
    if logged.peek().is_some() && spec.is_prague_active_at_timestamp(timestamp) {
        logged.try_for_each(|log| append_deposit(log, &mut deposits))?;
    }
    Ok(deposits)
}

impl<S: WriteState + Debug, H: BlockHashes + Debug> BlockExecutor<S, H> {
    pub(crate) fn deposits_of(&self, receipt: &Receipt) -> Result<Vec<u8>, ExecutionError<S::Error>> {
        deposits_of(self.spec(), self.environment().timestamp, &receipt.logs)
            .map_err(|error| ExecutionError::InvalidBlock(error.into()))
    }

    /// The requests of the block, and what collecting them changed.
    pub(crate) fn collect_requests(
        &mut self,
    ) -> Result<(Requests, Vec<AccountChange>), ExecutionError<S::Error>> {
        let mut requests = Requests::default();
        let mut changes = Vec::new();
        let deposits = self.take_deposits();
        if !deposits.is_empty() {
            requests.push_request_with_type(DEPOSIT_REQUEST_TYPE, deposits);
        }
        let timestamp = self.environment().timestamp;
        for (fork, request_type, contract) in CONTRACTS {
            if !self.spec().is_ethereum_fork_active_at_timestamp(fork, timestamp) {
                continue;
            }
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
        let has_code = account.is_some_and(|account| account.code_hash != KECCAK256_EMPTY);
        if !has_code && self.spec().request_predeploys() == RequestPredeploys::Required {
            let missing = InvalidBlock::RequestContractMissing { contract };
            return Err(ExecutionError::InvalidBlock(missing));
        }
        let (result, changes) = self.system_call(self.index_after_transactions(), contract, Bytes::new())?;
        let failure = match result {
            ExecutionResult::Success { output, .. } => return Ok((output.into_data(), changes)),
            ExecutionResult::Revert { output, .. } => CallFailure::Revert(output),
            ExecutionResult::Halt { reason, .. } => CallFailure::Halt(reason),
        };
        let failed = InvalidBlock::RequestCallFailed { contract, failure };
        Err(ExecutionError::InvalidBlock(failed))
    }
}
