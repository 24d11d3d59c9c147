//! Signing with the keys of a development chain.

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::{SignableTransaction, TxEnvelope};
use alloy_dyn_abi::TypedData;
use alloy_eips::{BlockId, eip2718::Encodable2718};
use alloy_primitives::{Address, B256, Bytes};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer::SignerSync;
use alloy_signer_local::{LocalSignerError, MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use jsonrpsee::{core::RpcResult as Answer, proc_macros::rpc};
use tokio::sync::Mutex;

use super::{context::EthContext, simulate::Overrides};
use crate::error::{RpcError, RpcResult};

/// Keys that the node itself holds: those of a development chain, or none.
#[derive(Clone, Debug, Default)]
pub struct DevSigners {
    keys: Arc<BTreeMap<Address, PrivateKeySigner>>,
    /// In the order of derivation.
    addresses: Arc<Vec<Address>>,
}

impl DevSigners {
    /// No keys.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The first `count` keys of a mnemonic phrase, at `m/44'/60'/0'/0/n`.
    ///
    /// # Errors
    /// When the phrase is not one.
    pub fn from_mnemonic(phrase: &str, count: u32) -> Result<Self, LocalSignerError> {
        let keys = (0..count)
            .map(|index| {
                MnemonicBuilder::<English>::default()
                    .phrase(phrase)
                    .index(index)?
                    .build()
            })
            .collect::<Result<Vec<_>, _>>()?;
        let addresses = keys.iter().map(PrivateKeySigner::address).collect();
        let keys = keys.into_iter().map(|key| (key.address(), key)).collect();
        Ok(Self {
            keys: Arc::new(keys),
            addresses: Arc::new(addresses),
        })
    }

    /// The accounts, in the order of derivation.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    fn key(&self, address: &Address) -> RpcResult<&PrivateKeySigner> {
        self.keys.get(address).ok_or(RpcError::UnknownAccount)
    }

    fn sign_message(&self, address: &Address, message: &[u8]) -> RpcResult<Bytes> {
        let signature = self
            .key(address)?
            .sign_message_sync(message)
            .map_err(RpcError::internal)?;
        Ok(signature.as_bytes().into())
    }

    fn sign_typed_data(&self, address: &Address, data: &TypedData) -> RpcResult<Bytes> {
        let hash = data
            .eip712_signing_hash()
            .map_err(|error| RpcError::invalid_params(error.to_string()))?;
        let signature = self
            .key(address)?
            .sign_hash_sync(&hash)
            .map_err(RpcError::internal)?;
        Ok(signature.as_bytes().into())
    }

    /// Signs a complete request and encodes it (EIP-2718).
    fn sign_transaction(&self, request: TransactionRequest) -> RpcResult<Bytes> {
        let key = self.key(&request.from.ok_or(RpcError::UnknownAccount)?)?;
        let transaction = request
            .build_typed_tx()
            .map_err(|_| RpcError::InvalidInput("transaction is incomplete".to_owned()))?;
        let signature = key
            .sign_hash_sync(&transaction.signature_hash())
            .map_err(RpcError::internal)?;
        Ok(TxEnvelope::from(transaction.into_signed(signature))
            .encoded_2718()
            .into())
    }
}

/// Signing with the node's keys.
#[rpc(server, namespace = "eth")]
pub trait EthSigner {
    /// Accounts that the node can sign for.
    #[method(name = "accounts")]
    fn accounts(&self) -> Answer<Vec<Address>>;

    /// Completes, signs and submits a transaction.
    #[method(name = "sendTransaction")]
    async fn send_transaction(&self, request: TransactionRequest) -> Answer<B256>;

    /// Completes and signs a transaction.
    #[method(name = "signTransaction")]
    async fn sign_transaction(&self, request: TransactionRequest) -> Answer<Bytes>;

    /// Signs a message (EIP-191).
    #[method(name = "sign")]
    fn sign(&self, address: Address, message: Bytes) -> Answer<Bytes>;

    /// Signs typed data (EIP-712).
    #[method(name = "signTypedData")]
    fn sign_typed_data(&self, address: Address, data: TypedData) -> Answer<Bytes>;
}

/// Answers [`EthSignerServer`].
#[derive(Clone, Debug)]
pub(crate) struct SignerMethods {
    context: Arc<EthContext>,
    /// Held from choosing a nonce to submitting: two requests of one account must not choose the same.
    choosing_nonce: Arc<Mutex<()>>,
}

impl SignerMethods {
    pub(crate) fn new(context: Arc<EthContext>) -> Self {
        Self {
            context,
            choosing_nonce: Arc::default(),
        }
    }

