//! Calls, estimates and access lists.

use std::sync::Arc;

use alloy_eips::{BlockId, eip2930::AccessListResult};
use alloy_primitives::{Bytes, TxKind, U256};
use alloy_rpc_types_eth::{BlockOverrides, TransactionRequest, state::StateOverride};
use jsonrpsee::{core::RpcResult as Answer, proc_macros::rpc};
use revm::context::{
    result::{ExecutionResult, HaltReason},
    transaction::Transaction as _,
};
use revm_inspectors::access_list::AccessListInspector;

use super::{
    context::EthContext,
    simulate::{Overrides, Simulation, affordable_gas, output},
};
use crate::{
    error::{RpcError, RpcResult},
    gate::Deadline,
};

/// Gas of a transfer to an account without code.
const TRANSFER_GAS: u64 = 21_000;
/// What a call keeps back from the call it makes is one 64th (EIP-150), so this much more than was used is worth a try.
const CALL_STIPEND_GAS: u64 = 2_300;
/// The search ends when the bounds are this close to each other, relative to the upper one.
const ESTIMATE_ERROR_RATIO: f64 = 0.015;

/// Simulation.
#[rpc(server, namespace = "eth")]
pub trait EthCall {
    /// Runs a call and answers its output.
    #[method(name = "call")]
    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> Answer<Bytes>;

    /// The least gas limit, within 1.5 %, with which a transaction succeeds.
    #[method(name = "estimateGas")]
    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> Answer<U256>;

    /// The access list of a call (EIP-2930), and the gas it uses with it.
    #[method(name = "createAccessList")]
    async fn create_access_list(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
    ) -> Answer<AccessListResult>;
}

/// Answers [`EthCallServer`].
#[derive(Clone, Debug)]
pub(crate) struct CallMethods(pub(crate) Arc<EthContext>);

#[jsonrpsee::core::async_trait]
impl EthCallServer for CallMethods {
    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> Answer<Bytes> {
        let overrides = Overrides {
            state: state_overrides,
            block: block_overrides,
        };
        let answer = self.0.heavy(move |context, _| {
            let base = context.simulation(block)?;
            output(context.prepare(base, request, overrides)?.run()?)
        });
        Ok(answer.await?)
    }

    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> Answer<U256> {
        let overrides = Overrides {
            state: state_overrides,
            block: block_overrides,
        };
        let gas = self
            .0
            .heavy(move |context, deadline| context.estimate(request, block, overrides, deadline));
        Ok(U256::from(gas.await?))
    }

    async fn create_access_list(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
    ) -> Answer<AccessListResult> {
        let overrides = Overrides {
            state: state_overrides,
            block: None,
        };
        Ok(self
            .0
            .heavy(move |context, _| context.access_list(request, block, overrides))
            .await?)
    }
}

impl EthContext {
    /// Estimates the gas of a request.
    pub(crate) fn estimate(
        &self,
        mut request: TransactionRequest,
        block: Option<BlockId>,
        overrides: Overrides,
        deadline: Deadline,
    ) -> RpcResult<u64> {
        let base = self.simulation(block)?;
        // All that the cap allows, so that only what the sender can pay for is left to find out.
        request.gas = Some(request.gas.unwrap_or(u64::MAX).max(TRANSFER_GAS));
        let mut simulation = self.prepare(base, request, overrides)?;
        simulation.call.gas_limit = simulation.call.gas_limit.min(simulation.transaction_gas_max);
        if simulation.call.gas_price > 0 {
            let affordable = affordable_gas(&mut simulation.db, &simulation.call)?;
            simulation.call.gas_limit = simulation.call.gas_limit.min(affordable);
        }
        if simulation.is_plain_transfer()?
            && let Some(ExecutionResult::Success { .. }) = simulation.run_with_gas_kept(TRANSFER_GAS)?
        {
            return Ok(TRANSFER_GAS);
        }
        search(&mut simulation, deadline)
    }

