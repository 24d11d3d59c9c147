//! Words and addresses.

use alloy_primitives::{Address, B256, keccak256};
use rapid_keccak::{Kernel, keccak256_addresses, keccak256_words};

use crate::bytes;

#[test]
fn any_number_of_keys() {
    for count in 0..=33 {
        let words = Vec::from_iter((0..count).map(|place| B256::from_slice(&bytes(32, place))));
        let addresses = Vec::from_iter((0..count).map(|place| Address::from_slice(&bytes(20, place))));
        for kernel in Kernel::available() {
            let mut digests = vec![B256::ZERO; count];
            kernel.hash_words(&words, &mut digests);
            assert_eq!(
                digests,
                Vec::from_iter(words.iter().map(keccak256)),
                "{}",
                kernel.name()
            );
            kernel.hash_addresses(&addresses, &mut digests);
            assert_eq!(
                digests,
                Vec::from_iter(addresses.iter().map(keccak256)),
                "{}",
                kernel.name()
            );
        }
        let mut digests = vec![B256::ZERO; count];
        keccak256_words(&words, &mut digests);
        assert_eq!(digests, Vec::from_iter(words.iter().map(keccak256)));
        keccak256_addresses(&addresses, &mut digests);
        assert_eq!(digests, Vec::from_iter(addresses.iter().map(keccak256)));
    }
}

#[test]
#[should_panic(expected = "a digest for each key")]
fn a_digest_too_few() {
    keccak256_words(&[B256::ZERO; 3], &mut [B256::ZERO; 2]);
}
