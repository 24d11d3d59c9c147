//! `reth.toml`: the configuration file, in reth's shape.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use rapid_stages::{ExecutionThresholds, Thresholds};
use serde::{Deserialize, Serialize};

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RethTomlError {
    /// It cannot be read or written.
    #[error("configuration file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not TOML of the right shape.
    #[error("configuration file {path}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// It has another extension than `.toml`.
    #[error("configuration file {0}: only .toml files are configuration files")]
    Extension(PathBuf),
}

/// The parts of `reth.toml` that mean something here.
///
/// Unknown keys and sections (peer-to-peer, static files, downloaders) are ignored on reading, and a file that exists is
/// never rewritten, so that reth can go on using it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RethToml {
    /// Batch sizes of bulk execution.
    pub stages: Stages,
    /// Retention.
    pub prune: Prune,
}

/// `[stages]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stages {
    /// `[stages.sender_recovery]`.
    pub sender_recovery: SenderRecovery,
    /// `[stages.execution]`.
    pub execution: Execution,
}

/// `[stages.sender_recovery]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SenderRecovery {
    /// Transactions whose senders are recovered in one go at most.
    pub commit_threshold: u64,
}

impl Default for SenderRecovery {
    fn default() -> Self {
        Self {
            commit_threshold: 5_000_000,
        }
    }
}

impl Stages {
    /// The thresholds of the pipeline.
    #[must_use]
    pub const fn thresholds(&self) -> Thresholds {
        Thresholds {
            execution: ExecutionThresholds {
                max_blocks: self.execution.max_blocks,
                max_changes: self.execution.max_changes,
                max_cumulative_gas: self.execution.max_cumulative_gas,
                max_duration: self.execution.max_duration,
            },
            sender_recovery: self.sender_recovery.commit_threshold,
        }
    }
}

/// `[stages.execution]`: after how much work an import writes out what it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Execution {
    /// Blocks per batch.
    pub max_blocks: Option<u64>,
    /// State changes per batch.
    pub max_changes: Option<u64>,
    /// Gas per batch.
    pub max_cumulative_gas: Option<u64>,
    /// Time per batch, as `10m`.
    #[serde(with = "human_duration")]
    pub max_duration: Option<Duration>,
}

impl Default for Execution {
    fn default() -> Self {
        Self {
            max_blocks: Some(500_000),
            max_changes: Some(5_000_000),
            max_cumulative_gas: Some(1_500_000_000_000),
            max_duration: Some(Duration::from_secs(600)),
        }
    }
}

/// `[prune]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prune {
    /// Blocks between two runs of the pruner.
    pub block_interval: u64,
    /// Distance from the tip inside which nothing is pruned.
    pub minimum_pruning_distance: u64,
    /// What is kept of each kind of data.
    #[serde(alias = "parts")]
    pub segments: PruneSegments,
}

impl Default for Prune {
    fn default() -> Self {
        Self {
            block_interval: 5,
            minimum_pruning_distance: 10_064,
            segments: PruneSegments::default(),
        }
    }
}

/// `[prune.segments]`: absent means everything is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PruneSegments {
    /// Senders of transactions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_recovery: Option<PruneMode>,
    /// Transaction hash to block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_lookup: Option<PruneMode>,
    /// Receipts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipts: Option<PruneMode>,
    /// Old values of accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_history: Option<PruneMode>,
    /// Old values of storage slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_history: Option<PruneMode>,
    /// Block bodies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bodies_history: Option<PruneMode>,
}

/// How much of a kind of data is kept: `"full"`, `{ distance = N }` or `{ before = N }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PruneMode {
    /// Nothing is kept.
    Full,
    /// The last N blocks are kept.
    Distance(u64),
    /// Block N and everything after it is kept.
    Before(u64),
}

impl RethToml {
    /// Reads a file; if there is none, writes one with the defaults first, as reth does on its first start.
    ///
    /// # Errors
    /// [`RethTomlError`].
    pub fn load_or_create(path: &Path) -> Result<Self, RethTomlError> {
        match Self::load(path) {
            Err(RethTomlError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                let defaults = Self::default();
                defaults.create(path)?;
                Ok(defaults)
            }
            other => other,
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`RethTomlError`].
    pub fn load(path: &Path) -> Result<Self, RethTomlError> {
        if path.extension().is_none_or(|extension| extension != "toml") {
            return Err(RethTomlError::Extension(path.to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(|source| RethTomlError::Io {
            path: path.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|source| RethTomlError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// The file's text.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("integers, strings and tables are always TOML")
    }

    fn create(&self, path: &Path) -> Result<(), RethTomlError> {
        let io = |source| RethTomlError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(io)?;
        }
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(io)?;
        file.write_all(self.to_toml().as_bytes()).map_err(io)
    }
}

mod human_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(duration) => serializer.collect_str(&humantime::format_duration(*duration)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| humantime::parse_duration(&text).map_err(D::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_writes_the_defaults_and_the_second_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/reth.toml");
        let first = RethToml::load_or_create(&path).unwrap();
        assert_eq!(first, RethToml::default());
        assert_eq!(RethToml::load(&path).unwrap(), first);
        assert_eq!(first.stages.thresholds(), Thresholds::default());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("[stages.execution]") && text.contains("max_duration = \"10m\""),
            "{text}"
        );
        assert!(text.contains("[prune.segments]"), "{text}");
    }

    #[test]
    fn a_file_of_reth_is_read_with_its_unknown_sections_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reth.toml");
        let text = r#"
            bootnodes = []
            [stages.headers]
            downloader_request_limit = 1000
            [stages.execution]
            max_blocks = 10
            max_duration = "1m 30s"
            [prune]
            block_interval = 7
            [prune.parts]
            sender_recovery = "full"
            receipts = { distance = 10064 }
            account_history = { before = 15 }
            [peers]
            refill_slots_interval = "5s"
        "#;
        std::fs::write(&path, text).unwrap();
        let config = RethToml::load_or_create(&path).unwrap();
        assert_eq!(config.stages.execution.max_blocks, Some(10));
        assert_eq!(
            config.stages.execution.max_duration,
            Some(Duration::from_secs(90))
        );
        assert_eq!(config.stages.execution.max_changes, Some(5_000_000));
        assert_eq!(config.prune.block_interval, 7);
        assert_eq!(config.prune.segments.sender_recovery, Some(PruneMode::Full));
        assert_eq!(config.prune.segments.receipts, Some(PruneMode::Distance(10_064)));
        assert_eq!(config.prune.segments.account_history, Some(PruneMode::Before(15)));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert_eq!(toml::from_str::<RethToml>(&config.to_toml()).unwrap(), config);
    }

    #[test]
    fn nonsense_is_refused_with_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reth.toml");
        std::fs::write(&path, "[stages.execution]\nmax_duration = \"soon\"").unwrap();
        let error = RethToml::load(&path).unwrap_err().to_string();
        assert!(error.contains("reth.toml"), "{error}");
        assert!(matches!(
            RethToml::load(Path::new("reth.yaml")),
            Err(RethTomlError::Extension(_))
        ));
    }
}
