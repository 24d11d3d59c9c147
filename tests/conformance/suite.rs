//! Which kind of test a file holds.

/// A kind of test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Suite {
    /// Blocks on top of a genesis.
    Blockchain,
    /// One transaction on a state.
    State,
    /// The bytes of one transaction.
    Transaction,
    /// Payloads, as a consensus client sends them.
    Engine,
}

impl Suite {
    /// The kind named first on the path; `None` for kinds that are not run here.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        path.split('/').find_map(|folder| match folder {
            "blockchain_tests" | "BlockchainTests" => Some(Some(Self::Blockchain)),
            "state_tests" | "GeneralStateTests" => Some(Some(Self::State)),
            "transaction_tests" | "TransactionTests" => Some(Some(Self::Transaction)),
            "blockchain_tests_engine" => Some(Some(Self::Engine)),
            other if other.starts_with("blockchain_tests_") => Some(None),
            _ => None,
        })?
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Blockchain => "blockchain tests",
            Self::State => "state tests",
            Self::Transaction => "transaction tests",
            Self::Engine => "engine tests",
        }
    }
}
