//! What a permutation of Keccak takes: the bound of every root.

use super::turns::Cost;
use crate::clock::timed;
use alloy_primitives::keccak256;
use std::hint::black_box;

/// Bytes that one permutation hashes at most.
const MESSAGE_BYTES: usize = 135;
/// Permutations of a sample.
const COUNT: u64 = 50_000;

/// One permutation of alloy's `keccak256`, which hashes one message at a time.
pub(crate) fn scalar() -> Cost {
    let mut message = [0x5a; MESSAGE_BYTES];
    let ((), elapsed) = timed(|| {
        for number in 0..COUNT {
            message[..8].copy_from_slice(&number.to_le_bytes());
            black_box(keccak256(black_box(&message)));
        }
    });
    Cost::per_operation(elapsed, COUNT)
}
