//! Known digests.

use alloy_primitives::{B256, KECCAK256_EMPTY, b256};
use rapid_keccak::{Kernel, keccak256_many};

/// A message and its digest.
const KNOWN: [(&[u8], B256); 5] = [
    (b"", KECCAK256_EMPTY),
    (
        b"abc",
        b256!("4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
    ),
    // The RLP of nothing: the root of an empty trie.
    (
        &[0x80],
        b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"),
    ),
    // The RLP of an empty list: the hash of no ommers.
    (
        &[0xc0],
        b256!("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"),
    ),
    (
        b"Transfer(address,address,uint256)",
        b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
    ),
];

#[test]
fn known_digests() {
    let messages = KNOWN.map(|(message, _)| message);
    let expected = KNOWN.map(|(_, digest)| digest);
    let mut digests = [B256::ZERO; KNOWN.len()];
    keccak256_many(&messages, &mut digests);
    assert_eq!(digests, expected);
    for kernel in Kernel::available() {
        kernel.hash_each(|place| messages[place], &mut digests);
        assert_eq!(digests, expected, "{}", kernel.name());
    }
}

#[test]
fn the_fastest_kernel_is_chosen() {
    assert_eq!(Kernel::available().last(), Some(&Kernel::detect()));
    assert_eq!(Kernel::without_vectors(Kernel::detect), Kernel::Scalar);
    assert_eq!(Kernel::available().last(), Some(&Kernel::detect()));
}
