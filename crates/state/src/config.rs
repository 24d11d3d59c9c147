//! Bounds of the state's memory.

/// Default of [`StateConfig::retained_bytes`]: 1 GiB, the changes of 64 blocks of 300,000 changed keys each.
pub const DEFAULT_RETAINED_BYTES: usize = 1 << 30;

/// Default of [`StateConfig::leased_bytes`]: 1 GiB.
pub const DEFAULT_LEASED_BYTES: usize = 1 << 30;

/// How much of the past the state keeps.
///
/// Bytes are those of the old values, 56 for each: a key has one per cut after which it was written. What is newer than the published version is always kept, so whoever commits bounds it by publishing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateConfig {
    /// Old values are kept up to this many bytes, whether a snapshot needs them or not.
    pub retained_bytes: usize,
    /// A live snapshot holds on to old values for this many bytes more. When that is used up too, the oldest
    /// snapshots are overrun: they answer [`VersionGone`](crate::VersionGone) from then on.
    pub leased_bytes: usize,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self {
            retained_bytes: DEFAULT_RETAINED_BYTES,
            leased_bytes: DEFAULT_LEASED_BYTES,
        }
    }
}
