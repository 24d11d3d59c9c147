//! Everything a node is started with.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use rapid_chainspec::ChainSpec;
use rapid_executor::ExecutorConfig;
use rapid_log::LogConfig;
use rapid_pool::PoolConfig;
use rapid_rpc::{DevSigners, EngineInfo, EthConfig, RpcServerConfig};
use rapid_sequencer::SequencerConfig;

use crate::{CompilerConfig, DataDir, MemoryConfig};

/// What a node does.
#[derive(Clone, Debug)]
pub enum Role {
    /// Follows a consensus client: makes nothing by itself.
    Engine,
    /// Makes mini-blocks and blocks by its own clock.
    Sequencer(SequencerConfig),
}

impl Role {
    /// The name of the role on the command line.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Sequencer(_) => "sequencer",
        }
    }
}

/// The JWT port.
#[derive(Clone, Debug)]
pub struct AuthServer {
    /// Where to listen.
    pub address: SocketAddr,
    /// File with the secret, which must exist; `None` is `jwt.hex` of the datadir, which is created if need be.
    pub secret_file: Option<PathBuf>,
}

/// How the program was built, for `reth_info`.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuildInfo {
    /// Semantic version.
    pub version: &'static str,
    /// Commit.
    pub git_sha: &'static str,
    /// Time of the build.
    pub build_timestamp: &'static str,
    /// Target triple.
    pub target: &'static str,
    /// Cargo profile.
    pub profile: &'static str,
}

/// Everything [`crate::Node::launch`] needs.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The chain.
    pub chain: Arc<ChainSpec>,
    /// Where its files are.
    pub datadir: DataDir,
    /// `reth.toml`; written with defaults if it does not exist.
    pub config_file: PathBuf,
    /// What the node does.
    pub role: Role,
    /// Durability and sizes of the mini-block log.
    pub log: LogConfig,
    /// How much memory there is, and what happens near the limit.
    pub memory: MemoryConfig,
    /// The pool.
    pub pool: PoolConfig,
    /// The compiler.
    pub compiler: CompilerConfig,
    /// How blocks from elsewhere are executed; a sequencer has its own in [`Self::role`].
    pub executor: ExecutorConfig,
    /// Bounds of the methods.
    pub eth: EthConfig,
    /// Keys the node signs with; none but in development.
    pub signers: DevSigners,
    /// Public servers; its `auth` is set from [`Self::auth`].
    pub rpc: RpcServerConfig,
    /// The JWT port; `None` if it is disabled.
    pub auth: Option<AuthServer>,
    /// Who the node is towards a consensus client.
    pub engine: EngineInfo,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// How the program was built.
    pub build: BuildInfo,
}
