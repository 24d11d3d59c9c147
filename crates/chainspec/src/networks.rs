//! The public networks. Their genesis files come with the program, compressed; `genesis/README.md` says whence.

use alloy_genesis::Genesis;

use crate::ChainSpec;

/// Forks later than the second blob-parameter fork are off on all of them until a release schedules them: a date in a
/// dependency activates nothing. Each call decompresses and hashes the genesis anew, about 20 ms for mainnet, so a
/// process builds its chain once.
impl ChainSpec {
    /// Ethereum mainnet: id 1, proof of work until block 15,537,393, 8,893 accounts at genesis.
    #[must_use]
    pub fn mainnet() -> Self {
        bundled(include_bytes!("../genesis/mainnet.json.zst"))
    }

    /// The Sepolia test network: id 11,155,111, proof of work until block 1,450,408.
    #[must_use]
    pub fn sepolia() -> Self {
        bundled(include_bytes!("../genesis/sepolia.json.zst"))
    }

    /// The Holesky test network: id 17,000, merged from genesis.
    #[must_use]
    pub fn holesky() -> Self {
        bundled(include_bytes!("../genesis/holesky.json.zst"))
    }

    /// The Hoodi test network: id 560,048, Cancun from genesis.
    #[must_use]
    pub fn hoodi() -> Self {
        bundled(include_bytes!("../genesis/hoodi.json.zst"))
    }
}

fn bundled(compressed: &[u8]) -> ChainSpec {
    let json = zstd::decode_all(compressed).expect("a bundled genesis decompresses");
    let genesis: Genesis = serde_json::from_slice(&json).expect("a bundled genesis is in geth's format");
    ChainSpec::from_genesis(genesis).expect("a bundled genesis is well formed")
}
