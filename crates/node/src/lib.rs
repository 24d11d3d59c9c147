//! Wires a node from its configuration.
mod datadir;
mod lock;
mod metrics;
mod process_metrics;
mod reth_toml;

pub use datadir::{DataDir, DataDirError, default_log_directory};
pub use lock::{DataDirLock, LockError};
pub use metrics::{MetricsError, MetricsRecorder, MetricsServer};
pub use reth_toml::{Execution, Prune, PruneMode, PruneSegments, RethToml, RethTomlError, Stages};
