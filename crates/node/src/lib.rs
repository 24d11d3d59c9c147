//! Wires a node from its configuration: what is opened in which order, who watches whom, and how it ends.
//!
//! - **In:** a [`NodeConfig`]; a datadir; signals, through whoever calls [`NodeHandle::shutdown`].
//! - **Out:** a running node behind a [`NodeHandle`]: servers listening, the chain advancing, log lines in reth's words,
//!   metrics.
//! - **Owns:** the datadir with its lock and `reth.toml`, the metrics recorder, the watch over the process's memory
//!   (`memory`), and the order of things.
//! - **Must hold:** one process per datadir; nothing is opened that does not fit in memory; nothing is served before the chain is recovered; at the end the servers stop
//!   first, then production, then the store, and the lock goes last; a critical thread that dies ends the node.
//!
//! ```text
//!  memory fits -> lock -> history, log, state, trie (Store) -> pool -> compiler -> sequencer or engine -> rpc servers -> metrics
//!  lock <- store made durable <------------- compiler <- sequencer or engine <- rpc servers <- shutdown
//! ```

mod compiler;
mod config;
mod datadir;
mod engine_events;
mod error;
mod events;
mod execution;
mod export;
mod jwt;
mod launch;
mod lock;
mod memory;
mod metrics;
mod process_metrics;
mod reth_toml;
mod store;

pub use compiler::{CompilerConfig, RunningCompiler};
pub use config::{AuthServer, BuildInfo, NodeConfig, Role};
pub use datadir::{DataDir, DataDirError, default_log_directory};
pub use error::NodeError;
pub use export::{ExportError, export_blocks};
pub use jwt::JwtFileError;
pub use launch::{Node, NodeHandle, STOP_TIME_MAX};
pub use lock::{DataDirLock, LockError};
pub use memory::{
    ByteSize, ByteSizeError, Estimate, LimitSource, Mark, MarkParseError, Marks, MarksError, MemoryConfig,
    MemoryError, MemoryLimit, MemoryMonitor, MemoryPlan,
};
pub use metrics::{MetricsError, MetricsRecorder, MetricsServer};
pub use rapid_evm::ShadowInterval;
pub use reth_toml::{
    Execution, Prune, PruneMode, PruneSegments, RethToml, RethTomlError, SenderRecovery, Stages,
};
pub use store::{ForeignStore, Store, StoreConfig, StoreError};
