//! Every block of the public execution-apis test chain, from Frontier to the second blob-parameter fork, when its files
//! are at hand.

use std::path::PathBuf;

use alloy_rlp::Decodable;
use rapid_chainspec::ChainSpec;
use rapid_consensus::{verify_body, verify_header, verify_header_against_parent};
use rapid_primitives::Block;

fn test_chain() -> Option<(ChainSpec, Vec<Block>)> {
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
    if !genesis.is_file() || !chain.is_file() {
        println!("skipped: no test chain in {}", tests.display());
        return None;
    }
    let spec = ChainSpec::parse(genesis.to_str().expect("UTF-8 path")).expect("a genesis");
    let bytes = std::fs::read(chain).expect("readable");
    let mut rest = bytes.as_slice();
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        blocks.push(Block::decode(&mut rest).expect("a block"));
    }
    Some((spec, blocks))
}

#[test]
fn all_blocks_of_the_test_chain_are_valid() {
    let Some((spec, blocks)) = test_chain() else {
        return;
    };
    assert!(blocks.len() > 40, "the chain spans all forks");
    let mut parent = spec.genesis_header().inner().clone();
    for block in blocks {
        let (number, hash) = (block.header.number, parent.hash_slow());
        verify_header(&spec, &block.header).unwrap_or_else(|error| panic!("block {number}: {error}"));
        verify_header_against_parent(&spec, &block.header, &parent, hash)
            .unwrap_or_else(|error| panic!("block {number}: {error}"));
        verify_body(&spec, &block.header, &block.body)
            .unwrap_or_else(|error| panic!("block {number}: {error}"));
        parent = block.header;
    }
}

/// Bodies and headers of different blocks do not go together (unless both are empty).
#[test]
fn a_foreign_body_is_refused() {
    let Some((spec, blocks)) = test_chain() else {
        return;
    };
    for pair in blocks.windows(2) {
        let [first, second] = pair else { continue };
        if first.body != second.body {
            verify_body(&spec, &first.header, &second.body).expect_err("the body of another block");
        }
    }
}
