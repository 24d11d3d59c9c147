//! What is measured and how large.

use eyre::{ensure, eyre};
use serde::Serialize;
use std::{path::PathBuf, str::FromStr};

/// A row of the list of promises, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Row(pub(crate) u8);

impl Row {
    /// The rows that this command measures.
    pub(crate) const ALL: [Self; 13] = [
        Self(1),
        Self(2),
        Self(3),
        Self(4),
        Self(5),
        Self(6),
        Self(7),
        Self(8),
        Self(9),
        Self(10),
        Self(11),
        Self(17),
        Self(18),
    ];
}

impl FromStr for Row {
    type Err = eyre::Report;

    fn from_str(text: &str) -> eyre::Result<Self> {
        let row = Self(text.parse()?);
        ensure!(Self::ALL.contains(&row), "no row {text} here");
        Ok(row)
    }
}

/// A count on the command line; `_` may part its digits.
///
/// # Errors
/// If it is no number.
pub(crate) fn count(text: &str) -> eyre::Result<u64> {
    text.replace('_', "").parse().map_err(|error| eyre!("{error}"))
}

/// What is measured and how large.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatePlan {
    /// Which rows.
    pub(crate) rows: Vec<Row>,
    /// Alternating rounds.
    pub(crate) rounds: usize,
    /// Decides keys, values and what changes.
    pub(crate) seed: u64,
    /// Slots that are read from.
    pub(crate) slots: u64,
    /// Accounts that these are spread over.
    pub(crate) storages: u64,
    /// Reads of one side in a round.
    pub(crate) reads: u64,
    /// Blocks behind the oldest version that is read.
    pub(crate) past_blocks: u64,
    /// Slots that each of them changes.
    pub(crate) past_changes: u64,
    /// Accounts in the state whose memory is measured.
    pub(crate) size_accounts: u64,
    /// Slots in it.
    pub(crate) size_slots: u64,
    /// Leaves of the tries whose roots are computed.
    pub(crate) leaves: u64,
    /// Keys that a block changes.
    pub(crate) changed: u64,
    /// Leaves of the tries that are proved from.
    pub(crate) proof_leaves: u64,
    /// Folder for the database; a temporary one if there is none.
    pub(crate) folder: Option<PathBuf>,
}

impl StatePlan {
    /// Whether a row is to be measured.
    pub(crate) fn wants(&self, row: Row) -> bool {
        self.rows.contains(&row)
    }

    /// # Errors
    /// If a number leaves nothing to measure.
    pub(crate) fn check(&self) -> eyre::Result<()> {
        ensure!(self.rounds > 0, "at least one round");
        ensure!(self.reads >= 32, "at least one batch of 32 reads");
        for (name, count) in [
            ("slots", self.slots),
            ("storages", self.storages),
            ("size-slots", self.size_slots),
            ("size-accounts", self.size_accounts),
            ("past-blocks", self.past_blocks),
            ("past-changes", self.past_changes),
        ] {
            ensure!(count > 0, "--{name} of 0 leaves nothing to measure");
        }
        ensure!(self.storages <= u64::from(u32::MAX), "too many storages");
        ensure!(
            self.past_changes * self.past_blocks <= self.slots,
            "more slots change than there are"
        );
        ensure!(
            self.leaves >= 10 && self.changed >= 10 && self.changed <= self.leaves / 4,
            "a block changes at least 10 keys and at most a quarter of the leaves"
        );
        ensure!(self.proof_leaves >= 40, "a proof needs at least 40 leaves");
        Ok(())
    }

    /// A plan of everything, so small that it is a test.
    #[cfg(test)]
    pub(crate) fn small() -> Self {
        Self {
            rows: Row::ALL.to_vec(),
            rounds: 2,
            seed: 1,
            slots: 5_000,
            storages: 100,
            reads: 640,
            past_blocks: 4,
            past_changes: 100,
            size_accounts: 300,
            size_slots: 3_000,
            leaves: 2_000,
            changed: 100,
            proof_leaves: 1_000,
            folder: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_may_have_parted_digits() {
        assert_eq!(count("10_000_000").unwrap(), 10_000_000);
        assert!(count("ten").is_err());
        assert!("12".parse::<Row>().is_err());
        assert_eq!("17".parse::<Row>().unwrap(), Row(17));
    }

    #[test]
    fn plans_of_nothing_are_refused() {
        StatePlan::small().check().unwrap();
        let no_slots = StatePlan {
            slots: 0,
            ..StatePlan::small()
        };
        assert!(no_slots.check().is_err());
    }
}
