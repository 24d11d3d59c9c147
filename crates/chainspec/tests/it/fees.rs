//! Base fee and blob parameters of a child block.

use alloy_consensus::Header;
use proptest::prelude::*;
use rapid_chainspec::{BlobParams, ChainSpec, GenesisError};

fn forked(extra: &str) -> Result<ChainSpec, rapid_chainspec::ChainSpecError> {
    ChainSpec::parse(&format!(
        r#"{{"config":{{"chainId":9,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"byzantiumBlock":0,
        "constantinopleBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":5,"mergeNetsplitBlock":10,
        "terminalTotalDifficulty":1,"shanghaiTime":100,"cancunTime":200,"pragueTime":300,"osakaTime":400{extra}}}}}"#
    ))
}

/// Vectors of go-ethereum's and alloy's EIP-1559 tests: parent base fee, gas limit, gas used, child base fee.
const BASE_FEES: [(u64, u64, u64, u64); 7] = [
    (1_000_000_000, 20_000_000, 10_000_000, 1_000_000_000),
    (1_000_000_000, 20_000_000, 9_000_000, 987_500_000),
    (1_000_000_000, 20_000_000, 11_000_000, 1_012_500_000),
    (1_000_000_000, 10_000_000, 10_000_000, 1_125_000_000),
    (1_049_238_967, 2_000_000, 0, 918_084_097),
    (0, 18_000_000, 10_000_000, 1),
    (7, 30_000_000, 0, 7),
];

#[test]
fn base_fee_vectors() {
    let spec = ChainSpec::dev();
    for (base_fee, gas_limit, gas_used, expected) in BASE_FEES {
        let parent = Header {
            base_fee_per_gas: Some(base_fee),
            gas_limit,
            gas_used,
            ..Header::default()
        };
        assert_eq!(spec.next_base_fee(&parent, 1), Some(expected));
    }
}

#[test]
fn london_starts_at_one_gwei() {
    let spec = forked("").expect("well formed");
    let parent = |number, base_fee_per_gas| Header {
        number,
        base_fee_per_gas,
        gas_limit: 8,
        ..Header::default()
    };
    assert_eq!(spec.next_base_fee(&parent(3, None), 0), None);
    assert_eq!(spec.next_base_fee(&parent(4, None), 0), Some(1_000_000_000));
    assert_eq!(
        spec.next_base_fee(&parent(5, Some(1_000_000_000)), 0),
        Some(875_000_000)
    );
    assert_eq!(
        spec.next_base_fee(&parent(5, None), 0),
        None,
        "a malformed parent has no successor fee"
    );
}

#[test]
fn json_schedule_gets_osaka_rules_from_osaka_on() {
    let spec = forked(
        r#","bpo1Time":500,"amsterdamTime":600,"blobSchedule":{
        "cancun":{"target":1,"max":2,"baseFeeUpdateFraction":11},
        "osaka":{"target":4,"max":8,"baseFeeUpdateFraction":44},
        "bpo1":{"target":5,"max":10,"baseFeeUpdateFraction":55},
        "amsterdam":{"target":6,"max":12,"baseFeeUpdateFraction":66}}"#,
    )
    .expect("well formed");
    let at = |timestamp| spec.blob_params_at_timestamp(timestamp).expect("after Cancun");
    let osaka = |target_blob_count, max_blob_count, update_fraction| BlobParams {
        target_blob_count,
        max_blob_count,
        update_fraction,
        ..BlobParams::osaka()
    };
    assert_eq!(spec.blob_params_at_timestamp(199), None);
    assert_eq!(
        (
            at(200).target_blob_count,
            at(200).max_blobs_per_tx,
            at(200).blob_base_cost
        ),
        (1, 2, 0)
    );
    assert_eq!(
        at(300),
        BlobParams::prague(),
        "an entry left out has the fork's own values"
    );
    assert_eq!(at(400), osaka(4, 8, 44));
    assert_eq!(at(500), osaka(5, 10, 55));
    assert_eq!(at(600), osaka(6, 12, 66));
}

#[test]
fn blob_schedules_that_divide_by_zero_or_overflow_are_refused() {
    for entry in [
        r#"{"target":3,"max":2,"baseFeeUpdateFraction":1}"#,
        r#"{"target":0,"max":0,"baseFeeUpdateFraction":1}"#,
        r#"{"target":1,"max":2,"baseFeeUpdateFraction":0}"#,
        r#"{"target":1,"max":1048577,"baseFeeUpdateFraction":1}"#,
    ] {
        let error = forked(&format!(r#","blobSchedule":{{"cancun":{entry}}}"#)).expect_err("refused");
        let rapid_chainspec::ChainSpecError::Genesis(GenesisError::BlobSchedule { fork, .. }) = error else {
            panic!("{error}");
        };
        assert_eq!(fork, "cancun");
    }
}

#[test]
fn reserve_price_holds_from_osaka_on() {
    let spec = forked("").expect("well formed");
    // Blob base fee 1 wei against a base fee of 1 gwei: the reserve price (EIP-7918) binds.
    let parent = Header {
        number: 20,
        base_fee_per_gas: Some(1_000_000_000),
        blob_gas_used: Some(6 * 131_072),
        excess_blob_gas: Some(131_072),
        ..Header::default()
    };
    assert_eq!(spec.next_excess_blob_gas(&parent, 199), None);
    assert_eq!(spec.next_excess_blob_gas(&parent, 200), Some(4 * 131_072));
    assert_eq!(spec.next_excess_blob_gas(&parent, 300), Some(131_072));
    assert_eq!(spec.next_excess_blob_gas(&parent, 400), Some(3 * 131_072));
    assert_eq!(
        spec.next_excess_blob_gas(
            &Header {
                number: 20,
                ..Header::default()
            },
            200
        ),
        Some(0)
    );
}

proptest! {
    /// EIP-1559: a block at its target keeps the fee; no block moves it by more than an eighth (or 1 wei upwards).
    #[test]
    fn base_fee_moves_by_at_most_an_eighth(base_fee in 0u64..u64::MAX / 4, target in 1u64..1 << 40, used in 0.0f64..=1.0) {
        let spec = ChainSpec::realtime();
        let gas_limit = target * 2;
        let gas_used = (gas_limit as f64 * used) as u64;
        let parent = Header { base_fee_per_gas: Some(base_fee), gas_limit, gas_used, ..Header::default() };
        let next = spec.next_base_fee(&parent, 0).expect("London is active");
        prop_assert!(next <= base_fee + (base_fee / 8).max(1));
        prop_assert!(next >= base_fee - base_fee / 8);
        prop_assert_eq!(next.cmp(&base_fee).is_gt(), gas_used > target);
    }
}
