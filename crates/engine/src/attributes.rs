//! A fork choice as it arrives, and the rules of its attributes.

use alloy_rpc_types_engine::{ForkchoiceState, PayloadAttributes};
use rapid_chainspec::{ChainSpec, EthereumHardforks};

use crate::{EngineError, ForkchoiceVersion, version::PayloadFork};

/// Parameters of `engine_forkchoiceUpdated`.
#[derive(Clone, Debug)]
pub struct ForkchoiceUpdate {
    /// Version of the method.
    pub version: ForkchoiceVersion,
    /// The head, the safe and the finalized block.
    pub state: ForkchoiceState,
    /// What a payload to build would be of.
    pub attributes: Option<PayloadAttributes>,
}

/// Checks attributes against the version they came by and the head they build on, in the order of the specification:
/// shape, fork, time.
///
/// # Errors
/// [`EngineError::InvalidPayloadAttributes`], [`EngineError::UnsupportedFork`].
pub(crate) fn check_attributes(
    spec: &ChainSpec,
    version: ForkchoiceVersion,
    attributes: &PayloadAttributes,
    head_timestamp: u64,
) -> Result<(), EngineError> {
    check_shape(spec, version, attributes)
        .map_err(|problem| EngineError::InvalidPayloadAttributes(problem.to_owned()))?;
    if !version.serves(PayloadFork::at(spec, attributes.timestamp)) {
        return Err(EngineError::UnsupportedFork);
    }
    if attributes.timestamp <= head_timestamp {
        return Err(EngineError::InvalidPayloadAttributes(format!(
            "timestamp {} is not after the head's {head_timestamp}",
            attributes.timestamp
        )));
    }
    Ok(())
}

fn check_shape(
    spec: &ChainSpec,
    version: ForkchoiceVersion,
    attributes: &PayloadAttributes,
) -> Result<(), &'static str> {
    let (withdrawals, beacon_root) = (
        attributes.withdrawals.is_some(),
        attributes.parent_beacon_block_root.is_some(),
    );
    if attributes.slot_number.is_some() || attributes.target_gas_limit.is_some() {
        return Err("slot number and target gas limit are for a later version");
    }
    match version {
        ForkchoiceVersion::V1 if withdrawals => Err("withdrawals are for a later version"),
        ForkchoiceVersion::V1 | ForkchoiceVersion::V2 if beacon_root => {
            Err("the parent beacon block root is for a later version")
        }
        ForkchoiceVersion::V1 => Ok(()),
        ForkchoiceVersion::V2 => {
            match (
                spec.is_shanghai_active_at_timestamp(attributes.timestamp),
                withdrawals,
            ) {
                (true, false) => Err("no withdrawals after Shanghai"),
                (false, true) => Err("withdrawals before Shanghai"),
                _ => Ok(()),
            }
        }
        ForkchoiceVersion::V3 if !withdrawals => Err("no withdrawals"),
        ForkchoiceVersion::V3 if !beacon_root => Err("no parent beacon block root"),
        ForkchoiceVersion::V3 => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;

    use super::*;

    /// Shanghai at 10, Cancun at 20.
    fn spec() -> ChainSpec {
        ChainSpec::parse(
            r#"{"config":{"chainId":9,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,
            "byzantiumBlock":0,"constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,
            "londonBlock":0,"mergeNetsplitBlock":0,"terminalTotalDifficulty":0,"shanghaiTime":10,"cancunTime":20},
            "gasLimit":"0x1c9c380","difficulty":"0x0","alloc":{}}"#,
        )
        .unwrap()
    }

    /// The code answered; 0 if the attributes are good.
    fn code(version: ForkchoiceVersion, timestamp: u64, withdrawals: bool, beacon_root: bool) -> i32 {
        let attributes = PayloadAttributes {
            timestamp,
            withdrawals: withdrawals.then(Vec::new),
            parent_beacon_block_root: beacon_root.then_some(B256::ZERO),
            ..PayloadAttributes::default()
        };
        check_attributes(&spec(), version, &attributes, 5).map_or_else(|error| error.code(), |()| 0)
    }

    #[test]
    fn attributes_fit_their_version_their_fork_and_their_head() {
        use ForkchoiceVersion::{V1, V2, V3};
        for (version, timestamp, withdrawals, beacon_root, expected) in [
            (V1, 9, false, false, 0),
            (V1, 15, false, false, 0),
            (V1, 15, true, false, -38003),
            (V1, 25, false, true, -38003),
            (V2, 9, false, false, 0),
            (V2, 9, true, false, -38003),
            (V2, 15, true, false, 0),
            (V2, 15, false, false, -38003),
            (V2, 15, true, true, -38003),
            (V2, 25, true, false, -38005),
            (V3, 25, true, true, 0),
            (V3, 25, true, false, -38003),
            (V3, 25, false, true, -38003),
            (V3, 15, true, true, -38005),
            (V1, 5, false, false, -38003),
            (V1, 4, false, false, -38003),
        ] {
            assert_eq!(
                code(version, timestamp, withdrawals, beacon_root),
                expected,
                "{version:?} at {timestamp}, withdrawals {withdrawals}, root {beacon_root}"
            );
        }
    }
}
