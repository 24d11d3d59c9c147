//! Messages one after the other in one buffer.

use alloy_primitives::B256;

use crate::Kernel;

/// Messages that are encoded into one buffer and hashed together.
///
/// Both the buffer and the list of its messages keep their memory when the batch is cleared, so that a batch that is
/// used again allocates nothing.
///
/// ```
/// # use alloy_primitives::{B256, keccak256};
/// let mut batch = rapid_keccak::Batch::default();
/// batch.push_with(|out| out.extend_from_slice(b"encoded "));
/// batch.push_with(|out| out.extend_from_slice(b"in place"));
/// let mut digests = [B256::ZERO; 2];
/// batch.hash_into(&mut digests);
/// assert_eq!(digests, [keccak256("encoded "), keccak256("in place")]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each message ends and the next one begins.
    ends: Vec<usize>,
}

impl Batch {
    /// An empty batch with room for so many messages of so many bytes in all.
    #[must_use]
    pub fn with_capacity(messages: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(messages),
        }
    }

    /// Adds the message that `encode` appends to the buffer. What is in the buffer already belongs to other messages
    /// and must be left alone.
    pub fn push_with(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
        debug_assert!(self.bytes.len() >= self.ends.last().copied().unwrap_or(0));
        self.ends.push(self.bytes.len());
    }

    /// The message that was added last, if any.
    #[must_use]
    pub fn last(&self) -> Option<&[u8]> {
        self.ends.len().checked_sub(1).map(|place| self.message(place))
    }

    /// Takes the message that was added last out again: what turned out to need no hash, as a short trie node.
    pub fn pop(&mut self) {
        self.ends.pop();
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Number of messages.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no messages.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forgets the messages and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Hashes the messages, in the order in which they were added.
    ///
    /// # Panics
    /// If there are not as many digests as messages.
    pub fn hash_into(&self, digests: &mut [B256]) {
        Kernel::detect().hash_batch(self, digests);
    }

    /// A message.
    #[inline]
    pub(crate) fn message(&self, place: usize) -> &[u8] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[place]]
    }
}
