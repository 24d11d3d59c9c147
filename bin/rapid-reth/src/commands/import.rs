//! `import`: executes blocks from files.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use clap::Args;
use eyre::WrapErr;
use rapid_chain::Importer;
use rapid_log::{Durability, LogConfig};
use rapid_node::{ForeignStore, ImportProgress, Store, import_blocks};

use super::DEFAULT_CHAIN;
use crate::args::EnvironmentArgs;

/// Everything imported can be imported again, so a power failure may cost this much work.
const DURABILITY: Durability = Durability::Async(std::time::Duration::from_secs(10));

/// Executes blocks from files of concatenated RLP.
#[derive(Args, Debug)]
pub(crate) struct ImportCommand {
    #[command(flatten)]
    environment: EnvironmentArgs,

    /// End with an error at the first invalid block instead of keeping the valid ones before it and ending well.
    #[arg(long)]
    fail_on_invalid_block: bool,

    /// Files to execute, in order.
    #[arg(value_name = "IMPORT_PATH", required = true)]
    paths: Vec<PathBuf>,
}

impl ImportCommand {
    /// Imports. What is valid before an invalid block stays.
    pub(crate) fn run(self) -> eyre::Result<()> {
        let chain = self.environment.chain.load(DEFAULT_CHAIN)?;
        let datadir = self.environment.resolve_datadir(&chain)?;
        let log = LogConfig {
            durability: DURABILITY,
            ..LogConfig::default()
        };
        let Store {
            chain,
            driver,
            tip,
            lock,
        } = Store::open(chain, &datadir, log, ForeignStore::Accept)?;
        let mut importer = Importer::new(rapid_chain::Opened {
            chain: chain.clone(),
            driver,
            tip,
        })?;
        let mut progress = ImportProgress::default();
        let imported = self
            .paths
            .iter()
            .try_for_each(|path| self.file(path, &mut importer, &mut progress));
        importer.finish()?;
        drop(lock);
        let head = chain.view().head.clone();
        tracing::info!(
            target: "reth::import",
            blocks = progress.blocks,
            skipped = progress.skipped,
            txs = progress.transactions,
            throughput = format_args!("{:.2}Mgas/second", progress.mgas_per_second()),
            elapsed = ?progress.elapsed,
            head = head.number(),
            hash = %head.hash,
            "Import finished"
        );
        imported
    }

    fn file(&self, path: &Path, importer: &mut Importer, progress: &mut ImportProgress) -> eyre::Result<()> {
        let context = || format!("{}", path.display());
        let file = File::open(path).wrap_err_with(context)?;
        match import_blocks(importer, BufReader::with_capacity(1 << 20, file), progress) {
            Err(error) if error.is_invalid_block() && !self.fail_on_invalid_block => {
                tracing::warn!(target: "reth::import", file = %path.display(), %error, "Import stopped at an invalid block");
                Ok(())
            }
            result => result.wrap_err_with(context),
        }
    }
}
