//! How much memory the state of a datadir needs, by its counts.

use std::fmt;

use rapid_chain::StoredSize;

use super::ByteSize;

/// An account: its entry (address 20, undo reference 4, nonce 8, balance 16, code 4, storage 4, sequence and lock 8: 64
/// bytes), its place in the index (an 8-byte word at a load of 0.8: 10), its share of the trie (56, of branches alone:
/// leaves own no memory).
const ACCOUNT_BYTES: u64 = 64 + 10 + 56;
/// A slot: its entry (key 32, value 32, storage and undo reference 8, sequence and lock 8: 80 bytes), index and trie as an
/// account.
const SLOT_BYTES: u64 = 80 + 10 + 56;
/// Beside a code stands its table of jump destinations, a bit per byte.
const CODE_TABLE_SHARE: u64 = 8;
/// A checkpoint whose counts cannot be read is taken to be slots alone, which grow most: 65 bytes each there.
const CHECKPOINT_SLOT_BYTES: u64 = 65;
/// Of the log's bytes this share becomes new entries. Most of a record is transactions, receipts and values of entries that
/// are there: a transfer to an account that is there leaves nothing of its 200 bytes, one to a new account 130.
const LOG_SHARE: u64 = 4;
/// The process without state: code, threads' stacks, RPC, history's pages in use.
const PROCESS_BYTES: u64 = 64 << 20;
/// Growth by an eighth of one stripe at a time, allocation in size classes: a twentieth of everything.
const HEADROOM_SHARE: u64 = 20;
/// Bounds count at most this share of the limit: the undo ring is bounded by it too, and what caches really take is held
/// by the marks.
const BOUND_SHARE: u64 = 8;

/// What a start needs, part by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    parts: Vec<(String, u64)>,
}

/// What may grow up to a bound of its own, beside the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Old values of the state.
    pub(crate) undo_bytes: u64,
    /// Pool, compiled code.
    pub(crate) cache_bytes: u64,
}

impl Bounds {
    /// Under a limit.
    pub(crate) fn under(self, limit: ByteSize) -> Self {
        let most = limit.0 / BOUND_SHARE;
        Self {
            undo_bytes: self.undo_bytes.min(most),
            cache_bytes: self.cache_bytes.min(most),
        }
    }
}

impl Estimate {
    pub(crate) fn of(stored: &StoredSize, bounds: Bounds) -> Self {
        let StoredSize {
            accounts,
            slots,
            code_bytes,
            uncounted_bytes,
            log_bytes,
        } = *stored;
        let mut parts = vec![
            (
                format!("{accounts} accounts"),
                accounts.saturating_mul(ACCOUNT_BYTES),
            ),
            (format!("{slots} slots"), slots.saturating_mul(SLOT_BYTES)),
            ("code".to_owned(), code_bytes + code_bytes / CODE_TABLE_SHARE),
            ("log".to_owned(), log_bytes / LOG_SHARE),
            ("undo ring".to_owned(), bounds.undo_bytes),
            ("caches".to_owned(), bounds.cache_bytes),
            ("process".to_owned(), PROCESS_BYTES),
        ];
        if uncounted_bytes > 0 {
            let slots = uncounted_bytes / CHECKPOINT_SLOT_BYTES;
            let part = "a checkpoint without counts".to_owned();
            parts.push((part, slots.saturating_mul(SLOT_BYTES)));
        }
        let sum = sum(&parts);
        parts.push(("headroom".to_owned(), sum / HEADROOM_SHARE));
        Self { parts }
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> ByteSize {
        ByteSize(sum(&self.parts))
    }
}

fn sum(parts: &[(String, u64)]) -> u64 {
    parts
        .iter()
        .fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes))
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, bytes)) in self.parts.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name} {}", ByteSize(*bytes))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mainnet_needs_about_what_the_arithmetic_says() {
        let stored = StoredSize {
            accounts: 300_000_000,
            slots: 1_300_000_000,
            code_bytes: 10_000_000_000,
            uncounted_bytes: 0,
            log_bytes: 1_000_000_000,
        };
        let bounds = Bounds {
            undo_bytes: 2 << 30,
            cache_bytes: 400 << 20,
        };
        // 39 + 189.8 + 11.25 + 0.25 + 2.1 + 0.4 + 0.07 GB and a twentieth.
        let estimate = Estimate::of(&stored, bounds.under(ByteSize(512 << 30)));
        let total = estimate.total().0;
        assert!((253_000_000_000..257_000_000_000).contains(&total), "{total}");
        let text = estimate.to_string();
        assert!(
            text.contains("1300000000 slots 176.8 GiB, code 10.5 GiB"),
            "{text}"
        );
    }

    #[test]
    fn a_small_machine_is_not_refused_for_bounds_it_never_reaches() {
        let bounds = Bounds {
            undo_bytes: 2 << 30,
            cache_bytes: 400 << 20,
        };
        let limit = ByteSize(256 << 20);
        let needed = Estimate::of(&StoredSize::default(), bounds.under(limit)).total();
        assert!(needed < limit, "{needed}");
        let limit = ByteSize(1 << 20);
        assert!(Estimate::of(&StoredSize::default(), bounds.under(limit)).total() > limit);
    }

    #[test]
    fn a_checkpoint_without_counts_counts_as_slots() {
        let stored = StoredSize {
            uncounted_bytes: 65_000_000,
            ..StoredSize::default()
        };
        let without = Estimate::of(&StoredSize::default(), Bounds::default()).total().0;
        let with = Estimate::of(&stored, Bounds::default()).total().0;
        assert_eq!(with - without, 146_000_000 * 21 / 20);
    }
}
