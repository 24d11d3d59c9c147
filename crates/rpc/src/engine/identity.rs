//! Who the node is towards a consensus client.

use alloy_rpc_types_engine::{ClientCode, ClientVersionV1};

/// Who the node is towards a consensus client.
#[derive(Clone, Debug)]
pub struct EngineInfo {
    /// Name of the client.
    pub name: String,
    /// Version of the client.
    pub version: String,
    /// First four bytes of the commit it was built from, in hex.
    pub commit: String,
}

impl Default for EngineInfo {
    fn default() -> Self {
        Self {
            name: "rapid-reth".to_owned(),
            version: concat!("v", env!("CARGO_PKG_VERSION")).to_owned(),
            commit: "00000000".to_owned(),
        }
    }
}

impl EngineInfo {
    /// The answer to a caller that says who it is.
    pub(super) fn answer(&self, caller: &ClientVersionV1) -> Vec<ClientVersionV1> {
        tracing::debug!(name = caller.name, version = caller.version, "consensus client");
        vec![ClientVersionV1 {
            code: ClientCode::RH,
            name: self.name.clone(),
            version: self.version.clone(),
            commit: self.commit.clone(),
        }]
    }
}
