//! What the JWT port says about itself. The methods that drive the chain are registered by the crate that has them.

use alloy_rpc_types_engine::{ClientCode, ClientVersionV1};
use jsonrpsee::{core::RpcResult as Answer, proc_macros::rpc};

/// Identity and capabilities (Engine API).
#[rpc(server, namespace = "engine")]
pub trait EngineIdentity {
    /// Names the methods that are served, the caller's own list notwithstanding.
    #[method(name = "exchangeCapabilities")]
    fn exchange_capabilities(&self, capabilities: Vec<String>) -> Answer<Vec<String>>;

    /// Who this is.
    #[method(name = "getClientVersionV1")]
    fn client_version(&self, caller: ClientVersionV1) -> Answer<Vec<ClientVersionV1>>;
}

/// Who the node is towards a consensus client, and what it serves it.
#[derive(Clone, Debug)]
pub struct EngineInfo {
    /// Name of the client.
    pub name: String,
    /// Version of the client.
    pub version: String,
    /// First four bytes of the commit it was built from, in hex.
    pub commit: String,
    /// Engine methods that are served besides `engine_exchangeCapabilities`.
    pub capabilities: Vec<String>,
}

impl Default for EngineInfo {
    fn default() -> Self {
        Self {
            name: "rapid-reth".to_owned(),
            version: concat!("v", env!("CARGO_PKG_VERSION")).to_owned(),
            commit: "00000000".to_owned(),
            capabilities: vec!["engine_getClientVersionV1".to_owned()],
        }
    }
}

impl EngineIdentityServer for EngineInfo {
    fn exchange_capabilities(&self, capabilities: Vec<String>) -> Answer<Vec<String>> {
        tracing::debug!(
            theirs = capabilities.len(),
            ours = self.capabilities.len(),
            "capabilities exchanged"
        );
        Ok(self.capabilities.clone())
    }

    fn client_version(&self, caller: ClientVersionV1) -> Answer<Vec<ClientVersionV1>> {
        tracing::debug!(name = caller.name, version = caller.version, "consensus client");
        Ok(vec![ClientVersionV1 {
            code: ClientCode::RH,
            name: self.name.clone(),
            version: self.version.clone(),
            commit: self.commit.clone(),
        }])
    }
}
