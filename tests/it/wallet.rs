//! Signed transactions from the development accounts.

use crate::{rpc::RpcClient, workspace::root};
use alloy_consensus::{SignableTransaction, Signed, TxEip1559, TxEnvelope, crypto::secp256k1};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use alloy_signer_local::MnemonicBuilder;
use serde_json::{Value, json};
use std::fs;

const MNEMONIC: &str = "test test test test test test test test test test test junk";

/// Chain id of the real-time chain.
pub(crate) const CHAIN_ID: u64 = 7_274_310;

/// Fee cap in wei: far above the base fee of the real-time chain, and below the node's cap of one ether per transaction.
const MAX_FEE: u128 = 100_000_000_000;

/// Tip, in wei.
const PRIORITY_FEE: u128 = 1_000_000_000;

/// One development account.
#[derive(Clone, Debug)]
pub(crate) struct Wallet {
    secret: B256,
    address: Address,
}

/// What a transaction does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Pays one wei.
    Pay(Address),
    /// Moves tokens.
    MoveTokens {
        /// The token.
        token: Address,
        /// Who gets them.
        to: Address,
        /// How many.
        amount: u64,
    },
    /// Deploys the token of the benchmark contracts.
    DeployToken,
}

impl Wallet {
    /// Development account `index`.
    pub(crate) fn dev(index: u32) -> Self {
        let signer = MnemonicBuilder::english()
            .phrase(MNEMONIC)
            .index(index)
            .unwrap()
            .build()
            .unwrap();
        Self {
            secret: signer.to_bytes(),
            address: signer.address(),
        }
    }

    /// The account's address.
    pub(crate) const fn address(&self) -> Address {
        self.address
    }

    /// The account's nonce at the head of the chain.
    pub(crate) fn nonce(&self, rpc: &mut RpcClient) -> u64 {
        rpc.quantity("eth_getTransactionCount", json!([self.address, "latest"]))
    }

    /// The signed transaction in network form, as the parameter of `eth_sendRawTransaction`.
    pub(crate) fn sign(&self, nonce: u64, action: Action) -> Bytes {
        let (to, value, gas_limit, input) = match action {
            Action::Pay(to) => (TxKind::Call(to), U256::from(1), 21_000, Bytes::new()),
            Action::MoveTokens { token, to, amount } => (
                TxKind::Call(token),
                U256::ZERO,
                100_000,
                transfer_call(to, amount),
            ),
            Action::DeployToken => (TxKind::Create, U256::ZERO, 3_000_000, token_creation()),
        };
        self.seal(TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit,
            max_fee_per_gas: MAX_FEE,
            max_priority_fee_per_gas: PRIORITY_FEE,
            to,
            value,
            input,
            ..Default::default()
        })
    }

    /// Any transaction, signed, in network form.
    pub(crate) fn seal<T: SignableTransaction<Signature>>(&self, transaction: T) -> Bytes
    where
        TxEnvelope: From<Signed<T>>,
    {
        let signature = self.signature(transaction.signature_hash());
        TxEnvelope::from(transaction.into_signed(signature))
            .encoded_2718()
            .into()
    }

    /// The account's signature over a hash.
    pub(crate) fn signature(&self, hash: B256) -> Signature {
        secp256k1::sign_message(self.secret, hash).unwrap()
    }
}

/// Deploys the token from `wallet` and hands 10^9 of it to each of `holders`; returns its address.
pub(crate) fn deploy_token(rpc: &mut RpcClient, wallet: &Wallet, holders: &[Wallet]) -> Address {
    let mut nonce = wallet.nonce(rpc);
    let mut send = |action| {
        let raw = wallet.sign(nonce, action);
        nonce += 1;
        let receipt = rpc.call("eth_sendRawTransactionSync", json!([raw]));
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    };
    let receipt = send(Action::DeployToken);
    let token: Address = receipt["contractAddress"].as_str().unwrap().parse().unwrap();
    for holder in holders {
        send(Action::MoveTokens {
            token,
            to: holder.address(),
            amount: 1_000_000_000,
        });
    }
    token
}

fn transfer_call(to: Address, amount: u64) -> Bytes {
    let mut data = keccak256("transfer(address,uint256)")[..4].to_vec();
    data.extend(to.into_word());
    data.extend(U256::from(amount).to_be_bytes::<32>());
    data.into()
}

/// Creation code with the constructor's arguments `("T", "T", 2^64)`: two offsets, the supply, two short strings.
fn token_creation() -> Bytes {
    let path = root().join("bin/rapid-bench/contracts/artifacts/Token.json");
    let artifact: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut data = hex::decode(artifact["bytecode"].as_str().unwrap()).unwrap();
    for word in [U256::from(96), U256::from(160), U256::from(1) << 64] {
        data.extend(word.to_be_bytes::<32>());
    }
    for _ in 0..2 {
        data.extend(U256::from(1).to_be_bytes::<32>());
        data.extend((U256::from(u64::from(b'T')) << 248usize).to_be_bytes::<32>());
    }
    data.into()
}
