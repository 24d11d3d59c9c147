//! `net`, `web3`, and what `eth` says about the node itself.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes, U64, keccak256};
use alloy_rpc_types_eth::SyncStatus;
use jsonrpsee::{core::RpcResult as Answer, proc_macros::rpc};

use crate::eth::context::EthContext;

/// Version of the eth wire protocol that reth speaks; there is no handshake here.
const ETH_PROTOCOL_VERSION: u64 = 69;

/// Network identity.
#[rpc(server, namespace = "net")]
pub trait Net {
    /// Chain id in decimal.
    #[method(name = "version")]
    fn version(&self) -> Answer<String>;

    /// Number of peers: none, there is no peer-to-peer network.
    #[method(name = "peerCount")]
    fn peer_count(&self) -> Answer<U64>;

    /// Always true, as in reth.
    #[method(name = "listening")]
    fn listening(&self) -> Answer<bool>;
}

/// Client identity and hashing.
#[rpc(server, namespace = "web3")]
pub trait Web3 {
    /// Name and version of the client.
    #[method(name = "clientVersion")]
    fn client_version(&self) -> Answer<String>;

    /// Keccak-256 of the input.
    #[method(name = "sha3")]
    fn sha3(&self, input: Bytes) -> Answer<B256>;
}

/// What the node is.
#[rpc(server, namespace = "eth")]
pub trait EthNode {
    /// Chain id (EIP-695).
    #[method(name = "chainId")]
    fn chain_id(&self) -> Answer<Option<U64>>;

    /// `false`: the node serves only what it has executed.
    #[method(name = "syncing")]
    fn syncing(&self) -> Answer<SyncStatus>;

    /// Version of the wire protocol.
    #[method(name = "protocolVersion")]
    fn protocol_version(&self) -> Answer<U64>;
}

/// Answers [`NetServer`], [`Web3Server`] and [`EthNodeServer`].
#[derive(Clone, Debug)]
pub(crate) struct NodeMethods(pub(crate) Arc<EthContext>);

impl NetServer for NodeMethods {
    fn version(&self) -> Answer<String> {
        Ok(self.0.chain.spec().chain_id().to_string())
    }

    fn peer_count(&self) -> Answer<U64> {
        Ok(U64::ZERO)
    }

    fn listening(&self) -> Answer<bool> {
        Ok(true)
    }
}

impl Web3Server for NodeMethods {
    fn client_version(&self) -> Answer<String> {
        Ok(self.0.config.client_version.clone())
    }

    fn sha3(&self, input: Bytes) -> Answer<B256> {
        Ok(keccak256(input))
    }
}

impl EthNodeServer for NodeMethods {
    fn chain_id(&self) -> Answer<Option<U64>> {
        Ok(Some(U64::from(self.0.chain.spec().chain_id())))
    }

    fn syncing(&self) -> Answer<SyncStatus> {
        Ok(SyncStatus::None)
    }

    fn protocol_version(&self) -> Answer<U64> {
        Ok(U64::from(ETH_PROTOCOL_VERSION))
    }
}
