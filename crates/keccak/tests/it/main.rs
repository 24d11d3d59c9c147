//! Every kernel of the machine against `alloy_primitives::keccak256`.

mod batch;
mod keys;
mod lengths;
mod properties;
mod vectors;

use alloy_primitives::{B256, keccak256};
use rapid_keccak::Kernel;

/// Bytes without a pattern that a mistake could hide in.
fn bytes(len: usize, seed: usize) -> Vec<u8> {
    let mut state = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(len)
    .collect()
}

/// Hashes messages by every kernel and compares.
#[track_caller]
fn check<M: AsRef<[u8]>>(messages: &[M]) {
    let expected: Vec<B256> = messages.iter().map(keccak256).collect();
    for kernel in Kernel::available() {
        let mut digests = vec![B256::ZERO; messages.len()];
        kernel.hash_each(|place| messages[place].as_ref(), &mut digests);
        let lengths = || {
            messages
                .iter()
                .map(|message| message.as_ref().len())
                .collect::<Vec<_>>()
        };
        assert_eq!(digests, expected, "{} of {:?} bytes", kernel.name(), lengths());
    }
}
