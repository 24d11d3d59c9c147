//! Calls of system contracts: what the protocol itself tells and asks them around the transactions of a block.

use std::fmt::Debug;

use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS,
    eip4788::{BEACON_ROOTS_ADDRESS, SYSTEM_ADDRESS},
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bytes, TxKind};
use rapid_primitives::{AccountChange, WriteState};
use revm::{
    context::TxEnv,
    context_interface::result::{ExecutionResult, ResultAndState},
    handler::system_call::SYSTEM_CALL_GAS_LIMIT,
};

use crate::{BlockExecutor, BlockHashes, ExecutionError, block::transaction_error};

/// Gas of a system call (EIP-4788, EIP-2935, EIP-7002, EIP-7251): its own, not the block's.
const SYSTEM_CALL_GAS: u64 = 30_000_000;

/// Block access index of what precedes the transactions (EIP-7928).
const BEFORE_TRANSACTIONS: u64 = 0;

/// Result of a system call and what it changed.
pub(crate) type SystemCall = (ExecutionResult, Vec<AccountChange>);

impl<S: WriteState + Debug, H: BlockHashes + Debug> BlockExecutor<S, H> {
    /// Tells the contract of beacon roots the parent's (EIP-4788). Does nothing where there is no such contract; a
    /// failure is ignored.
    pub(crate) fn store_beacon_root(&mut self) -> Result<Vec<AccountChange>, ExecutionError<S::Error>> {
        let environment = self.environment();
        let cancun = self.spec().is_cancun_active_at_timestamp(environment.timestamp);
        match environment.parent_beacon_block_root {
            Some(root) if cancun && environment.number > 0 => Ok(self
                .system_call(BEFORE_TRANSACTIONS, BEACON_ROOTS_ADDRESS, root.0.into())?
                .1),
            _ => Ok(Vec::new()),
        }
    }

    /// Tells the history contract the hash of the parent (EIP-2935). Does nothing where there is no such contract; a
    /// failure is ignored.
    pub(crate) fn store_history(
        &mut self,
        parent_hash: B256,
    ) -> Result<Vec<AccountChange>, ExecutionError<S::Error>> {
        let environment = self.environment();
        if environment.number == 0 || !self.spec().is_prague_active_at_timestamp(environment.timestamp) {
            return Ok(Vec::new());
        }
        Ok(self
            .system_call(BEFORE_TRANSACTIONS, HISTORY_STORAGE_ADDRESS, parent_hash.0.into())?
            .1)
    }

    /// Calls a system contract from the system address and applies what it changed, at a block access index.
    ///
    /// From Amsterdam on the call has more gas, a reservoir for the state's growth (EIP-8037); the EVM's own system
    /// call has that in every fork.
    pub(crate) fn system_call(
        &mut self,
        index: u64,
        contract: Address,
        data: Bytes,
    ) -> Result<SystemCall, ExecutionError<S::Error>> {
        let amsterdam = self
            .spec()
            .is_amsterdam_active_at_timestamp(self.environment().timestamp);
        let call = TxEnv {
            caller: SYSTEM_ADDRESS,
            kind: TxKind::Call(contract),
            data,
            gas_limit: if amsterdam {
                SYSTEM_CALL_GAS_LIMIT
            } else {
                SYSTEM_CALL_GAS
            },
            ..TxEnv::default()
        };
        let called = self.evm_mut().run_system_call(call);
        let ResultAndState { result, state } = called.map_err(transaction_error::<S>)?;
        Ok((result, self.commit(index, state)?))
    }
}
