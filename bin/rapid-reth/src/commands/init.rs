//! `init`: creates a datadir.

use clap::Args;
use rapid_node::{RethToml, Store, StoreConfig};

use super::DEFAULT_CHAIN;
use crate::args::EnvironmentArgs;

/// Creates the data directory from the chain's genesis.
#[derive(Args, Debug)]
pub(crate) struct InitCommand {
    #[command(flatten)]
    environment: EnvironmentArgs,
}

impl InitCommand {
    /// Creates it, or checks that it belongs to the chain, and prints the genesis hash.
    pub(crate) fn run(self) -> eyre::Result<()> {
        let chain = self.environment.chain.load(DEFAULT_CHAIN)?;
        let datadir = self.environment.resolve_datadir(&chain)?;
        let store = Store::open(
            chain.clone(),
            &datadir,
            StoreConfig::new(self.environment.state.memory(0)),
        )?;
        RethToml::load_or_create(&self.environment.config_file(&datadir))?;
        store.close()?;
        tracing::info!(target: "reth::cli", hash = %chain.genesis_hash(), "Genesis block written");
        Ok(())
    }
}
