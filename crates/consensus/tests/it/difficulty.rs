//! Difficulty against mainnet's headers and the formulas' corners.

use alloy_consensus::Header;
use alloy_primitives::{B256, U256};
use rapid_chainspec::ChainSpec;
use rapid_consensus::next_difficulty;

use crate::chains::{chain, with_config};

fn parent(number: u64, timestamp: u64, difficulty: u64) -> Header {
    Header {
        number,
        timestamp,
        difficulty: U256::from(difficulty),
        ..Header::default()
    }
}

fn next(spec: &ChainSpec, parent: &Header, timestamp: u64) -> u64 {
    next_difficulty(spec, parent, timestamp).to()
}

/// Blocks 1 and 2 of mainnet: genesis at time 0 with 2^34, block 1 at 1438269988, block 2 at 1438270017.
#[test]
fn first_mainnet_blocks() {
    let spec = chain(0);
    assert_eq!(
        next(&spec, &parent(0, 0, 17_179_869_184), 1_438_269_988),
        17_171_480_576
    );
    assert_eq!(
        next(&spec, &parent(1, 1_438_269_988, 17_171_480_576), 1_438_270_017),
        17_163_096_064
    );
}

#[test]
fn frontier_turns_at_13_seconds() {
    let spec = chain(0);
    assert_eq!(next(&spec, &parent(1, 0, 2_048_000), 12), 2_049_000);
    assert_eq!(next(&spec, &parent(1, 0, 2_048_000), 13), 2_047_000);
}

#[test]
fn homestead_counts_tens_of_seconds() {
    let spec = chain(1);
    for (elapsed, expected) in [
        (9, 2_049_000),
        (10, 2_048_000),
        (20, 2_047_000),
        (1010, 1_949_000),
        (9999, 1_949_000),
    ] {
        assert_eq!(
            next(&spec, &parent(1, 0, 2_048_000), elapsed),
            expected,
            "after {elapsed} s"
        );
    }
}

#[test]
fn byzantium_counts_nines_and_ommers() {
    let spec = chain(4);
    for (elapsed, expected) in [(8, 2_049_000), (9, 2_048_000), (18, 2_047_000), (9999, 1_949_000)] {
        assert_eq!(
            next(&spec, &parent(1, 0, 2_048_000), elapsed),
            expected,
            "after {elapsed} s"
        );
    }
    let with_ommers = Header {
        ommers_hash: B256::repeat_byte(1),
        ..parent(1, 0, 2_048_000)
    };
    assert_eq!(next(&spec, &with_ommers, 8), 2_050_000);
    assert_eq!(next(&spec, &with_ommers, 9), 2_049_000);
}

#[test]
fn never_below_the_minimum() {
    assert_eq!(next(&chain(0), &parent(1, 0, 131_072), 1000), 131_072);
    assert_eq!(next(&chain(4), &parent(1, 0, 0), 1000), 131_072);
}

#[test]
fn bomb_doubles_and_is_delayed() {
    // After 10 s Homestead adjusts nothing, after 9 s Byzantium: what remains is the bomb.
    let bomb = |spec: &ChainSpec, number: u64, elapsed| {
        next(spec, &parent(number - 1, 0, 2_048_000), elapsed) - 2_048_000
    };
    assert_eq!(bomb(&chain(1), 199_999, 10), 0);
    assert_eq!(bomb(&chain(1), 200_000, 10), 1);
    assert_eq!(bomb(&chain(1), 1_200_000, 10), 1 << 10);
    assert_eq!(bomb(&chain(4), 3_199_999, 9), 0);
    assert_eq!(bomb(&chain(4), 4_300_000, 9), 1 << 11);
    assert_eq!(bomb(&chain(5), 5_300_000, 9), 2);
    assert_eq!(bomb(&chain(7), 9_300_000, 9), 2);
    assert_eq!(bomb(&chain(9), 9_900_000, 9), 1);
    let gray = with_config(
        r#""homesteadBlock":0,"byzantiumBlock":0,"londonBlock":0,"arrowGlacierBlock":0,"grayGlacierBlock":11600000"#,
    );
    assert_eq!(bomb(&gray, 11_599_999, 9), 1 << 6, "Arrow Glacier: 10.7 million");
    assert_eq!(bomb(&gray, 11_600_000, 9), 1, "Gray Glacier: 11.4 million");
    assert_eq!(
        next_difficulty(&chain(1), &parent(u64::MAX - 1, 0, 1), 10),
        U256::MAX,
        "no overflow at absurd heights"
    );
}
