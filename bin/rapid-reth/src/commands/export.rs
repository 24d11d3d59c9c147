//! `export`: writes sealed blocks to a file.

use std::{fs::File, io::BufWriter, path::PathBuf};

use clap::Args;
use eyre::WrapErr;
use rapid_node::{Store, StoreConfig, export_blocks};

use super::DEFAULT_CHAIN;
use crate::args::EnvironmentArgs;

/// Writes sealed blocks as concatenated RLP, the form `import` reads.
#[derive(Args, Debug)]
pub(crate) struct ExportCommand {
    #[command(flatten)]
    environment: EnvironmentArgs,

    /// First block.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    from: u64,

    /// Last block; without it, the last sealed one.
    #[arg(long, value_name = "NUMBER")]
    to: Option<u64>,

    /// File to write; it must not exist.
    #[arg(value_name = "EXPORT_PATH")]
    path: PathBuf,
}

impl ExportCommand {
    /// Exports.
    pub(crate) fn run(self) -> eyre::Result<()> {
        let chain = self.environment.chain.load(DEFAULT_CHAIN)?;
        let datadir = self.environment.resolve_datadir(&chain)?;
        let file = File::create_new(&self.path).wrap_err_with(|| format!("{}", self.path.display()))?;
        let store = Store::open(
            chain,
            &datadir,
            StoreConfig::new(self.environment.state.memory(0)),
        )?;
        let head = store.chain.view().head.number();
        let mut output = BufWriter::with_capacity(1 << 20, file);
        let exported = export_blocks(&store.chain, self.from, self.to.unwrap_or(head), &mut output);
        store.close()?;
        let blocks = exported?;
        tracing::info!(target: "reth::cli", blocks, file = %self.path.display(), "Export finished");
        Ok(())
    }
}
