//! Keccak-256 of many messages at once.
//!
//! - **In:** messages of any lengths, mixed: in one buffer ([`Batch`]), in slices, as keys of one length, or wherever
//!   a function finds them.
//! - **Out:** their digests, in the order of the messages.
//! - **Owns:** nothing. No thread, no state; only [`Batch`] has memory, which it keeps from one use to the next.
//! - **Always holds:** each digest is the one `alloy_primitives::keccak256` gives, whichever [`Kernel`] made it.
//!
//! ```text
//!   messages   0 |--|--|-|   1 |-|   2 |--|-|   3 |--|   4 |-| ..     a block is 136 bytes
//!                  \            \       \          \
//!   lanes      +--------+--------+--------+--------+
//!              | 0      | 1      | 2      | 3      |   one 64-bit lane of each vector per message,
//!              | 0      | 4      | 2      | 3      |   one permutation of all lanes per step;
//!              | 0      | 5      | ..     | ..     |   a lane whose message has ended takes the next one
//! ```
//!
//! Messages need no sorting: lanes stay full whatever the lengths are, but for the end of the batch. Who knows of long
//! messages puts them first.
//!
//! Time of a permutation, of that of the assembly behind `alloy_primitives::keccak256` (`cargo bench -p rapid-keccak`;
//! AMD EPYC of family 26, 0.22 us there):
//!
//! | messages | AVX-512 | AVX2 |
//! |---|---|---|
//! | many of any lengths | 0.14 to 0.15 | 0.40 |
//! | many words or addresses | 0.12 | 0.40 |
//! | 16, 8, 4, 3, 2 of one length | 0.14, 0.15, 0.28, 0.38, 0.55 | 0.40, 0.40, 0.40, 0.54, 0.80 |
//! | 1 | 1 | 1 |

mod batch;
mod kernel;

use alloy_primitives::{Address, B256};

pub use batch::Batch;
pub use kernel::Kernel;

/// Bytes that a permutation absorbs.
pub const BLOCK_BYTES: usize = 136;

/// Hashes each message.
///
/// # Panics
/// If there are not as many digests as messages.
pub fn keccak256_many<M: AsRef<[u8]>>(messages: &[M], digests: &mut [B256]) {
    assert_eq!(messages.len(), digests.len(), "a digest for each message");
    keccak256_each(|place| messages[place].as_ref(), digests);
}

/// Hashes the message that `message` gives for each place of `digests`. It is asked once for each, in order.
pub fn keccak256_each<'m>(message: impl FnMut(usize) -> &'m [u8], digests: &mut [B256]) {
    Kernel::detect().hash_each(message, digests);
}

/// Hashes words, as for keys of storage slots.
///
/// # Panics
/// If there are not as many digests as words.
pub fn keccak256_words(words: &[B256], digests: &mut [B256]) {
    Kernel::detect().hash_words(words, digests);
}

/// Hashes addresses, as for keys of accounts.
///
/// # Panics
/// If there are not as many digests as addresses.
pub fn keccak256_addresses(addresses: &[Address], digests: &mut [B256]) {
    Kernel::detect().hash_addresses(addresses, digests);
}
