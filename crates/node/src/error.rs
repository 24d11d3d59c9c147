//! Why a node does not start, or stops by itself.

use std::net::SocketAddr;

use rapid_chain::ChainError;
use rapid_engine::EngineFailure;
use rapid_executor::WorkersError;
use rapid_jit::runtime::RuntimeError;
use rapid_rpc::StartError;
use rapid_sequencer::SequencerError;

use crate::{MetricsError, RethTomlError, StoreError, jwt::JwtFileError};

/// Why a node does not start, or stops by itself. Each names what the operator can do about it, if anything.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] RethTomlError),
    /// The datadir.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Engine API's secret.
    #[error(transparent)]
    Jwt(#[from] JwtFileError),
    /// A server's address is taken or not allowed.
    #[error("the {server} server cannot listen on {address}: {source}; choose another port with {flag}")]
    Address {
        /// Which server.
        server: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
        /// The flag that changes the port.
        flag: &'static str,
    },
    /// The servers cannot start for another reason.
    #[error(transparent)]
    Rpc(StartError),
    /// Metrics cannot be served.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The compiler cannot be started.
    #[error(transparent)]
    Compiler(#[from] RuntimeError),
    /// The workers that execute cannot be started.
    #[error(transparent)]
    Workers(#[from] WorkersError),
    /// A thread cannot be started.
    #[error("cannot start thread: {0}")]
    Thread(std::io::Error),
    /// The chain failed, at the start or at the end.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The sequencer failed.
    #[error(transparent)]
    Sequencer(#[from] SequencerError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineFailure),
    /// The methods cannot be registered: two have one name.
    #[error("RPC methods clash: {0}")]
    Methods(String),
    /// What runs did not end in time. What was announced is in the log all the same.
    #[error("production did not stop within {0:?}")]
    StopTimeout(std::time::Duration),
}

impl From<StartError> for NodeError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Bind {
                server,
                address,
                source,
            } => Self::Address {
                server,
                address,
                source,
                flag: port_flag(server),
            },
            error => Self::Rpc(error),
        }
    }
}

/// The flag that moves a server, by the server's name.
fn port_flag(server: &str) -> &'static str {
    if server.eq_ignore_ascii_case("auth") {
        "--authrpc.port"
    } else if server.eq_ignore_ascii_case("ws") {
        "--ws.port"
    } else {
        "--http.port"
    }
}
