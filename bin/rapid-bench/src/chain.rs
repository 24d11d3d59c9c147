//! What the generator must know about a chain to make transactions that are valid on it.

use crate::rpc::RpcClient;
use alloy_consensus::TxEip1559;
use alloy_primitives::{Bytes, TxKind, U64, U256};
use serde::Deserialize;
use serde_json::json;

/// Head room of the fee cap over the base fee at the start. The base fee rises at most by 1/8 a block, so that
/// transactions signed beforehand stay valid for at least 25 full blocks; a chain that is kept below its gas target
/// never gets there.
const BASE_FEE_HEAD_ROOM: u128 = 20;

/// Tip per gas: one gwei, above the floor of every node's pool.
const PRIORITY_FEE: u128 = 1_000_000_000;

/// Chain id and fees that every transaction of a run carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChainTerms {
    /// Chain id (EIP-155).
    pub(crate) chain_id: u64,
    /// `maxFeePerGas` in wei.
    pub(crate) max_fee_per_gas: u128,
    /// `maxPriorityFeePerGas` in wei.
    pub(crate) max_priority_fee_per_gas: u128,
}

/// A transaction without nonce, fees and chain id.
#[derive(Clone, Debug)]
pub(crate) struct Intent {
    /// Callee, or creation.
    pub(crate) to: TxKind,
    /// Wei.
    pub(crate) value: U256,
    /// Gas limit.
    pub(crate) gas_limit: u64,
    /// Call data or creation code.
    pub(crate) input: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    base_fee_per_gas: Option<U256>,
}

impl ChainTerms {
    /// Reads chain id and base fee from the endpoint.
    ///
    /// # Errors
    /// If a call fails.
    pub(crate) async fn read(rpc: &mut RpcClient) -> eyre::Result<Self> {
        let chain_id: U64 = rpc.call("eth_chainId", json!([])).await?;
        let head: Head = rpc.call("eth_getBlockByNumber", json!(["latest", false])).await?;
        let base_fee: u128 = head.base_fee_per_gas.unwrap_or_default().saturating_to();
        Ok(Self {
            chain_id: chain_id.to(),
            max_fee_per_gas: base_fee
                .saturating_mul(BASE_FEE_HEAD_ROOM)
                .saturating_add(2 * PRIORITY_FEE),
            max_priority_fee_per_gas: PRIORITY_FEE,
        })
    }

    /// The transaction that carries out `intent`.
    pub(crate) fn transaction(&self, intent: Intent, nonce: u64) -> TxEip1559 {
        TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit: intent.gas_limit,
            max_fee_per_gas: self.max_fee_per_gas,
            max_priority_fee_per_gas: self.max_priority_fee_per_gas,
            to: intent.to,
            value: intent.value,
            input: intent.input,
            ..Default::default()
        }
    }

    /// The most that `transactions` of at most `gas_limit` gas can cost, in wei.
    pub(crate) fn cost_max(&self, transactions: u64, gas_limit: u64) -> U256 {
        U256::from(self.max_fee_per_gas) * U256::from(gas_limit) * U256::from(transactions)
    }
}

impl Intent {
    /// Gas of a transfer of wei to an account without code.
    pub(crate) const PAYMENT_GAS: u64 = 21_000;

    /// Sends `value` wei.
    pub(crate) fn payment(to: alloy_primitives::Address, value: U256) -> Self {
        Self {
            to: TxKind::Call(to),
            value,
            gas_limit: Self::PAYMENT_GAS,
            input: Bytes::new(),
        }
    }

    /// Calls a contract.
    pub(crate) const fn call(to: alloy_primitives::Address, gas_limit: u64, input: Bytes) -> Self {
        Self {
            to: TxKind::Call(to),
            value: U256::ZERO,
            gas_limit,
            input,
        }
    }

    /// Creates a contract.
    pub(crate) const fn creation(gas_limit: u64, input: Bytes) -> Self {
        Self {
            to: TxKind::Create,
            value: U256::ZERO,
            gas_limit,
            input,
        }
    }
}
