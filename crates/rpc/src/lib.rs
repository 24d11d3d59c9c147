//! JSON-RPC over HTTP, WebSocket and IPC, and the JWT port.
//!
//! - **In:** requests from clients; the published [`View`](rapid_chain::View) of the chain and its events; the pool; the
//!   engine, on a node that follows a consensus client.
//! - **Out:** answers and notifications; signed transactions, recovered, into the pool.
//! - **Owns:** the listening sockets and the IPC file, every connection with its bounded queues, a bounded number of
//!   blocking threads for expensive calls, the polling filters.
//! - **Must hold:** an answer shows published things only. Reads never wait for the hot loop and never hold it up.
//!   A client that does not keep up is closed; nobody waits for it. Every refusal has reth's JSON-RPC code.
//!
//! ```text
//!  HTTP, WS --+                                     +--> state, blocks, transactions, fees, logs --> View, history
//!  JWT port --+-- limits -- batch -- metrics -- ----+--> call, estimate --> gate --> EVM on a snapshot
//!  IPC -------+     |                               +--> engine_* (JWT port alone) --> EngineHandle
//!                   |                               +--> send --> recover --> pool ... waiter --> receipt
//!                   +-- closes slow clients <-- hubs <-- ChainEvent, one payload for all subscribers
//! ```
//!
//! `latest` answers state queries and calls from the newest published mini-block, and block, log, fee and proof
//! queries from the newest sealed EVM block ([`LatestState`] has the stock meaning too).

mod config;
mod convert;
mod engine;
mod error;
mod eth;
mod gate;
mod ipc;
mod lanes;
mod middleware;
mod modules;
mod namespace;
mod net;
mod node_modules;
mod reth;
mod server;
mod subscribe;
mod txpool;

pub use config::{AuthConfig, IpcConfig, RpcServerConfig, ServerLimits, TcpConfig};
pub use convert::{RpcBlock, RpcTransaction, TransactionDetail};
pub use engine::EngineInfo;
pub use error::{RpcError, RpcResult};
pub use eth::{
    config::{EthConfig, GasOracleConfig, LatestState},
    context::EthParts,
    signer::DevSigners,
};
pub use ipc::IpcError;
pub use middleware::batch::{SubmitAnswers, SubmitRaw};
pub use modules::RpcModules;
pub use namespace::{Namespace, NamespaceSelection, UnknownNamespace};
pub use server::{RpcServers, StartError, connection::ConnectionSwitch};
pub use subscribe::{MiniBlockEvent, StateChangeEvent};
