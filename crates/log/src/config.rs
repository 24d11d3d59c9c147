//! Sizes and limits of the log.

use crate::Durability;

/// Sizes and limits of a [`crate::Log`].
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// When a mini-block may be announced.
    pub durability: Durability,
    /// Size of a segment in bytes once the log has grown (default 64 MiB: at 100 MB/s a segment lasts longer than
    /// preparing the next takes). A record larger than a segment gets a segment of its own size.
    pub segment_bytes: u64,
    /// Size of the first segment in bytes (default 4 MiB, written in milliseconds, so a fresh node starts at once
    /// and takes little disk); each next one doubles up to `segment_bytes`.
    pub first_segment_bytes: u64,
    /// [`DiskState::Low`] below this many free bytes (default 1 GiB). Free space is looked at every second: this is
    /// ten seconds of writing at 100 MB/s, so production stops long before a write can fail, and it leaves room for
    /// the prepared segment and for the last blocks in history.
    pub min_free_bytes: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            segment_bytes: 64 << 20,
            first_segment_bytes: 4 << 20,
            min_free_bytes: 1 << 30,
        }
    }
}

/// Whether there is room to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskState {
    /// Enough.
    Ok,
    /// Below [`LogConfig::min_free_bytes`], or the next segment could not be prepared: seal what is executed, then
    /// produce nothing until it is [`Self::Ok`] again.
    Low,
}
