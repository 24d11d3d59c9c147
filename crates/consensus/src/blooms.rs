//! Bloom filters of receipts, the hashes of their logs made together.

use std::iter;

use alloy_primitives::{B256, Bloom, Log};
use rapid_keccak::keccak256_many;
use rapid_primitives::Receipt;

/// The bloom of each receipt's logs (yellow paper, 4.4.1).
pub(crate) fn blooms(receipts: &[Receipt]) -> Vec<Bloom> {
    let inputs: Vec<&[u8]> = receipts
        .iter()
        .flat_map(|receipt| &receipt.logs)
        .flat_map(inputs)
        .collect();
    let mut hashes = vec![B256::ZERO; inputs.len()];
    keccak256_many(&inputs, &mut hashes);
    let mut hashes = hashes.iter();
    receipts
        .iter()
        .map(|receipt| {
            let mut bloom = Bloom::ZERO;
            let count = receipt.logs.iter().map(inputs_count).sum();
            for hash in hashes.by_ref().take(count) {
                bloom.m3_2048_hashed(hash);
            }
            bloom
        })
        .collect()
}

/// What a filter has of a log: its address and its topics.
fn inputs(log: &Log) -> impl Iterator<Item = &[u8]> {
    iter::once(log.address.as_slice()).chain(log.topics().iter().map(|topic| topic.as_slice()))
}

fn inputs_count(log: &Log) -> usize {
    1 + log.topics().len()
}
