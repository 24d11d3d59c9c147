//! Rules at the edges: transitions, bounds, and what the errors say.

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256};
use rapid_chainspec::{ChainSpec, EthereumHardfork};
use rapid_consensus::{
    EnvironmentError, HeaderError, HeaderField, Mismatch, NextBlockAttributes, next_block_environment,
    next_gas_limit, verify_header, verify_header_against_parent,
};

use crate::chains::{chain, with_config};

/// A child that obeys the rules of the dev chain.
fn child_of_dev_genesis() -> (ChainSpec, Header) {
    let spec = ChainSpec::dev();
    let parent = spec.genesis_header();
    let child = Header {
        number: 1,
        parent_hash: spec.genesis_hash(),
        timestamp: parent.timestamp + 1,
        base_fee_per_gas: Some(875_000_000),
        ..parent.inner().clone()
    };
    (spec, child)
}

fn against_genesis(spec: &ChainSpec, header: &Header) -> Result<(), HeaderError> {
    verify_header_against_parent(spec, header, spec.genesis_header(), spec.genesis_hash())
}

#[test]
fn gas_limit_moves_by_less_than_a_1024th() {
    let (spec, child) = child_of_dev_genesis();
    let bound = 30_000_000 / 1024;
    for (gas_limit, valid) in [
        (30_000_000 + bound - 1, true),
        (30_000_000 + bound, false),
        (30_000_000 - bound + 1, true),
        (30_000_000 - bound, false),
    ] {
        let header = Header {
            gas_limit,
            ..child.clone()
        };
        assert_eq!(
            against_genesis(&spec, &header).is_ok(),
            valid,
            "gas limit {gas_limit}"
        );
    }
    let error = against_genesis(
        &spec,
        &Header {
            gas_limit: 31_000_000,
            ..child
        },
    )
    .expect_err("too far");
    assert_eq!(
        error,
        HeaderError::GasLimitChange {
            parent: 30_000_000,
            found: 31_000_000,
            bound
        }
    );
}

#[test]
fn gas_limit_bounds_of_every_block() {
    let (spec, child) = child_of_dev_genesis();
    for (gas_limit, valid) in [
        (4999, false),
        (5000, true),
        (i64::MAX as u64, true),
        (1 << 63, false),
    ] {
        assert_eq!(
            verify_header(
                &spec,
                &Header {
                    gas_limit,
                    ..child.clone()
                }
            )
            .is_ok(),
            valid,
            "{gas_limit}"
        );
    }
}

