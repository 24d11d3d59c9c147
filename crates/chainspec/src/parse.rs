//! The value of `--chain`.

use std::path::Path;

use alloy_genesis::Genesis;

use crate::{ChainSpec, ChainSpecError};

/// Names that [`ChainSpec::parse`] answers without a file.
pub const BUILT_IN_CHAINS: [&str; 6] = ["mainnet", "sepolia", "holesky", "hoodi", "dev", "realtime"];

impl ChainSpec {
    /// Reads the value of `--chain`: a built-in name, else the path of a genesis file, else genesis JSON if it
    /// contains `{`.
    ///
    /// # Errors
    /// [`ChainSpecError`]; the message tells the operator what to give instead.
    pub fn parse(value: &str) -> Result<Self, ChainSpecError> {
        if let Some(built_in) = Self::built_in(value) {
            return Ok(built_in);
        }
        let path = Path::new(value);
        if path.exists() {
            let json = std::fs::read_to_string(path).map_err(|source| ChainSpecError::Unreadable {
                path: path.to_owned(),
                source,
            })?;
            return Self::from_json(&json, value);
        }
        if value.contains('{') {
            return Self::from_json(value, "the value of --chain");
        }
        Err(ChainSpecError::Unknown {
            value: value.to_owned(),
        })
    }

    fn built_in(name: &str) -> Option<Self> {
        let chain = match name {
            "mainnet" => Self::mainnet(),
            "sepolia" => Self::sepolia(),
            "holesky" => Self::holesky(),
            "hoodi" => Self::hoodi(),
            "dev" => Self::dev(),
            "realtime" => Self::realtime(),
            _ => return None,
        };
        Some(chain)
    }

    fn from_json(json: &str, origin: &str) -> Result<Self, ChainSpecError> {
        let genesis: Genesis = serde_json::from_str(json).map_err(|source| ChainSpecError::Json {
            origin: origin.to_owned(),
            source,
        })?;
        Ok(Self::from_genesis(genesis)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DEV_CHAIN_ID, GenesisError, REALTIME_CHAIN_ID};

    #[test]
    fn built_in_names() {
        assert_eq!(
            ChainSpec::parse("dev").expect("built in").chain_id(),
            DEV_CHAIN_ID
        );
        assert_eq!(
            ChainSpec::parse("realtime").expect("built in").chain_id(),
            REALTIME_CHAIN_ID
        );
        for name in BUILT_IN_CHAINS {
            assert_eq!(ChainSpec::parse(name).expect("built in").name(), name);
        }
    }

    #[test]
    fn inline_json_and_its_errors() {
        let spec =
            ChainSpec::parse(r#"{"config":{"chainId":72743109},"gasLimit":"0x1388"}"#).expect("inline JSON");
        assert_eq!(
            (spec.chain_id(), spec.genesis_header().gas_limit),
            (72_743_109, 5000)
        );
        assert_eq!(spec.name(), "72743109");
        let error = ChainSpec::parse("{").expect_err("truncated");
        assert!(matches!(error, ChainSpecError::Json { .. }), "{error}");
        let error =
            ChainSpec::parse(r#"{"config":{"homesteadBlock":2,"eip150Block":1}}"#).expect_err("out of order");
        assert!(
            matches!(error, ChainSpecError::Genesis(GenesisError::ForkOrder { .. })),
            "{error}"
        );
    }

    #[test]
    fn what_is_neither_name_nor_file_nor_json() {
        let error = ChainSpec::parse("no-such-chain").expect_err("unknown");
        assert!(
            error
                .to_string()
                .contains("mainnet, sepolia, holesky, hoodi, dev, realtime"),
            "{error}"
        );
        let error = ChainSpec::parse(env!("CARGO_MANIFEST_DIR")).expect_err("a folder");
        assert!(matches!(error, ChainSpecError::Unreadable { .. }), "{error}");
    }
}