    fn access_list(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        overrides: Overrides,
    ) -> RpcResult<AccessListResult> {
        let initial = request.access_list.clone().unwrap_or_default();
        let base = self.simulation(block)?;
        let mut simulation = self.prepare(base, request, overrides)?;
        let mut inspector = AccessListInspector::new(initial);
        let error = failure(&simulation.run_inspected(&mut inspector)?);
        let access_list = inspector.into_access_list();
        // Once more with the list, which changes what the gas is.
        simulation.call.access_list = access_list.clone();
        if simulation.call.tx_type == 0 {
            simulation.call.tx_type = 1;
        }
        let result = simulation.run()?;
        let error = error.or_else(|| failure(&result));
        Ok(AccessListResult {
            access_list,
            gas_used: U256::from(result.tx_gas_used()),
            error,
        })
    }
}

impl Simulation {
    /// A transfer of value to an account without code costs the same everywhere.
    fn is_plain_transfer(&mut self) -> RpcResult<bool> {
        let TxKind::Call(to) = self.call.kind() else {
            return Ok(false);
        };
        let is_bare = self.call.data.is_empty()
            && self.call.access_list.is_empty()
            && self.call.authorization_list.is_empty();
        Ok(is_bare && self.call.gas_limit >= TRANSFER_GAS && !self.has_code(to)?)
    }

    /// Runs with another gas limit and puts the old one back.
    fn run_with_gas_kept(&mut self, gas_limit: u64) -> RpcResult<Option<ExecutionResult>> {
        let kept = self.call.gas_limit;
        let result = self.run_with_gas(gas_limit);
        self.call.gas_limit = kept;
        result
    }
}

/// Binary search between the gas that was used and the gas limit, starting where most calls succeed.
fn search(simulation: &mut Simulation, deadline: Deadline) -> RpcResult<u64> {
    let mut highest = simulation.call.gas_limit;
    let (gas_used, refunded) = match simulation.run_with_gas(highest)? {
        Some(ExecutionResult::Success { gas, .. }) => (gas.tx_gas_used(), gas.inner_refunded()),
        Some(result) => return Err(failed_at_highest(result)),
        None => {
            return Err(RpcError::InvalidInput(format!(
                "gas required exceeds allowance ({highest})"
            )));
        }
    };
    let mut lowest = gas_used.saturating_sub(1);
    // What was refunded at the end, the stipend, and what callers keep back have to be there first.
    let optimistic = (gas_used + refunded + CALL_STIPEND_GAS) * 64 / 63;
    if optimistic < highest {
        narrow(simulation, optimistic, (&mut lowest, &mut highest))?;
    }
    // Most transactions need little more than they use: look there first, halve from then on.
    let mut middle = (gas_used.saturating_mul(3)).min(lowest.midpoint(highest));
    while lowest + 1 < highest {
        if ((highest - lowest) as f64 / highest as f64) < ESTIMATE_ERROR_RATIO {
            break;
        }
        deadline.check()?;
        narrow(simulation, middle, (&mut lowest, &mut highest))?;
        middle = lowest.midpoint(highest);
    }
    Ok(highest)
}

/// Moves one of the bounds to `gas`.
fn narrow(simulation: &mut Simulation, gas: u64, (lowest, highest): (&mut u64, &mut u64)) -> RpcResult<()> {
    match simulation.run_with_gas(gas)? {
        Some(ExecutionResult::Success { .. }) => *highest = gas,
        // Too little gas shows in many ways: also as a revert of a contract that looked at what it had left.
        _ => *lowest = gas,
    }
    Ok(())
}

fn failed_at_highest(result: ExecutionResult) -> RpcError {
    match output(result) {
        Err(error) => error,
        Ok(_) => RpcError::Internal("a successful call was taken for a failed one".to_owned()),
    }
}

/// Why a call failed, in words; `None` if it did not.
fn failure(result: &ExecutionResult) -> Option<String> {
    match result {
        ExecutionResult::Success { .. } => None,
        ExecutionResult::Revert { output, .. } => Some(RpcError::Reverted(output.clone()).to_string()),
        ExecutionResult::Halt { reason, .. } => Some(RpcError::Halted(HaltReason::clone(reason)).to_string()),
    }
}
