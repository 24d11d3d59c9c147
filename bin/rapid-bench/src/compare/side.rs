//! The nodes that are compared, each with its flags.

use super::node::{NodePlace, NodeProcess, free_port};
use crate::{account::DEV_MNEMONIC, load::Submit, workload::FUNDERS};
use eyre::{WrapErr, ensure};
use std::{fmt, future::Future, path::PathBuf, pin::Pin, process::Command, str::FromStr, time::Duration};

/// Chain id of the peer: that of reth's development chain.
const CHAIN_ID: u64 = 1337;

/// Block gas limit of the peer: one gigagas, so that its blocks are never full.
const PEER_GAS_LIMIT: u64 = 1_000_000_000;

/// When the node under test answers relative to its disk, as its `--durability` takes it.
pub(crate) type Durability = String;

/// `--miniblock.interval` of the node under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MiniBlockInterval {
    /// A fixed time.
    Fixed(Duration),
    /// The node moves it.
    Auto,
}

impl FromStr for MiniBlockInterval {
    type Err = humantime::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            time => humantime::parse_duration(time).map(Self::Fixed),
        }
    }
}

impl fmt::Display for MiniBlockInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(interval) => humantime::format_duration(*interval).fmt(f),
            Self::Auto => f.write_str("auto"),
        }
    }
}

/// A future of a side's start.
pub(crate) type Starting<'a> = Pin<Box<dyn Future<Output = eyre::Result<NodeProcess>> + 'a>>;

/// How a side takes the most transactions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BestMode {
    /// The submitting method.
    pub(crate) submit: Submit,
    /// Connections with one batch outstanding each.
    pub(crate) in_flight: usize,
}

/// A node that can be started for either measurement.
pub(crate) trait Side {
    /// Name for messages.
    fn name(&self) -> &'static str;
    /// The first line of `--version`.
    fn version(&self) -> eyre::Result<String>;
    /// Starts the node in its mode of lowest latency.
    fn start_idle(&self) -> Starting<'_>;
    /// Starts the node in its mode of highest throughput.
    fn start_loaded(&self) -> Starting<'_>;
    /// How the throughput measurement submits.
    fn best_mode(&self) -> BestMode;
}

/// The node under test on its real-time chain.
#[derive(Clone, Debug)]
pub(crate) struct RapidReth {
    /// Path of the binary.
    pub(crate) binary: PathBuf,
    /// `--durability`, if not the default of `--dev`.
    pub(crate) durability: Option<Durability>,
    /// `--miniblock.interval`, if not the default.
    pub(crate) interval: Option<MiniBlockInterval>,
    /// Where `--metrics` shall serve, if it shall.
    pub(crate) metrics_port: Option<u16>,
    /// How the throughput measurement submits.
    pub(crate) best_mode: BestMode,
}

/// The peer.
#[derive(Clone, Debug)]
pub(crate) struct Anvil {
    /// Path of the binary.
    pub(crate) binary: PathBuf,
    /// How the throughput measurement submits.
    pub(crate) best_mode: BestMode,
}

impl RapidReth {
    /// Starts the node on a fresh chain.
    ///
    /// # Errors
    /// As [`NodeProcess::start`].
    pub(crate) async fn start(&self) -> eyre::Result<NodeProcess> {
        let place = NodePlace {
            http_port: free_port()?,
            scratch: tempfile::tempdir().wrap_err("scratch folder")?,
        };
        let mut command = Command::new(&self.binary);
        command
            .args([
                "node",
                "--dev",
                "--chain",
                "realtime",
                "--color",
                "never",
                "--ipcdisable",
            ])
            .args(["--http", "--http.port", &place.http_port.to_string()])
            .args(["--authrpc.port", &free_port()?.to_string()])
            .arg("--datadir")
            .arg(place.scratch.path().join("data"))
            .args(["--log.file.max-files", "0"]);
        if let Some(durability) = &self.durability {
            command.args(["--durability", durability]);
        }
        if let Some(interval) = self.interval {
            command.args(["--miniblock.interval", &interval.to_string()]);
        }
        if let Some(port) = self.metrics_port {
            command.args(["--metrics", &format!("127.0.0.1:{port}")]);
        }
        NodeProcess::start(command, place).await
    }
}

impl Side for RapidReth {
    fn name(&self) -> &'static str {
        "rapid-reth"
    }

    fn version(&self) -> eyre::Result<String> {
        version(&self.binary)
    }

    fn start_idle(&self) -> Starting<'_> {
        Box::pin(self.start())
    }

    fn start_loaded(&self) -> Starting<'_> {
        Box::pin(self.start())
    }

    fn best_mode(&self) -> BestMode {
        self.best_mode
    }
}

impl Anvil {
    async fn start(&self, mining: &[&str]) -> eyre::Result<NodeProcess> {
        let port = free_port()?;
        let place = NodePlace {
            http_port: port,
            scratch: tempfile::tempdir().wrap_err("scratch folder")?,
        };
        let mut command = Command::new(&self.binary);
        command
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args([
                "--chain-id",
                &CHAIN_ID.to_string(),
                "--gas-limit",
                &PEER_GAS_LIMIT.to_string(),
            ])
            .args([
                "--mnemonic",
                DEV_MNEMONIC,
                "--accounts",
                &FUNDERS.to_string(),
                "--balance",
                "1000000",
            ])
            // Without this it prints every call, which costs it time.
            .arg("--quiet")
            // It stores its keys and cache under the home folder otherwise.
            .env("HOME", place.scratch.path())
            .args(mining);
        NodeProcess::start(command, place).await
    }
}

impl Side for Anvil {
    fn name(&self) -> &'static str {
        "anvil"
    }

    fn version(&self) -> eyre::Result<String> {
        version(&self.binary)
    }

    /// Automine: every transaction gets its block at once.
    fn start_idle(&self) -> Starting<'_> {
        Box::pin(self.start(&[]))
    }

    /// A block each second.
    fn start_loaded(&self) -> Starting<'_> {
        Box::pin(self.start(&["--block-time", "1"]))
    }

    fn best_mode(&self) -> BestMode {
        self.best_mode
    }
}

fn version(binary: &PathBuf) -> eyre::Result<String> {
    let output = Command::new(binary)
        .arg("--version")
        .output()
        .wrap_err_with(|| format!("running {} --version", binary.display()))?;
    ensure!(output.status.success(), "{} --version failed", binary.display());
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or_default();
    Ok(line.replace(" Version:", "").to_lowercase())
}
