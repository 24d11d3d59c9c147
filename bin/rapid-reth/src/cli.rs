//! The command line.

use std::ffi::OsString;

use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    args::{LogArgs, PortArgs},
    commands::{
        ConfigCommand, DumpGenesisCommand, ExportCommand, ImportCommand, InitCommand, NodeCommand,
        StageCommand,
    },
    ledger::ledger,
    version,
};

/// A real-time Ethereum execution node.
#[derive(Debug, Parser)]
#[command(name = version::CLIENT_NAME, version = version::SHORT.as_str(), long_version = version::LONG.as_str())]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Commands,

    /// Several nodes on one host.
    #[command(flatten)]
    pub(crate) ports: PortArgs,

    /// Log output.
    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Commands {
    /// Run the node
    Node(Box<NodeCommand>),
    /// Create the data directory from the chain's genesis and print the genesis hash
    Init(InitCommand),
    /// Execute blocks from files of concatenated RLP
    Import(ImportCommand),
    /// Write sealed blocks as concatenated RLP
    Export(ExportCommand),
    /// Print the chain's genesis as JSON
    DumpGenesis(DumpGenesisCommand),
    /// Print the configuration file in effect, or the defaults
    Config(ConfigCommand),
    /// Do single stages again over stored blocks, or take blocks back
    Stage(StageCommand),
}

/// A command line that was understood.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// What was asked.
    pub(crate) cli: Cli,
    /// Flags that were accepted but have no effect, each with the reason; for the log once there is one.
    pub(crate) warnings: Vec<String>,
    /// The port that `--discovery.port` names, unless discovery is disabled.
    pub(crate) discovery_port: Option<u16>,
}

/// The whole command: what works here and what the ledger adds.
pub(crate) fn command() -> Command {
    ledger().extend(Cli::command())
}

/// Understands a command line.
///
/// # Errors
/// A usage error, or the text of `--help` or `--version`; clap knows which and its exit code.
pub(crate) fn parse<I, T>(arguments: I) -> Result<Parsed, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let mut command = command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    let warnings = ledger().judge(&mut command, &matches)?;
    let discovery_port = ledger().discovery_port(&matches);
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok(Parsed {
        cli,
        warnings,
        discovery_port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn what_alloys_node_bindings_pass_is_understood() {
        let parsed = parse([
            "rapid-reth",
            "node",
            "--dev",
            "--dev.block-time",
            "1sec",
            "--ipcdisable",
            "--http",
            "--http.api",
            "eth,net,web3,txpool,trace,rpc,reth,ots,admin,debug",
            "--ws",
            "--ws.api",
            "eth,net,web3,txpool",
            "--instance",
            "17",
            "--datadir",
            "/x",
            "--disable-discovery",
            "--no-persist-peers",
            "--chain",
            "dev",
            "--color",
            "never",
        ]);
        let Parsed {
            cli,
            warnings,
            discovery_port,
        } = parsed.unwrap();
        assert_eq!(discovery_port, None);
        assert_eq!(cli.ports.instance, Some(17));
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        let with_discovery = parse([
            "rapid-reth",
            "node",
            "--http",
            "--verbosity",
            "-vvv",
            "--discovery.port",
            "0",
        ])
        .unwrap();
        assert_eq!(
            with_discovery.cli.logs.stdout_level(),
            tracing_subscriber::filter::LevelFilter::DEBUG
        );
        assert_eq!(with_discovery.discovery_port, Some(0));
    }

    #[test]
    fn unknown_flags_are_usage_errors() {
        assert_eq!(
            parse(["rapid-reth", "node", "--nonsense"])
                .unwrap_err()
                .exit_code(),
            2
        );
        assert_eq!(parse(["rapid-reth"]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn the_long_version_starts_with_the_number() {
        let text = parse(["rapid-reth", "--version"]).unwrap_err().to_string();
        assert!(
            text.starts_with(concat!(
                "rapid-reth Version: ",
                env!("CARGO_PKG_VERSION"),
                "\nCommit SHA: "
            )),
            "{text}"
        );
        let short = parse(["rapid-reth", "-V"]).unwrap_err().to_string();
        assert!(
            short.starts_with(concat!("rapid-reth ", env!("CARGO_PKG_VERSION"), " (")),
            "{short}"
        );
    }
}
