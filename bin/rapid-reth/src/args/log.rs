//! Log output.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use tracing_subscriber::filter::LevelFilter;

/// What is logged, where and how. Every flag is valid on every subcommand.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logging")]
pub(crate) struct LogArgs {
    /// Format of the log on stdout.
    #[arg(
        long = "log.stdout.format",
        value_name = "FORMAT",
        global = true,
        default_value = "terminal"
    )]
    pub(crate) stdout_format: LogFormat,

    /// Filter of the log on stdout, for example `info,engine::tree=debug`. RUST_LOG is the default.
    #[arg(
        long = "log.stdout.filter",
        value_name = "FILTER",
        global = true,
        default_value = ""
    )]
    pub(crate) stdout_filter: String,

    /// Format of the log file.
    #[arg(
        long = "log.file.format",
        value_name = "FORMAT",
        global = true,
        default_value = "terminal"
    )]
    pub(crate) file_format: LogFormat,

    /// Filter of the log file.
    #[arg(
        long = "log.file.filter",
        value_name = "FILTER",
        global = true,
        default_value = "debug"
    )]
    pub(crate) file_filter: String,

    /// Directory of the log files; the chain's name is appended.
    ///
    /// Default: <XDG_CACHE_HOME or ~/.cache>/reth/logs
    #[arg(long = "log.file.directory", value_name = "PATH", global = true)]
    pub(crate) file_directory: Option<PathBuf>,

    /// Name of the log file; rotated files get .1, .2 and so on appended.
    #[arg(
        long = "log.file.name",
        value_name = "NAME",
        global = true,
        default_value = "reth.log"
    )]
    pub(crate) file_name: String,

    /// Size in MB at which the log file is rotated.
    #[arg(
        long = "log.file.max-size",
        value_name = "SIZE",
        global = true,
        default_value_t = 200
    )]
    pub(crate) file_max_megabytes: u64,

    /// Number of rotated files to keep; 0 turns the log file off.
    ///
    /// Default: 5 for `node`, 0 for the other commands.
    #[arg(long = "log.file.max-files", value_name = "COUNT", global = true)]
    pub(crate) file_max_count: Option<usize>,

    /// Colours in the log on stdout.
    #[arg(long, value_name = "COLOR", global = true, default_value = "always")]
    pub(crate) color: ColorMode,

    /// Verbosity of the log on stdout: -v errors, -vv warnings, -vvv info (the default), -vvvv debug, -vvvvv traces.
    #[arg(short, long, action = ArgAction::Count, global = true, help_heading = "Display")]
    verbosity: u8,

    /// Log nothing at all on stdout.
    #[arg(short, long, alias = "silent", global = true, help_heading = "Display")]
    pub(crate) quiet: bool,
}

impl LogArgs {
    /// The level that `-v` and `-q` ask for on stdout.
    pub(crate) const fn stdout_level(&self) -> LevelFilter {
        match (self.quiet, self.verbosity) {
            (true, _) => LevelFilter::OFF,
            (false, 1) => LevelFilter::ERROR,
            (false, 2) => LevelFilter::WARN,
            (false, 0 | 3) => LevelFilter::INFO,
            (false, 4) => LevelFilter::DEBUG,
            (false, _) => LevelFilter::TRACE,
        }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One JSON object per line.
    Json,
    /// `key=value` pairs.
    LogFmt,
    /// For people.
    Terminal,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorMode {
    /// Also into pipes.
    Always,
    /// Only on a terminal.
    Auto,
    /// Not at all.
    Never,
}

impl ColorMode {
    /// Whether stdout gets colours.
    pub(crate) fn on_stdout(self) -> bool {
        match self {
            Self::Always => true,
            Self::Auto => std::io::IsTerminal::is_terminal(&std::io::stdout()),
            Self::Never => false,
        }
    }
}
