//! `config`: shows the configuration file.

use std::path::PathBuf;

use clap::Args;
use rapid_node::RethToml;

/// Prints `reth.toml`.
#[derive(Args, Debug)]
pub(crate) struct ConfigCommand {
    /// File to print as it is understood; unknown keys are left out.
    #[arg(long, value_name = "FILE", required_unless_present = "default")]
    config: Option<PathBuf>,

    /// Print the defaults.
    #[arg(long, conflicts_with = "config")]
    default: bool,
}

impl ConfigCommand {
    /// Prints.
    pub(crate) fn run(self) -> eyre::Result<()> {
        let config = match self.config {
            Some(path) => RethToml::load(&path)?,
            None => RethToml::default(),
        };
        print!("{}", config.to_toml());
        Ok(())
    }
}
