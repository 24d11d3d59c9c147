//! The genesis of the public execution-apis test chain, when its files are at hand.

use std::path::PathBuf;

use alloy_consensus::Header;
use alloy_rlp::{Decodable, Header as RlpHeader};
use rapid_chainspec::{BlobParams, ChainSpec};

/// Folder of the vectors: `RAPID_CONFORMANCE_DIR`, else `../shared/conformance` beside the workspace.
fn chain_files() -> Option<(PathBuf, PathBuf)> {
    let root = std::env::var_os("RAPID_CONFORMANCE_DIR").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../shared/conformance"
            ))
        },
        PathBuf::from,
    );
    let tests = root.join("execution-apis/tests");
    let (genesis, chain) = (tests.join("genesis.json"), tests.join("chain.rlp"));
    if genesis.is_file() && chain.is_file() {
        return Some((genesis, chain));
    }
    println!("skipped: no test chain in {}", tests.display());
    None
}

/// Header of the first block of a file of concatenated block RLP.
fn first_header(chain: &[u8]) -> Header {
    let mut block = chain;
    let outer = RlpHeader::decode(&mut block).expect("a block");
    assert!(outer.list);
    Header::decode(&mut block).expect("a header")
}

#[test]
fn genesis_hash_is_the_parent_of_block_1() {
    let Some((genesis, chain)) = chain_files() else {
        return;
    };
    let spec = ChainSpec::parse(genesis.to_str().expect("UTF-8 path")).expect("a genesis");
    let first = first_header(&std::fs::read(chain).expect("readable"));
    assert_eq!(first.number, 1);
    assert_eq!(spec.genesis_hash(), first.parent_hash);
}

#[test]
fn blob_schedule_of_the_test_chain() {
    let Some((genesis, _)) = chain_files() else { return };
    let spec = ChainSpec::parse(genesis.to_str().expect("UTF-8 path")).expect("a genesis");
    assert_eq!(spec.blob_params_at_timestamp(419), None);
    assert_eq!(spec.blob_params_at_timestamp(420), Some(BlobParams::cancun()));
    assert_eq!(spec.blob_params_at_timestamp(450), Some(BlobParams::prague()));
    assert_eq!(spec.blob_params_at_timestamp(480), Some(BlobParams::osaka()));
    assert_eq!(spec.blob_params_at_timestamp(510), Some(BlobParams::bpo1()));
    assert_eq!(spec.blob_params_at_timestamp(540), Some(BlobParams::bpo2()));
}