    async fn sign_completed(&self, request: TransactionRequest) -> RpcResult<Bytes> {
        let request = self.context.complete(request).await?;
        let request = self.context.with_nonce(request)?;
        self.context.signers.sign_transaction(request)
    }

    async fn send(&self, request: TransactionRequest) -> RpcResult<B256> {
        let request = self.context.complete(request).await?;
        let _one_at_a_time = self.choosing_nonce.lock().await;
        let request = self.context.with_nonce(request)?;
        let raw = self.context.signers.sign_transaction(request)?;
        let transaction = self.context.pool.decode_bytes_and_recover(raw)?;
        self.context.submit(transaction)
    }
}

impl EthContext {
    /// Fills in chain id, fees and gas, not the nonce.
    async fn complete(self: &Arc<Self>, mut request: TransactionRequest) -> RpcResult<TransactionRequest> {
        self.signers.key(&request.from.ok_or(RpcError::UnknownAccount)?)?;
        request.chain_id.get_or_insert(self.chain.spec().chain_id());
        if request.gas_price.is_none() {
            self.complete_fees(&mut request).await?;
        }
        if request.gas.is_none() {
            let asked = request.clone();
            let gas = self.heavy(move |context, deadline| {
                context.estimate(asked, Some(BlockId::pending()), Overrides::default(), deadline)
            });
            request.gas = Some(gas.await?);
        }
        // A request without `to` creates a contract, which the builder wants to hear.
        if request.to.is_none() {
            request.to = Some(alloy_primitives::TxKind::Create);
        }
        Ok(request)
    }

    async fn complete_fees(self: &Arc<Self>, request: &mut TransactionRequest) -> RpcResult<()> {
        let tip = match request.max_priority_fee_per_gas {
            Some(tip) => tip,
            None => {
                let suggested = self.suggested_tip().await?;
                request
                    .max_fee_per_gas
                    .map_or(suggested, |cap| suggested.min(cap))
            }
        };
        request.max_priority_fee_per_gas = Some(tip);
        if request.max_fee_per_gas.is_none() {
            let base_fee = self.pool_head(&self.chain.view())?.base_fee;
            // Twice the base fee stays above it for six full blocks.
            request.max_fee_per_gas = Some(u128::from(base_fee) * 2 + tip);
        }
        Ok(())
    }

    fn with_nonce(&self, mut request: TransactionRequest) -> RpcResult<TransactionRequest> {
        if request.nonce.is_none() {
            let sender = request.from.ok_or(RpcError::UnknownAccount)?;
            request.nonce = Some(self.nonce_at(&sender, Some(BlockId::pending()))?);
        }
        Ok(request)
    }
}

#[jsonrpsee::core::async_trait]
impl EthSignerServer for SignerMethods {
    fn accounts(&self) -> Answer<Vec<Address>> {
        Ok(self.context.signers.addresses().to_vec())
    }

    async fn send_transaction(&self, request: TransactionRequest) -> Answer<B256> {
        Ok(self.send(request).await?)
    }

    async fn sign_transaction(&self, request: TransactionRequest) -> Answer<Bytes> {
        Ok(self.sign_completed(request).await?)
    }

    fn sign(&self, address: Address, message: Bytes) -> Answer<Bytes> {
        Ok(self.context.signers.sign_message(&address, &message)?)
    }

    fn sign_typed_data(&self, address: Address, data: TypedData) -> Answer<Bytes> {
        Ok(self.context.signers.sign_typed_data(&address, &data)?)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Signature, U256, address};

    use super::*;

    const PHRASE: &str = "test test test test test test test test test test test junk";

    #[test]
    fn keys_are_those_of_the_phrase() {
        let signers = DevSigners::from_mnemonic(PHRASE, 2).unwrap();
        let first = address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert_eq!(signers.addresses()[0], first);
        let signature = signers.sign_message(&first, b"hello").unwrap();
        let signature = Signature::from_raw(&signature).unwrap();
        assert_eq!(signature.recover_address_from_msg("hello").unwrap(), first);
        assert!(matches!(
            signers.sign_message(&Address::ZERO, b""),
            Err(RpcError::UnknownAccount)
        ));
    }

    #[test]
    fn an_incomplete_transaction_is_refused() {
        let signers = DevSigners::from_mnemonic(PHRASE, 1).unwrap();
        let request = TransactionRequest::default()
            .from(signers.addresses()[0])
            .value(U256::ONE);
        assert!(matches!(
            signers.sign_transaction(request),
            Err(RpcError::InvalidInput(_))
        ));
    }
}
