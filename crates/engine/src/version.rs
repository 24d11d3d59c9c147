//! The versions of the methods, and the forks each is for.

use rapid_chainspec::{ChainSpec, EthereumHardforks};

/// A fork that changed what the Engine API carries. Forks that changed blob parameters alone count as Osaka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PayloadFork {
    Paris,
    Shanghai,
    Cancun,
    Prague,
    Osaka,
    Amsterdam,
}

impl PayloadFork {
    /// The fork of a block with this timestamp.
    pub(crate) fn at(spec: &ChainSpec, timestamp: u64) -> Self {
        if spec.is_amsterdam_active_at_timestamp(timestamp) {
            Self::Amsterdam
        } else if spec.is_osaka_active_at_timestamp(timestamp) {
            Self::Osaka
        } else if spec.is_prague_active_at_timestamp(timestamp) {
            Self::Prague
        } else if spec.is_cancun_active_at_timestamp(timestamp) {
            Self::Cancun
        } else if spec.is_shanghai_active_at_timestamp(timestamp) {
            Self::Shanghai
        } else {
            Self::Paris
        }
    }
}

/// Version of `engine_newPayload`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewPayloadVersion {
    /// Paris.
    V1,
    /// Paris and Shanghai.
    V2,
    /// Cancun.
    V3,
    /// Prague and Osaka.
    V4,
    /// Amsterdam.
    V5,
}

impl NewPayloadVersion {
    /// Whether payloads of a fork may come by it. The first version asks for no fork.
    pub(crate) fn serves(self, fork: PayloadFork) -> bool {
        match self {
            Self::V1 => true,
            Self::V2 => fork <= PayloadFork::Shanghai,
            Self::V3 => fork == PayloadFork::Cancun,
            Self::V4 => matches!(fork, PayloadFork::Prague | PayloadFork::Osaka),
            Self::V5 => fork >= PayloadFork::Amsterdam,
        }
    }
}

/// Version of `engine_forkchoiceUpdated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkchoiceVersion {
    /// Paris.
    V1,
    /// Paris and Shanghai.
    V2,
    /// Cancun, Prague and Osaka.
    V3,
}

impl ForkchoiceVersion {
    /// Whether attributes of a fork may come by it. The first version asks for no fork.
    pub(crate) fn serves(self, fork: PayloadFork) -> bool {
        match self {
            Self::V1 => true,
            Self::V2 => fork <= PayloadFork::Shanghai,
            Self::V3 => (PayloadFork::Cancun..=PayloadFork::Osaka).contains(&fork),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_has_its_window() {
        use PayloadFork::{Amsterdam, Cancun, Osaka, Paris, Prague, Shanghai};
        let forks = [Paris, Shanghai, Cancun, Prague, Osaka, Amsterdam];
        let payloads = |version: NewPayloadVersion| forks.map(|fork| u8::from(version.serves(fork)));
        assert_eq!(payloads(NewPayloadVersion::V1), [1, 1, 1, 1, 1, 1]);
        assert_eq!(payloads(NewPayloadVersion::V2), [1, 1, 0, 0, 0, 0]);
        assert_eq!(payloads(NewPayloadVersion::V3), [0, 0, 1, 0, 0, 0]);
        assert_eq!(payloads(NewPayloadVersion::V4), [0, 0, 0, 1, 1, 0]);
        assert_eq!(payloads(NewPayloadVersion::V5), [0, 0, 0, 0, 0, 1]);
        let attributes = |version: ForkchoiceVersion| forks.map(|fork| u8::from(version.serves(fork)));
        assert_eq!(attributes(ForkchoiceVersion::V1), [1, 1, 1, 1, 1, 1]);
        assert_eq!(attributes(ForkchoiceVersion::V2), [1, 1, 0, 0, 0, 0]);
        assert_eq!(attributes(ForkchoiceVersion::V3), [0, 0, 1, 1, 1, 0]);
    }

    #[test]
    fn forks_follow_the_timestamp() {
        let spec = ChainSpec::parse(
            r#"{"config":{"chainId":9,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,
            "byzantiumBlock":0,"constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,
            "londonBlock":0,"mergeNetsplitBlock":0,"terminalTotalDifficulty":0,"shanghaiTime":10,"cancunTime":20,
            "pragueTime":30,"osakaTime":40},"gasLimit":"0x1c9c380","difficulty":"0x0","alloc":{}}"#,
        )
        .unwrap();
        let forks = [9, 10, 20, 30, 40].map(|timestamp| PayloadFork::at(&spec, timestamp));
        use PayloadFork::{Cancun, Osaka, Paris, Prague, Shanghai};
        assert_eq!(forks, [Paris, Shanghai, Cancun, Prague, Osaka]);
    }
}
