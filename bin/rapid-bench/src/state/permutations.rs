//! What a permutation of Keccak takes: the bound of every root.

use super::{ours::hash_many, turns::Cost};
use crate::clock::timed;
use alloy_primitives::{B256, keccak256};
use eyre::ensure;
use std::hint::black_box;

/// Bytes that one permutation hashes at most.
const MESSAGE_BYTES: usize = 135;
/// Messages that are hashed together, as many as nodes on a level of a block's trie.
const MESSAGES: usize = 4_096;
/// How often, in a sample.
const REPETITIONS: u64 = 16;

/// Messages of one permutation each.
pub(crate) struct Messages {
    messages: Vec<[u8; MESSAGE_BYTES]>,
    digests: Vec<B256>,
}

impl Messages {
    /// Different ones.
    pub(crate) fn new() -> Self {
        let message = |number: usize| {
            let mut message = [0x5a; MESSAGE_BYTES];
            message[..8].copy_from_slice(&number.to_le_bytes());
            message
        };
        Self {
            messages: (0..MESSAGES).map(message).collect(),
            digests: vec![B256::ZERO; MESSAGES],
        }
    }

    /// A permutation of alloy's `keccak256`, which hashes one message at a time.
    pub(crate) fn scalar(&mut self) -> Cost {
        self.time(|messages, digests| {
            for (message, digest) in messages.iter().zip(digests) {
                *digest = keccak256(message);
            }
        })
    }

    /// A permutation where many messages are hashed together.
    ///
    /// # Errors
    /// If that gives other hashes.
    pub(crate) fn batched(&mut self) -> eyre::Result<Cost> {
        let cost = self.time(hash_many);
        let mut hashed = self.messages.iter().zip(&self.digests);
        ensure!(
            hashed.all(|(message, digest)| keccak256(message) == *digest),
            "many hashes at once differ from one by one"
        );
        Ok(cost)
    }

    fn time(&mut self, hash: impl Fn(&[[u8; MESSAGE_BYTES]], &mut [B256])) -> Cost {
        let ((), elapsed) = timed(|| {
            for _ in 0..REPETITIONS {
                hash(black_box(&self.messages), &mut self.digests);
                black_box(&mut self.digests);
            }
        });
        Cost::per_operation(elapsed, REPETITIONS * MESSAGES as u64)
    }
}
