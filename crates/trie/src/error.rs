//! Why a trie cannot answer or change.

/// Why an operation on a trie failed. It has changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrieError {
    /// The state of this version can no longer be read: its lease was overrun.
    #[error("the state of this version is no longer retained")]
    VersionGone,
    /// The system has no memory for more nodes, or the limit of the forest is reached.
    #[error("no memory for more trie nodes: {used_bytes} bytes in use, {limit_bytes} allowed")]
    OutOfMemory {
        /// Bytes of the forest that are backed by memory.
        used_bytes: u64,
        /// Most bytes it may have.
        limit_bytes: u64,
    },
    /// The state has no entry for a key that the changes say has a value: they are not the changes that led to it.
    #[error("the state has no entry for a changed key")]
    UnknownEntry,
}
