//! The kinds of scenarios and their sizes.

use clap::ValueEnum;
use serde::Serialize;

/// What a scenario's transactions do to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ScenarioKind {
    /// Payments between pairs of accounts of their own
    Transfers,
    /// Transfers of one token between pairs of accounts of their own
    Erc20,
    /// The same to 256 accounts
    #[value(name = "erc20-256")]
    #[serde(rename = "erc20-256")]
    Erc20Hot256,
    /// The same to 16 accounts
    #[value(name = "erc20-16")]
    #[serde(rename = "erc20-16")]
    Erc20Hot16,
    /// The same to one account
    #[value(name = "erc20-1")]
    #[serde(rename = "erc20-1")]
    Erc20Hot1,
    /// Swaps in one pool
    AmmHot,
    /// Swaps, each in a pool of its own
    Amm,
    /// 30 % payments, 40 % transfers of 60 tokens, 25 % swaps in 60 pools, 5 % that compute
    Mixed,
    /// The same, and none takes longer than 400 microseconds
    MixedShort,
    /// Two thousand hashes each: nothing but computing
    Hashing,
    /// Transfers of one token, all by one sender
    Chain1,
    /// Transfers of one token by 100 senders in turn
    Chains100,
    /// Increments of one slot
    Counter,
    /// Payments from each of 1000 senders to the next
    Circle,
}

/// Senders that a fifth of the mixed transactions come from.
pub(super) const REPEATING_SENDERS: usize = 200;

impl ScenarioKind {
    /// Its name on the command line and in tables.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// How many transactions there are where a block of short ones has `count`: so many that blocks take about as long.
    pub(crate) const fn count(self, count: usize) -> usize {
        let part = match self {
            Self::AmmHot | Self::Amm => count / 4,
            Self::Hashing => count / 16,
            Self::Mixed | Self::MixedShort => count / 2,
            _ => count,
        };
        if part == 0 { 1 } else { part }
    }

    /// How many accounts send `count` transactions.
    pub(super) const fn senders(self, count: usize) -> usize {
        match self {
            Self::Chain1 => 1,
            Self::Chains100 => 100,
            Self::Circle => 1_000,
            Self::Mixed | Self::MixedShort => count + REPEATING_SENDERS,
            _ => count,
        }
    }
}
