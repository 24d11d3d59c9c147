//! `stage unwind`: blocks are taken back from the head.

use alloy_primitives::B256;
use clap::{Args, Subcommand};
use eyre::{bail, eyre};
use rapid_chain::{Importer, Opened};
use rapid_node::{Store, StoreConfig};

use crate::{args::EnvironmentArgs, commands::DEFAULT_CHAIN};

/// Takes blocks back.
#[derive(Args, Debug)]
pub(crate) struct UnwindCommand {
    #[command(flatten)]
    environment: EnvironmentArgs,

    /// Nothing is fetched from a network, so every unwind is offline: this changes nothing.
    #[arg(long)]
    offline: bool,

    #[command(subcommand)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Target {
    /// Take back everything above a block, given by number or hash
    ToBlock {
        /// The block, which stays.
        #[arg(value_name = "TARGET")]
        block: String,
    },
    /// Take back a number of blocks
    NumBlocks {
        /// How many.
        #[arg(value_name = "AMOUNT")]
        amount: u64,
    },
}

impl UnwindCommand {
    /// Takes back; everything is durable on return.
    pub(crate) fn run(self) -> eyre::Result<()> {
        let spec = self.environment.chain.load(DEFAULT_CHAIN)?;
        let datadir = self.environment.resolve_datadir(&spec)?;
        let Store {
            chain,
            driver,
            tip,
            lock,
            ..
        } = Store::open(spec, &datadir, StoreConfig::new(self.environment.state.memory(0)))?;
        let mut importer = Importer::new(Opened {
            chain: chain.clone(),
            driver,
            tip,
        })?;
        let unwound = self
            .target
            .number(&importer)
            .and_then(|number| Ok(rapid_stages::unwind(&mut importer, number)?));
        importer.finish()?;
        drop(lock);
        let head = chain.view().head.clone();
        tracing::info!(target: "reth::cli", removed = unwound?, head = head.number(), hash = %head.hash, "Unwound blocks");
        Ok(())
    }
}

impl Target {
    /// Number of the block that becomes the head.
    fn number(&self, importer: &Importer) -> eyre::Result<u64> {
        let head = importer.chain().view().head.number();
        let number = match self {
            Self::NumBlocks { amount } => head
                .checked_sub(*amount)
                .ok_or_else(|| eyre!("there are {head} blocks, {amount} cannot be taken back"))?,
            Self::ToBlock { block } => match block.parse() {
                Ok(number) => number,
                Err(_) => by_hash(importer, block)?,
            },
        };
        if number > head {
            bail!("block {number} is above the head, block {head}");
        }
        Ok(number)
    }
}

fn by_hash(importer: &Importer, text: &str) -> eyre::Result<u64> {
    let hash: B256 = text
        .parse()
        .map_err(|_| eyre!("{text} is neither the number nor the hash of a block"))?;
    let block = importer.chain().block_by_hash(hash)?;
    Ok(block.ok_or_else(|| eyre!("there is no block {hash}"))?.number())
}
