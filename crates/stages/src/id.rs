//! Names of stages.

use std::fmt;

/// A stage, under reth's name: its checkpoint is stored and asked for by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StageId {
    /// Headers keep the rules that need no parent.
    Headers,
    /// Bodies are the ones their headers name.
    Bodies,
    /// Every transaction has a sender.
    SenderRecovery,
    /// Blocks were executed and became canonical.
    Execution,
    /// State roots were computed and are those of the headers.
    MerkleExecute,
    /// Transactions are found by hash.
    TransactionLookup,
    /// Past values of storage slots are found by block.
    IndexStorageHistory,
    /// Past accounts are found by block.
    IndexAccountHistory,
    /// All of it.
    Finish,
}

impl StageId {
    /// All, in the order in which a block passes them.
    pub const ALL: [Self; 9] = [
        Self::Headers,
        Self::Bodies,
        Self::SenderRecovery,
        Self::Execution,
        Self::MerkleExecute,
        Self::TransactionLookup,
        Self::IndexStorageHistory,
        Self::IndexAccountHistory,
        Self::Finish,
    ];

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Headers => "Headers",
            Self::Bodies => "Bodies",
            Self::SenderRecovery => "SenderRecovery",
            Self::Execution => "Execution",
            Self::MerkleExecute => "MerkleExecute",
            Self::TransactionLookup => "TransactionLookup",
            Self::IndexStorageHistory => "IndexStorageHistory",
            Self::IndexAccountHistory => "IndexAccountHistory",
            Self::Finish => "Finish",
        }
    }
}

impl fmt::Display for StageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
