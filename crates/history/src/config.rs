//! Sizes of the database, and the chain it belongs to.

use alloy_primitives::B256;

/// The chain a history is of. Stored when the database is made and compared at every start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainIdentity {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Hash of block 0.
    pub genesis_hash: B256,
}

/// Whether blocks are stored with what they changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChangeRecording {
    /// They are, so that the state after them can be read later.
    #[default]
    Record,
    /// What they changed is not stored. The state can be read only after the newest block stored this way and later
    /// ones.
    Skip,
}

/// How to open a [`crate::History`].
#[derive(Clone, Debug)]
pub struct HistoryConfig {
    /// The chain.
    pub chain: ChainIdentity,
    /// Largest size of the database file in bytes (default 8 TiB, as reth's). It is address space, neither memory nor
    /// disk.
    pub max_bytes: usize,
    /// The file grows by this many bytes (default 16 MiB): little on a fresh chain, and a block of 50,000
    /// transactions needs at most two steps.
    pub growth_bytes: usize,
    /// Most read transactions at a time (default 4,096: more than the blocking threads of the RPC server; a slot
    /// takes 64 bytes).
    pub max_readers: u64,
    /// Unsynced bytes after which a commit syncs by itself (default 256 MiB), so that pages freed since the last sync
    /// are reused even if nobody calls [`crate::History::sync`].
    pub max_unsynced_bytes: usize,
    /// Whether blocks are stored with what they changed (default: they are). May differ at every start.
    pub changes: ChangeRecording,
}

impl HistoryConfig {
    /// The defaults for a chain.
    #[must_use]
    pub const fn new(chain: ChainIdentity) -> Self {
        Self {
            chain,
            max_bytes: 8 << 40,
            growth_bytes: 16 << 20,
            max_readers: 4096,
            max_unsynced_bytes: 256 << 20,
            changes: ChangeRecording::Record,
        }
    }
}
