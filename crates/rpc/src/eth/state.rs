//! Balances, nonces, code, storage and proofs.

use std::sync::Arc;

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof};
use alloy_serde::JsonStorageKey;
use jsonrpsee::{core::RpcResult as Answer, proc_macros::rpc};
use rapid_primitives::ReadState;

use super::context::{EthContext, not_found};
use crate::error::{RpcError, RpcResult};

/// Most slots of one proof request.
const PROOF_SLOTS_MAX: usize = 1024;

/// State queries.
#[rpc(server, namespace = "eth")]
pub trait EthState {
    /// Balance of an account in wei.
    #[method(name = "getBalance")]
    fn balance(&self, address: Address, block: Option<BlockId>) -> Answer<U256>;

    /// Next nonce of an account; `pending` counts its pooled transactions.
    #[method(name = "getTransactionCount")]
    fn transaction_count(&self, address: Address, block: Option<BlockId>) -> Answer<U256>;

    /// Code of an account.
    #[method(name = "getCode")]
    fn code(&self, address: Address, block: Option<BlockId>) -> Answer<Bytes>;

    /// Value of a storage slot.
    #[method(name = "getStorageAt")]
    fn storage_at(&self, address: Address, slot: JsonStorageKey, block: Option<BlockId>) -> Answer<B256>;

    /// Merkle proof of an account and of some of its slots (EIP-1186).
    #[method(name = "getProof")]
    async fn proof(
        &self,
        address: Address,
        slots: Vec<JsonStorageKey>,
        block: Option<BlockId>,
    ) -> Answer<EIP1186AccountProofResponse>;
}

/// Answers [`EthStateServer`].
#[derive(Clone, Debug)]
pub(crate) struct StateMethods(pub(crate) Arc<EthContext>);

#[jsonrpsee::core::async_trait]
impl EthStateServer for StateMethods {
    fn balance(&self, address: Address, block: Option<BlockId>) -> Answer<U256> {
        Ok(self.balance_at(&address, block)?)
    }

    fn transaction_count(&self, address: Address, block: Option<BlockId>) -> Answer<U256> {
        Ok(U256::from(self.0.nonce_at(&address, block)?))
    }

    fn code(&self, address: Address, block: Option<BlockId>) -> Answer<Bytes> {
        Ok(self.code_at(&address, block)?)
    }

    fn storage_at(&self, address: Address, slot: JsonStorageKey, block: Option<BlockId>) -> Answer<B256> {
        Ok(self.slot_at(&address, slot, block)?)
    }

    async fn proof(
        &self,
        address: Address,
        slots: Vec<JsonStorageKey>,
        block: Option<BlockId>,
    ) -> Answer<EIP1186AccountProofResponse> {
        Ok(self
            .0
            .heavy(move |context, _| context.proof_at(address, slots, block))
            .await?)
    }
}

impl StateMethods {
    fn balance_at(&self, address: &Address, block: Option<BlockId>) -> RpcResult<U256> {
        Ok(self
            .0
            .state(block)?
            .account(address)?
            .map_or(U256::ZERO, |account| account.balance))
    }

    fn code_at(&self, address: &Address, block: Option<BlockId>) -> RpcResult<Bytes> {
        let state = self.0.state(block)?;
        let hash = state
            .account(address)?
            .map_or(KECCAK256_EMPTY, |account| account.code_hash);
        if hash == KECCAK256_EMPTY {
            return Ok(Bytes::new());
        }
        let code = state.code(&hash)?;
        code.map(|code| code.original_bytes())
            .ok_or_else(|| RpcError::Internal(format!("code {hash} of {address} is missing")))
    }

    fn slot_at(&self, address: &Address, slot: JsonStorageKey, block: Option<BlockId>) -> RpcResult<B256> {
        let slot = U256::from_be_bytes(slot.as_b256().0);
        Ok(self.0.state(block)?.storage(address, &slot)?.into())
    }
}

impl EthContext {
    /// The next nonce of an account at a block. `pending` counts what the pool holds without a gap.
    pub(crate) fn nonce_at(&self, address: &Address, block: Option<BlockId>) -> RpcResult<u64> {
        // The pool first: what it forgets in between is in the view by then.
        let pooled = match block {
            Some(BlockId::Number(BlockNumberOrTag::Pending)) => self.pool.pending_nonce(address),
            _ => None,
        };
        let included = self
            .state(block)?
            .account(address)?
            .map_or(0, |account| account.nonce);
        Ok(pooled.map_or(included, |pooled| pooled.max(included)))
    }

    fn proof_at(
        &self,
        address: Address,
        slots: Vec<JsonStorageKey>,
        block: Option<BlockId>,
    ) -> RpcResult<EIP1186AccountProofResponse> {
        if slots.len() > PROOF_SLOTS_MAX {
            return Err(RpcError::invalid_params(format!(
                "more than {PROOF_SLOTS_MAX} storage keys"
            )));
        }
        let id = block.unwrap_or_default();
        let number = self.proof_block(id)?;
        let keys: Vec<B256> = slots.iter().map(JsonStorageKey::as_b256).collect();
        let proof = self.chain.proof(number, address, &keys)?;
        let account = proof.account.unwrap_or_default();
        Ok(EIP1186AccountProofResponse {
            address,
            balance: account.balance,
            code_hash: account.code_hash,
            nonce: account.nonce,
            storage_hash: proof.storage_root,
            account_proof: proof.account_proof,
            storage_proof: slots
                .into_iter()
                .zip(proof.storage)
                .map(|(key, slot)| EIP1186StorageProof {
                    key,
                    value: slot.value,
                    proof: slot.proof,
                })
                .collect(),
        })
    }

    fn proof_block(&self, id: BlockId) -> RpcResult<u64> {
        let number = match id {
            BlockId::Hash(_) => self.sealed_block(id)?.number(),
            BlockId::Number(tag) => self.sealed_number(tag).ok_or_else(|| not_found(id))?,
        };
        let head = self.chain.view().head.number();
        if head.saturating_sub(number) > self.config.proof_window.max(1) {
            // One block of grace: the caller may have asked for the head a moment ago.
            return Err(RpcError::invalid_params(format!(
                "distance to target block exceeds maximum proof window of {}",
                self.config.proof_window
            )));
        }
        Ok(number)
    }
}
