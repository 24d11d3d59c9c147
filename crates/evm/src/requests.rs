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
use alloy_primitives::{Address, Bytes, KECCAK256_EMPTY};
use rapid_chainspec::RequestPredeploys;
use rapid_primitives::{AccountChange, Receipt, WriteState};
use revm::context_interface::result::ExecutionResult;

use crate::{BlockExecutor, BlockHashes, CallFailure, ExecutionError, InvalidBlock, deposit::append_deposit};

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

impl<S: WriteState + Debug, H: BlockHashes + Debug> BlockExecutor<S, H> {
    /// The deposits logged by the deposit contract (EIP-6110).
    pub(crate) fn deposits_of(&self, receipt: &Receipt) -> Result<Vec<u8>, ExecutionError<S::Error>> {
        let mut deposits = Vec::new();
        if !self
            .spec()
            .is_prague_active_at_timestamp(self.environment().timestamp)
        {
            return Ok(deposits);
        }
        let contract = self
            .spec()
            .deposit_contract()
            .unwrap_or(MAINNET_DEPOSIT_CONTRACT_ADDRESS);
        for log in receipt.logs.iter().filter(|log| log.address == contract) {
            append_deposit(log, &mut deposits).map_err(|error| ExecutionError::InvalidBlock(error.into()))?;
        }
        Ok(deposits)
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
