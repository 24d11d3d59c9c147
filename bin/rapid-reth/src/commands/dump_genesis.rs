//! `dump-genesis`: shows the chain's genesis.

use clap::Args;

use super::DEFAULT_CHAIN;
use crate::args::ChainArgs;

/// Prints the genesis JSON.
#[derive(Args, Debug)]
pub(crate) struct DumpGenesisCommand {
    #[command(flatten)]
    chain: ChainArgs,
}

impl DumpGenesisCommand {
    /// Prints.
    pub(crate) fn run(self) -> eyre::Result<()> {
        let chain = self.chain.load(DEFAULT_CHAIN)?;
        println!("{}", serde_json::to_string_pretty(chain.genesis())?);
        Ok(())
    }
}
