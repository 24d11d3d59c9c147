//! The log: stdout for the operator, a rotated file for later.

mod channel;
mod logfmt;
mod rotation;

use std::path::PathBuf;

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, filter::LevelFilter, fmt::MakeWriter, layer::SubscriberExt, registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::args::{LogArgs, LogFormat};

pub(crate) use channel::LogFileGuard;

use channel::LogFileWriter;
use logfmt::LogFmt;
use rotation::RotatingFile;

/// Rotated files kept by a node.
const NODE_FILES_DEFAULT: usize = 5;

/// Libraries that talk too much, and what is still wanted of them.
const MUTED: [&str; 9] = [
    "hyper::proto::h1=off",
    "hyper_util::client::legacy::pool=off",
    "hickory_proto=off",
    "hickory_resolver=off",
    "discv5=off",
    "jsonrpsee-server=off",
    "opentelemetry=warn",
    "rustls=warn",
    "tungstenite=warn",
];

/// Keeps the log file's writer alive. Dropping it writes out what is waiting.
#[derive(Debug, Default)]
pub(crate) struct Logging {
    /// Directory of the log file, if there is one.
    pub(crate) file_directory: Option<PathBuf>,
    _file: Option<LogFileGuard>,
}

/// Starts logging for a command without a log file of its own: only `--log.file.max-files` turns one on.
///
/// # Errors
/// A filter that does not parse, or a log file that cannot be opened.
pub(crate) fn start(args: &LogArgs) -> eyre::Result<Logging> {
    start_with(args, None, 0)
}

/// Starts logging for the node of a chain, with its log file.
///
/// # Errors
/// A filter that does not parse, or a log file that cannot be opened.
pub(crate) fn start_node(args: &LogArgs, chain: &str) -> eyre::Result<Logging> {
    start_with(args, Some(chain), NODE_FILES_DEFAULT)
}

fn start_with(args: &LogArgs, chain: Option<&str>, default_files: usize) -> eyre::Result<Logging> {
    let stdout = (!args.quiet).then(|| stdout_layer(args)).transpose()?;
    let files = args.file_max_count.unwrap_or(default_files);
    let (file, logging) = match log_directory(args, chain) {
        Some(directory) if files > 0 => {
            let max_bytes = args.file_max_megabytes.saturating_mul(1024 * 1024);
            let file = RotatingFile::open(&directory, &args.file_name, max_bytes, files)?;
            let (writer, guard) = LogFileWriter::start(file);
            let filter = filter(&args.file_filter, LevelFilter::DEBUG)?;
            let layer = layer(args.file_format, writer, false, false).with_filter(filter);
            (
                Some(layer),
                Logging {
                    file_directory: Some(directory),
                    _file: Some(guard),
                },
            )
        }
        _ => (None, Logging::default()),
    };
    tracing_subscriber::registry()
        .with(stdout)
        .with(file)
        .try_init()?;
    Ok(logging)
}

fn log_directory(args: &LogArgs, chain: Option<&str>) -> Option<PathBuf> {
    let directory = args
        .file_directory
        .clone()
        .or_else(rapid_node::default_log_directory)?;
    Some(match chain {
        Some(chain) => directory.join(chain),
        None => directory,
    })
}

fn stdout_layer<S>(args: &LogArgs) -> eyre::Result<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let filter = filter(&args.stdout_filter, args.stdout_level())?;
    // Below info the reader is after a module, so the module's name is shown.
    let with_target = filter
        .max_level_hint()
        .is_some_and(|level| level > LevelFilter::INFO);
    let layer = layer(
        args.stdout_format,
        std::io::stdout,
        args.color.on_stdout(),
        with_target,
    );
    Ok(layer.with_filter(filter).boxed())
}

fn layer<S, W>(format: LogFormat, writer: W, ansi: bool, with_target: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Json => layer.json().with_ansi(false).with_target(with_target).boxed(),
        LogFormat::LogFmt => layer.with_ansi(false).event_format(LogFmt).boxed(),
        LogFormat::Terminal => layer.with_ansi(ansi).with_target(with_target).boxed(),
    }
}

/// The filter from a flag; without one, from `RUST_LOG`; `level` where neither says anything.
fn filter(directives: &str, level: LevelFilter) -> eyre::Result<EnvFilter> {
    let builder = EnvFilter::builder().with_default_directive(level.into());
    let mut filter = if directives.is_empty() {
        builder.from_env()?
    } else {
        builder.parse(directives)?
    };
    let named = filter.to_string();
    for directive in MUTED {
        let (module, _) = directive.split_once('=').expect("every entry has a level");
        // Whoever names a library wants to hear it.
        if !named.contains(module) {
            filter = filter.add_directive(directive.parse().expect("the list above is valid"));
        }
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn muted_libraries_can_be_unmuted_by_name() {
        let muted = filter("debug", LevelFilter::INFO).unwrap().to_string();
        assert!(muted.contains("jsonrpsee-server=off"), "{muted}");
        let wanted = filter("debug,jsonrpsee-server=trace", LevelFilter::INFO)
            .unwrap()
            .to_string();
        assert!(!wanted.contains("jsonrpsee-server=off"), "{wanted}");
        assert!(filter("a=b=c", LevelFilter::INFO).is_err());
    }
}
