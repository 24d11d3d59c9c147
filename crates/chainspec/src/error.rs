//! Why a chain cannot be built: the operator's `--chain` value, or the content of the genesis.

use std::path::PathBuf;

use alloy_hardforks::EthereumHardfork;

use crate::{parse::BUILT_IN_CHAINS, spec::BLOBS_PER_BLOCK_MAX};

/// Why a `--chain` value is not a chain. The operator has to act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainSpecError {
    /// Neither a built-in name, nor an existing file, nor JSON.
    #[error(
        "unknown chain {value:?}: expected one of {}, the path of a genesis file, or genesis JSON",
        BUILT_IN_CHAINS.join(", ")
    )]
    Unknown {
        /// The value as given.
        value: String,
    },
    /// The file is there but cannot be read.
    #[error("cannot read genesis file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not a genesis.
    #[error("{origin} is not a genesis in geth's format: {source}")]
    Json {
        /// The file's path, or a word for inline JSON.
        origin: String,
        /// Where and why decoding stopped.
        source: serde_json::Error,
    },
    /// The genesis contradicts itself.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
}

/// Why a genesis describes no chain. The author of the genesis has to act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// A fork is scheduled before one that it builds on.
    #[error("{later} activates at {later_at}, before {earlier} at {earlier_at}")]
    ForkOrder {
        /// The fork that comes first in history.
        earlier: EthereumHardfork,
        /// Its block or timestamp.
        earlier_at: u64,
        /// The fork that comes later in history.
        later: EthereumHardfork,
        /// Its block or timestamp.
        later_at: u64,
    },
    /// A fork is scheduled, but one that it builds on is not.
    #[error("{fork} is scheduled but {requires}, on which it builds, is not")]
    ForkMissing {
        /// The scheduled fork.
        fork: EthereumHardfork,
        /// The missing one.
        requires: EthereumHardfork,
    },
    /// A fork of the proof-of-stake era is scheduled after genesis, and nothing says when the merge is.
    #[error(
        "{fork} is scheduled after genesis without terminalTotalDifficulty: the merge block cannot be known"
    )]
    MergeUnknown {
        /// The first fork scheduled by timestamp.
        fork: EthereumHardfork,
    },
    /// The base fee does not fit the header's 64 bits.
    #[error("baseFeePerGas {found} exceeds {}", u64::MAX)]
    BaseFee {
        /// As given, in wei.
        found: u128,
    },
    /// A blob schedule entry that no block can satisfy, that divides by zero or that exceeds what 64 bits can count.
    #[error(
        "blob schedule of {fork}: target {target} exceeds max {max}, max exceeds {}, or a value is zero",
        BLOBS_PER_BLOCK_MAX
    )]
    BlobSchedule {
        /// Key of the schedule entry.
        fork: String,
        /// Target blobs per block.
        target: u64,
        /// Most blobs per block.
        max: u64,
    },
    /// The blob gas of the genesis block leaves no room for that of its descendants.
    #[error("{field} {found} exceeds {max}")]
    BlobGas {
        /// The field's name in the JSON.
        field: &'static str,
        /// As given.
        found: u64,
        /// The most that can be used.
        max: u64,
    },
}
