//! Bounds of the state's memory.

/// Default of [`StateConfig::retained_bytes`]: 256 MiB.
pub const DEFAULT_RETAINED_BYTES: usize = 256 << 20;

/// Default of [`StateConfig::leased_bytes`]: 256 MiB.
pub const DEFAULT_LEASED_BYTES: usize = 256 << 20;

/// How much of the past the state keeps.
///
/// Bytes are counted per write kept, from the sizes of the structures; the allocator's overhead is not seen. What is
/// newer than the published version is always kept, so whoever commits bounds it by publishing.
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
