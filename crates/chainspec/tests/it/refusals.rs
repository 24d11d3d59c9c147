//! Genesis files that describe no chain: typed errors, never a panic.

use rapid_chainspec::{ChainSpec, ChainSpecError, GenesisError};

/// Every fork to Cancun at genesis.
fn cancun(fields: &str) -> Result<ChainSpec, ChainSpecError> {
    ChainSpec::parse(&format!(
        r#"{{"config":{{"chainId":9,"londonBlock":0,"terminalTotalDifficulty":0,"shanghaiTime":0,"cancunTime":0}}{fields}}}"#
    ))
}

#[test]
fn text_that_is_no_genesis() {
    for json in [
        "{",
        "{}}",
        r#"{"config":7}"#,
        r#"{"config":{"chainId":-1}}"#,
        r#"{"config":{"chainId":18446744073709551616}}"#,
        r#"{"config":{"osakaTime":-1}}"#,
        r#"{"config":{"terminalTotalDifficulty":68750000000000000000000}}"#,
        r#"{"gasLimit":"0x1ffffffffffffffff"}"#,
        r#"{"difficulty":"0x1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"}"#,
        r#"{"extraData":"0x123"}"#,
        r#"{"alloc":{"0x00":{"balance":"0x1"}}}"#,
        r#"{"alloc":{"0x00000000000000000000000000000000000000aa":{"balance":"much"}}}"#,
        r#"{"alloc":{"0x00000000000000000000000000000000000000aa":{"balance":"0x1","kode":"0x00"}}}"#,
        r#"{"alloc":{"0x00000000000000000000000000000000000000aa":{"balance":"0x1","storage":{"0xzz":"0x1"}}}}"#,
    ] {
        let error = ChainSpec::parse(json).expect_err(json);
        assert!(matches!(error, ChainSpecError::Json { .. }), "{json}: {error}");
    }
    let nested = format!(r#"{{"config":{{"extra":{}"#, "[".repeat(100_000));
    let error = ChainSpec::parse(&nested).expect_err("nested too deep");
    assert!(matches!(error, ChainSpecError::Json { .. }), "{error}");
}

#[test]
fn values_that_a_header_or_its_children_cannot_hold() {
    let genesis_error = |fields: &str| match cancun(fields) {
        Err(ChainSpecError::Genesis(error)) => error,
        other => panic!("{fields}: {other:?}"),
    };
    assert_eq!(
        genesis_error(r#","baseFeePerGas":"0x10000000000000000""#),
        GenesisError::BaseFee { found: 1 << 64 }
    );
    assert_eq!(
        genesis_error(r#","blobGasUsed":"0x2000000001""#),
        GenesisError::BlobGas {
            field: "blobGasUsed",
            found: (1 << 37) + 1,
            max: 1 << 37
        }
    );
    assert_eq!(
        genesis_error(r#","excessBlobGas":"0x8000000000000001""#),
        GenesisError::BlobGas {
            field: "excessBlobGas",
            found: (1 << 63) + 1,
            max: 1 << 63
        }
    );
}

#[test]
fn the_largest_blob_gas_has_children() {
    let spec = cancun(r#","blobGasUsed":"0x2000000000","excessBlobGas":"0x8000000000000000""#)
        .expect("at both limits");
    let header = spec.genesis_header();
    assert_eq!(
        spec.next_excess_blob_gas(header, 1),
        Some((1 << 63) + (1 << 37) - 3 * 131_072)
    );
}
