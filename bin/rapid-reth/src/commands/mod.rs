//! One file per command.

mod config;
mod dump_genesis;
mod export;
mod import;
mod init;
mod node;
mod stage;

pub(crate) use config::ConfigCommand;
pub(crate) use dump_genesis::DumpGenesisCommand;
pub(crate) use export::ExportCommand;
pub(crate) use import::ImportCommand;
pub(crate) use init::InitCommand;
pub(crate) use node::{NodeCommand, Surroundings};
pub(crate) use stage::StageCommand;

use crate::{
    cli::{Commands, Parsed},
    logging,
};

/// The chain of a command that is not told one.
const DEFAULT_CHAIN: &str = "mainnet";

/// Runs a command to its end.
///
/// # Errors
/// Whatever ends the process with exit code 1.
pub(crate) fn run(parsed: Parsed) -> eyre::Result<()> {
    let Parsed {
        cli,
        warnings,
        discovery_port,
    } = parsed;
    let command = match cli.command {
        Commands::Node(command) => {
            let around = Surroundings {
                ports: cli.ports,
                logs: cli.logs,
                warnings,
                discovery_port,
            };
            return command.run(&around);
        }
        other => other,
    };
    let _logging = logging::start(&cli.logs)?;
    for warning in &warnings {
        tracing::warn!(target: "reth::cli", "{warning}");
    }
    match command {
        Commands::Init(command) => command.run(),
        Commands::Import(command) => command.run(),
        Commands::Export(command) => command.run(),
        Commands::DumpGenesis(command) => command.run(),
        Commands::Config(command) => command.run(),
        Commands::Stage(command) => command.run(),
        Commands::Node(_) => unreachable!("the node returned above"),
    }
}
