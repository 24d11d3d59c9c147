//! Which chain, and where its files are.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use rapid_chainspec::{ChainSpec, ChainSpecError};
use rapid_node::{DataDir, DataDirError};

use super::StateArgs;

/// Selects a chain.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ChainArgs {
    /// Chain to run: a built-in name (mainnet, sepolia, holesky, hoodi, dev, realtime), the path of a genesis file in
    /// geth's format, or that JSON itself.
    ///
    /// Default: mainnet, or dev with --dev.
    #[arg(long, value_name = "CHAIN_OR_PATH")]
    pub(crate) chain: Option<String>,
}

impl ChainArgs {
    /// The chain given, or `default`.
    pub(crate) fn load(&self, default: &str) -> Result<Arc<ChainSpec>, ChainSpecError> {
        ChainSpec::parse(self.chain.as_deref().unwrap_or(default)).map(Arc::new)
    }
}

/// Selects a chain and its files.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct EnvironmentArgs {
    /// The chain.
    #[command(flatten)]
    pub(crate) chain: ChainArgs,

    /// Directory of all files, used as given.
    ///
    /// Default: `<XDG_DATA_HOME or ~/.local/share>/reth/<CHAIN>`, which the word `default` also means.
    #[arg(long, value_name = "DATA_DIR", help_heading = "Datadir")]
    pub(crate) datadir: Option<String>,

    /// Configuration file.
    ///
    /// Default: `<DATA_DIR>/reth.toml`, written on the first start.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Memory for the state.
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

impl EnvironmentArgs {
    /// The datadir of a chain.
    pub(crate) fn resolve_datadir(&self, chain: &ChainSpec) -> Result<DataDir, DataDirError> {
        DataDir::resolve(self.datadir.as_deref(), chain.name())
    }

    /// The configuration file in effect.
    pub(crate) fn config_file(&self, datadir: &DataDir) -> PathBuf {
        self.config.clone().unwrap_or_else(|| datadir.config_file())
    }
}
