//! Gas price suggestions.

use clap::Args;
use rapid_rpc::GasOracleConfig;

/// How eth_gasPrice and eth_maxPriorityFeePerGas sample.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Gas Price Oracle")]
pub(crate) struct GasPriceArgs {
    /// Blocks to sample.
    #[arg(long = "gpo.blocks", value_name = "BLOCKS", default_value_t = 20)]
    pub(crate) blocks: u64,

    /// Tips below this many wei are not sampled.
    #[arg(long = "gpo.ignoreprice", value_name = "IGNORE_PRICE", default_value_t = 0)]
    pub(crate) ignore_price: u128,

    /// Largest suggestion in wei.
    #[arg(
        long = "gpo.maxprice",
        value_name = "MAX_PRICE",
        default_value_t = 500_000_000_000
    )]
    pub(crate) max_price: u128,

    /// Percentile of the samples that is suggested.
    #[arg(long = "gpo.percentile", value_name = "PERCENTILE", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(0..=100))]
    pub(crate) percentile: u64,

    /// Suggested tip in wei while there is nothing to sample.
    #[arg(
        long = "gpo.default-suggested-fee",
        value_name = "WEI",
        default_value_t = 1_000_000_000
    )]
    pub(crate) default_tip: u128,
}

impl GasPriceArgs {
    /// The oracle's configuration.
    pub(crate) const fn config(&self) -> GasOracleConfig {
        GasOracleConfig {
            blocks: self.blocks,
            percentile: self.percentile,
            ignore_price: self.ignore_price,
            max_price: self.max_price,
            default_tip: self.default_tip,
        }
    }
}
