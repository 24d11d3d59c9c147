//! JSON-RPC.

mod config;
mod ipc;
mod middleware;
mod modules;
mod namespace;
mod server;

pub use config::{AuthConfig, IpcConfig, RpcServerConfig, ServerLimits, TcpConfig};
pub use ipc::IpcError;
pub use middleware::batch::{SubmitAnswers, SubmitRaw};
pub use modules::RpcModules;
pub use namespace::{Namespace, NamespaceSelection, UnknownNamespace};
pub use server::{RpcServers, StartError, connection::ConnectionSwitch};
