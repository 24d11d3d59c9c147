//! `reth`: what reth has beside the standard.

use std::sync::Arc;

use jsonrpsee::{core::RpcResult as Answer, proc_macros::rpc};
use rapid_jit::runtime::{Runtime, RuntimeStatus, Switch};
use serde::Deserialize;

use crate::{
    error::{RpcError, RpcResult},
    eth::context::EthContext,
};

/// What `reth_jit` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JitAction {
    /// Hot contracts are compiled, and compiled code runs.
    Enable,
    /// Everything is interpreted.
    Disable,
    /// Refused: reth does not compile while it validates a payload.
    Pause,
    /// Refused likewise.
    Unpause,
    /// Refused: code is evicted when memory is short.
    Clear,
}

/// The compiler.
#[rpc(server, namespace = "reth")]
pub trait Reth {
    /// Switches the compiler.
    #[method(name = "jit")]
    fn jit(&self, action: JitAction) -> Answer<()>;

    /// What the compiler has done and holds.
    #[method(name = "jitStatus")]
    fn jit_status(&self) -> Answer<RuntimeStatus>;
}

/// Answers [`RethServer`].
#[derive(Clone, Debug)]
pub(crate) struct RethMethods(pub(crate) Arc<EthContext>);

impl RethServer for RethMethods {
    fn jit(&self, action: JitAction) -> Answer<()> {
        let runtime = self.runtime()?;
        match action {
            JitAction::Enable => runtime.set_enabled(Switch::On),
            JitAction::Disable => runtime.set_enabled(Switch::Off),
            JitAction::Pause | JitAction::Unpause | JitAction::Clear => {
                let other =
                    "compiling takes a bounded share of a core and of memory; there is enable and disable";
                return Err(RpcError::Rejected(other.to_owned()).into());
            }
        }
        Ok(())
    }

    fn jit_status(&self) -> Answer<RuntimeStatus> {
        Ok(self.runtime()?.status())
    }
}

impl RethMethods {
    fn runtime(&self) -> RpcResult<&Arc<Runtime>> {
        self.0
            .chain
            .compiler()
            .runtime()
            .ok_or_else(|| RpcError::Rejected("this node has no compiler".to_owned()))
    }
}
