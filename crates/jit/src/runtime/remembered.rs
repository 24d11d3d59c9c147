//! Contracts that were hot before the restart, and the profile for the next one.

use std::path::Path;

use alloy_primitives::{
    B256,
    map::{HashMap, hash_map},
};
use parking_lot::Mutex;

use super::{
    profile::{self, PROFILE_ENTRIES_MAX, ProfileEntry},
    residents::ResidentSummary,
    rules_list::RulesList,
};

/// What the profile calls hot and nobody has asked for yet. Only shrinks.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    entries: Mutex<HashMap<(B256, u64), ProfileEntry>>,
}

impl Remembered {
    /// The profile's content; nothing, and a warning, if it is damaged or made by another build.
    pub(super) fn load(path: &Path) -> Self {
        let entries = profile::read(path).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "compiler profile is not used");
            Vec::new()
        });
        let entries = entries
            .into_iter()
            .map(|entry| ((entry.hash, entry.rules), entry))
            .collect();
        Self {
            entries: Mutex::new(entries),
        }
    }

    /// The entry of a contract that is seen for the first time.
    pub(super) fn take(&self, hash: B256, rules: u64) -> Option<ProfileEntry> {
        match self.entries.lock().entry((hash, rules)) {
            hash_map::Entry::Occupied(entry) => Some(entry.remove()),
            hash_map::Entry::Vacant(_) => None,
        }
    }

    /// All entries, hottest first.
    pub(super) fn hottest(&self) -> Vec<ProfileEntry> {
        let mut entries: Vec<_> = self.entries.lock().values().copied().collect();
        entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.heat));
        entries
    }
}

/// The profile of what is resident, most recently used first, then of what is still remembered, at half the heat, as
/// long as that is over `heat_min`: a contract that nobody asks for is forgotten after some restarts.
pub(super) fn compose(
    mut residents: Vec<ResidentSummary>,
    rules: &RulesList,
    remembered: &Remembered,
    heat_min: u64,
) -> Vec<ProfileEntry> {
    residents.sort_unstable_by_key(|resident| std::cmp::Reverse(resident.used));
    let resident = residents.into_iter().filter_map(|resident| {
        let rules = rules.rules(resident.key.rules)?;
        Some(ProfileEntry {
            hash: resident.key.hash,
            rules: rules.fingerprint(),
            spec: rules.spec(),
            tier: resident.tier,
            heat: resident.heat,
        })
    });
    let unseen = remembered.hottest().into_iter().filter_map(|entry| {
        let heat = entry.heat / 2;
        (heat > heat_min).then_some(ProfileEntry { heat, ..entry })
    });
    resident.chain(unseen).take(PROFILE_ENTRIES_MAX).collect()
}
