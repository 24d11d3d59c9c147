//! Messages in one buffer, and slices.

use alloy_primitives::{B256, keccak256};
use rapid_keccak::{Batch, keccak256_many};

use crate::bytes;

#[test]
fn a_batch_is_used_again() {
    let mut batch = Batch::with_capacity(4, 100);
    for round in 0..5 {
        let messages = Vec::from_iter((0..40).map(|place| bytes(place * 23 % 700, place + round)));
        for message in &messages {
            batch.push_with(|out| out.extend_from_slice(message));
            assert_eq!(batch.last(), Some(message.as_slice()));
        }
        let mut digests = vec![B256::ZERO; batch.len()];
        batch.hash_into(&mut digests);
        assert_eq!(digests, Vec::from_iter(messages.iter().map(keccak256)));
        batch.clear();
        assert!(batch.is_empty() && batch.last().is_none());
    }
}

#[test]
fn what_was_added_last_is_taken_out() {
    let mut batch = Batch::default();
    for place in 0..20 {
        batch.push_with(|out| out.extend_from_slice(&bytes(place, place)));
        if place % 3 == 0 {
            batch.pop();
        }
    }
    let kept = Vec::from_iter((0..20).filter(|place| place % 3 != 0));
    let mut digests = vec![B256::ZERO; kept.len()];
    batch.hash_into(&mut digests);
    assert_eq!(
        digests,
        Vec::from_iter(kept.iter().map(|&place| keccak256(bytes(place, place))))
    );
    for _ in 0..30 {
        batch.pop();
    }
    assert!(batch.is_empty());
    batch.hash_into(&mut []);
}

#[test]
#[should_panic(expected = "a digest for each message")]
fn a_digest_too_many() {
    keccak256_many(&[b"one"], &mut [B256::ZERO; 2]);
}