/// EIP-1559: the first London block may have, and the builder aims for, twice the limit.
#[test]
fn london_doubles_the_gas_limit() {
    let spec = with_config(r#""homesteadBlock":0,"byzantiumBlock":0,"londonBlock":5"#);
    let parent = Header {
        number: 4,
        gas_limit: 10_000_000,
        difficulty: U256::from(1 << 30),
        ..Header::default()
    };
    assert_eq!(next_gas_limit(&spec, &parent, 20_000_000), 20_000_000);
    assert_eq!(
        next_gas_limit(&spec, &parent, 10_000_000),
        20_000_000 - (20_000_000 / 1024 - 1)
    );
    let attributes = NextBlockAttributes {
        timestamp: 9,
        gas_limit_target: 20_000_000,
        ..Default::default()
    };
    let environment = next_block_environment(&spec, &parent, attributes).expect("valid attributes");
    assert_eq!(environment.base_fee_per_gas, Some(1_000_000_000));
    assert!(!environment.difficulty.is_zero(), "not merged");
}

#[test]
fn errors_name_expected_and_found() {
    let (spec, child) = child_of_dev_genesis();
    assert_eq!(against_genesis(&spec, &child), Ok(()));
    let error = against_genesis(
        &spec,
        &Header {
            base_fee_per_gas: Some(1),
            ..child.clone()
        },
    )
    .expect_err("base fee");
    assert_eq!(
        error,
        HeaderError::BaseFee(Mismatch {
            found: 1,
            expected: 875_000_000
        })
    );
    assert_eq!(
        error.to_string(),
        "block base fee mismatch: got 1, expected 875000000"
    );
    let error = verify_header(
        &spec,
        &Header {
            requests_hash: None,
            ..child
        },
    )
    .expect_err("requests hash");
    let fork = EthereumHardfork::Prague;
    assert_eq!(
        error,
        HeaderError::FieldMissing {
            field: HeaderField::RequestsHash,
            fork
        }
    );
    assert_eq!(error.to_string(), "missing requests hash, which Prague requires");
}

#[test]
fn blob_gas_is_bounded_by_the_schedule() {
    let (spec, child) = child_of_dev_genesis();
    let with_blobs = |blobs: u64| Header {
        blob_gas_used: Some(blobs * 131_072),
        ..child.clone()
    };
    assert_eq!(verify_header(&spec, &with_blobs(9)), Ok(()));
    let (found, max) = (10 * 131_072, 9 * 131_072);
    assert_eq!(
        verify_header(&spec, &with_blobs(10)),
        Err(HeaderError::BlobGasUsed { found, max })
    );
}

/// EIP-779: blocks 20 to 29 carry the marker, and only on a chain that supports the fork.
#[test]
fn dao_fork_blocks_are_marked() {
    let spec = with_config(r#""homesteadBlock":0,"daoForkBlock":20,"daoForkSupport":true"#);
    let header = |number, extra_data: &'static [u8]| Header {
        number,
        gas_limit: 5000,
        extra_data: Bytes::from_static(extra_data),
        ..Header::default()
    };
    for (number, plain) in [(19, true), (20, false), (29, false), (30, true)] {
        assert_eq!(
            verify_header(&spec, &header(number, b"")).is_ok(),
            plain,
            "block {number}"
        );
        assert_eq!(verify_header(&spec, &header(number, b"dao-hard-fork")), Ok(()));
    }
    assert_eq!(verify_header(&chain(1), &header(20, b"")), Ok(()));
}

#[test]
fn excess_blob_gas_starts_at_zero() {
    let spec = with_config(
        r#""homesteadBlock":0,"byzantiumBlock":0,"londonBlock":0,"terminalTotalDifficulty":0,"shanghaiTime":0,"cancunTime":50"#,
    );
    let parent = Header {
        number: 7,
        timestamp: 49,
        gas_limit: 5000,
        base_fee_per_gas: Some(7),
        ..Header::default()
    };
    let attributes = |timestamp, parent_beacon_block_root| NextBlockAttributes {
        timestamp,
        parent_beacon_block_root,
        gas_limit_target: 5000,
        ..Default::default()
    };
    let environment =
        next_block_environment(&spec, &parent, attributes(50, Some(B256::ZERO))).expect("Cancun");
    assert_eq!(environment.excess_blob_gas, Some(0));
    let (field, fork) = (HeaderField::ParentBeaconBlockRoot, EthereumHardfork::Cancun);
    assert_eq!(
        next_block_environment(&spec, &parent, attributes(50, None)),
        Err(EnvironmentError::AttributeMissing { field, fork })
    );
    let before = Header {
        timestamp: 40,
        ..parent.clone()
    };
    assert_eq!(
        next_block_environment(&spec, &before, attributes(41, Some(B256::ZERO))),
        Err(EnvironmentError::AttributeUnexpected { field, fork })
    );
    assert_eq!(
        next_block_environment(&spec, &parent, attributes(49, None)),
        Err(EnvironmentError::Timestamp {
            parent: 49,
            found: 49
        })
    );
}

#[test]
fn a_slot_number_is_the_one_told_or_counted() {
    let forks = r#""homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,"byzantiumBlock":0,
        "constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":0,
        "terminalTotalDifficulty":0,"shanghaiTime":0,"cancunTime":0,"pragueTime":0,"osakaTime":0,"amsterdamTime":50"#;
    let spec = ChainSpec::parse(&format!(
        r#"{{"config":{{"chainId":1,{forks}}},"gasLimit":"0x1388"}}"#
    ));
    let spec = spec.expect("a well-formed chain");
    let parent = |slot_number| Header {
        number: 7,
        timestamp: 48,
        gas_limit: 5000,
        base_fee_per_gas: Some(7),
        excess_blob_gas: Some(0),
        blob_gas_used: Some(0),
        slot_number,
        ..Header::default()
    };
    let slot = |parent: Header, timestamp, slot_number| {
        let attributes = NextBlockAttributes {
            timestamp,
            parent_beacon_block_root: Some(B256::ZERO),
            gas_limit_target: 5000,
            slot_number,
            ..Default::default()
        };
        next_block_environment(&spec, &parent, attributes).map(|environment| environment.slot_number)
    };
    assert_eq!(slot(parent(None), 49, None), Ok(None), "before Amsterdam");
    assert_eq!(
        slot(parent(None), 50, None),
        Ok(Some(8)),
        "the block's own number"
    );
    assert_eq!(slot(parent(Some(90)), 50, None), Ok(Some(91)));
    assert_eq!(slot(parent(Some(90)), 50, Some(95)), Ok(Some(95)));
    let (field, fork) = (HeaderField::SlotNumber, EthereumHardfork::Amsterdam);
    assert_eq!(
        slot(parent(None), 49, Some(1)),
        Err(EnvironmentError::AttributeUnexpected { field, fork })
    );
}
