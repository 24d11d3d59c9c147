//! The local chain.

use std::time::Duration;

use clap::Args;

use super::time;

/// Seed phrase of the accounts that both local chains fund.
pub(crate) const MNEMONIC: &str = "test test test test test test test test test test test junk";

/// A node that makes its own blocks, with funded accounts and signers for them.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Dev testnet")]
pub(crate) struct DevArgs {
    /// Run a local chain: selects chain `dev` (id 1337) unless --chain is given, starts HTTP, installs the signers of 20
    /// funded accounts, and makes a block as soon as there is a transaction.
    #[arg(long, alias = "auto-mine")]
    pub(crate) dev: bool,

    /// Close a block after this many transactions instead of as soon as the node is idle.
    #[arg(long = "dev.block-max-transactions", value_name = "COUNT", conflicts_with = "dev_block_time",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) dev_block_max_transactions: Option<u64>,

    /// Make a block in this interval, empty or not, instead of as soon as the node is idle (for example 1s or 500ms).
    #[arg(long = "dev.block-time", value_name = "BLOCK_TIME", value_parser = time::human)]
    pub(crate) dev_block_time: Option<Duration>,

    /// Blocks behind the head that count as finalized; half of it, rounded up, counts as safe.
    #[arg(long = "dev.finality-depth", value_name = "FINALITY_DEPTH", default_value_t = 64,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) dev_finality_depth: u64,

    /// Seed phrase of the 20 signers. The funded accounts stay those of the default phrase.
    #[arg(long = "dev.mnemonic", value_name = "MNEMONIC", default_value = MNEMONIC, requires = "dev")]
    pub(crate) dev_mnemonic: String,
}
