//! When each fork activates.

use alloy_genesis::Genesis;
use alloy_hardforks::{
    EthereumHardfork as Fork, ForkCondition, ForkHash, ForkId,
    mainnet::{MAINNET_PARIS_BLOCK, MAINNET_PARIS_TTD},
    sepolia::{SEPOLIA_PARIS_BLOCK, SEPOLIA_PARIS_TTD},
};
use alloy_primitives::{B256, U256};

use crate::GenesisError;

/// Activation of every scheduled fork, in historical order.
///
/// Built from a genesis by [`ForkSchedule::from_genesis`], which refuses schedules with gaps or in the wrong order, so
/// a later fork being active implies that all earlier ones are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkSchedule {
    forks: Vec<(Fork, ForkCondition)>,
}

impl ForkSchedule {
    /// Reads the schedule out of geth's chain configuration, with reth's reading of it:
    ///
    /// - Frontier is always active; `eip155Block` (else `eip158Block`) is Spurious Dragon; a missing
    ///   `petersburgBlock` means Constantinople's; the DAO fork counts only with `daoForkSupport`.
    /// - `terminalTotalDifficulty` schedules Paris at the known block of mainnet and Sepolia when chain id and
    ///   difficulty are theirs, else at `mergeNetsplitBlock`, else at genesis. Without it, a chain whose Shanghai is
    ///   active at genesis is merged from genesis.
    /// - `mergeNetsplitBlock` counts in the fork identifier, also where the merge came earlier.
    ///
    /// # Errors
    /// [`GenesisError`] when a fork is scheduled before or without one that it builds on.
    pub fn from_genesis(genesis: &Genesis) -> Result<Self, GenesisError> {
        let mut forks: Vec<(Fork, ForkCondition)> = block_forks(genesis)
            .map(|(fork, block)| (fork, ForkCondition::Block(block)))
            .collect();
        check_order(block_forks(genesis))?;
        let timestamps: Vec<(Fork, u64)> = timestamp_forks(genesis).collect();
        check_timestamps(&timestamps, genesis)?;
        if let Some(paris) = paris(genesis, timestamps.first())? {
            forks.push((Fork::Paris, paris));
        }
        forks.extend(
            timestamps
                .into_iter()
                .map(|(fork, at)| (fork, ForkCondition::Timestamp(at))),
        );
        forks.sort_unstable_by_key(|(fork, _)| *fork);
        Ok(Self { forks })
    }

    /// When `fork` activates; [`ForkCondition::Never`] if it is not scheduled.
    #[must_use]
    pub fn activation(&self, fork: Fork) -> ForkCondition {
        self.forks
            .binary_search_by_key(&fork, |(fork, _)| *fork)
            .map_or(ForkCondition::Never, |index| self.forks[index].1)
    }

    /// The scheduled forks in historical order.
    pub fn iter(&self) -> impl Iterator<Item = (Fork, ForkCondition)> + '_ {
        self.forks.iter().copied()
    }

    /// Fork identifier of a head (EIP-2124, EIP-6122): a checksum over the genesis hash and every activation that is
    /// past at `number` and `timestamp`, and the next activation (0 if none is scheduled).
    ///
    /// Activations at genesis are part of the genesis hash and do not count.
    #[must_use]
    pub fn fork_id(&self, genesis_hash: B256, genesis_timestamp: u64, number: u64, timestamp: u64) -> ForkId {
        let mut hash = ForkHash::from(genesis_hash);
        let blocks = self.distinct(|condition| match condition {
            ForkCondition::Block(block) => Some(block).filter(|block| *block > 0),
            ForkCondition::TTD { fork_block, .. } => fork_block.filter(|block| *block > 0),
            _ => None,
        });
        for at in blocks {
            if number < at {
                return ForkId { hash, next: at };
            }
            hash += at;
        }
        let timestamps = self.distinct(|condition| match condition {
            ForkCondition::Timestamp(at) => Some(at).filter(|at| *at > genesis_timestamp),
            _ => None,
        });
        for at in timestamps {
            if timestamp < at {
                return ForkId { hash, next: at };
            }
            hash += at;
        }
        ForkId { hash, next: 0 }
    }

    fn distinct(&self, position: impl Fn(ForkCondition) -> Option<u64>) -> Vec<u64> {
        let mut positions: Vec<u64> = self
            .forks
            .iter()
            .filter_map(|(_, condition)| position(*condition))
            .collect();
        positions.sort_unstable();
        positions.dedup();
        positions
    }
}

/// Forks scheduled by block number, in historical order.
fn block_forks(genesis: &Genesis) -> impl Iterator<Item = (Fork, u64)> {
    let config = &genesis.config;
    [
        (Fork::Frontier, Some(0)),
        (Fork::Homestead, config.homestead_block),
        (
            Fork::Dao,
            config.dao_fork_block.filter(|_| config.dao_fork_support),
        ),
        (Fork::Tangerine, config.eip150_block),
        (Fork::SpuriousDragon, config.eip155_block.or(config.eip158_block)),
        (Fork::Byzantium, config.byzantium_block),
        (Fork::Constantinople, config.constantinople_block),
        (
            Fork::Petersburg,
            config.petersburg_block.or(config.constantinople_block),
        ),
        (Fork::Istanbul, config.istanbul_block),
        (Fork::MuirGlacier, config.muir_glacier_block),
        (Fork::Berlin, config.berlin_block),
        (Fork::London, config.london_block),
        (Fork::ArrowGlacier, config.arrow_glacier_block),
        (Fork::GrayGlacier, config.gray_glacier_block),
    ]
    .into_iter()
    .filter_map(|(fork, block)| block.map(|block| (fork, block)))
}

/// Forks scheduled by timestamp, in historical order.
fn timestamp_forks(genesis: &Genesis) -> impl Iterator<Item = (Fork, u64)> {
    let config = &genesis.config;
    [
        (Fork::Shanghai, config.shanghai_time),
        (Fork::Cancun, config.cancun_time),
        (Fork::Prague, config.prague_time),
        (Fork::Osaka, config.osaka_time),
        (Fork::Bpo1, config.bpo1_time),
        (Fork::Bpo2, config.bpo2_time),
        (Fork::Bpo3, config.bpo3_time),
        (Fork::Bpo4, config.bpo4_time),
        (Fork::Bpo5, config.bpo5_time),
        (Fork::Amsterdam, config.amsterdam_time),
    ]
    .into_iter()
    .filter_map(|(fork, at)| at.map(|at| (fork, at)))
}

fn check_order(forks: impl Iterator<Item = (Fork, u64)>) -> Result<(), GenesisError> {
    let mut before: Option<(Fork, u64)> = None;
    for (later, later_at) in forks {
        if let Some((earlier, earlier_at)) = before.filter(|(_, at)| *at > later_at) {
            return Err(GenesisError::ForkOrder {
                earlier,
                earlier_at,
                later,
                later_at,
            });
        }
        before = Some((later, later_at));
    }
    Ok(())
}

/// Shanghai to Osaka follow each other without a gap and need London; blob-parameter forks and Amsterdam build on
/// Osaka, but not on each other (EIP-7892 lets a parameter fork fall before or after Amsterdam).
fn check_timestamps(timestamps: &[(Fork, u64)], genesis: &Genesis) -> Result<(), GenesisError> {
    const CHAIN: [Fork; 4] = [Fork::Shanghai, Fork::Cancun, Fork::Prague, Fork::Osaka];
    let Some((last, _)) = timestamps.last() else {
        return Ok(());
    };
    if genesis.config.london_block.is_none() {
        return Err(GenesisError::ForkMissing {
            fork: timestamps[0].0,
            requires: Fork::London,
        });
    }
    for requires in CHAIN.into_iter().filter(|fork| fork < last) {
        if !timestamps.iter().any(|(fork, _)| *fork == requires) {
            let fork = timestamps
                .iter()
                .map(|(fork, _)| *fork)
                .find(|fork| *fork > requires)
                .unwrap_or(*last);
            return Err(GenesisError::ForkMissing { fork, requires });
        }
    }
    check_order(
        timestamps
            .iter()
            .copied()
            .filter(|(fork, _)| *fork != Fork::Amsterdam),
    )?;
    check_order(
        timestamps
            .iter()
            .copied()
            .filter(|(fork, _)| CHAIN.contains(fork) || *fork == Fork::Amsterdam),
    )
}

fn paris(genesis: &Genesis, first: Option<&(Fork, u64)>) -> Result<Option<ForkCondition>, GenesisError> {
    let config = &genesis.config;
    let Some(total_difficulty) = config.terminal_total_difficulty else {
        return match first {
            Some((fork, at)) if *at > genesis.timestamp => Err(GenesisError::MergeUnknown { fork: *fork }),
            Some(_) => Ok(Some(ForkCondition::TTD {
                activation_block_number: 0,
                fork_block: None,
                total_difficulty: U256::ZERO,
            })),
            None => Ok(None),
        };
    };
    // Sepolia's netsplit block, chosen to part the peers that had not upgraded, is far behind its merge.
    let known = match config.chain_id {
        1 if total_difficulty == MAINNET_PARIS_TTD => Some(MAINNET_PARIS_BLOCK),
        11_155_111 if total_difficulty == SEPOLIA_PARIS_TTD => Some(SEPOLIA_PARIS_BLOCK),
        _ => None,
    };
    Ok(Some(ForkCondition::TTD {
        activation_block_number: known.or(config.merge_netsplit_block).unwrap_or_default(),
        fork_block: config.merge_netsplit_block,
        total_difficulty,
    }))
}

#[cfg(test)]
mod tests {
    use alloy_genesis::ChainConfig;

    use super::*;

    fn schedule(json: &str) -> Result<ForkSchedule, GenesisError> {
        let config: ChainConfig = serde_json::from_str(json).expect("test configuration");
        ForkSchedule::from_genesis(&Genesis {
            config,
            timestamp: 100,
            ..Genesis::default()
        })
    }

    const TO_LONDON: &str = r#""homesteadBlock":0,"eip150Block":0,"eip155Block":0,"byzantiumBlock":0,
        "constantinopleBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":7"#;

    #[test]
    fn every_field_maps_to_its_fork() {
        let forks = schedule(
            r#"{"chainId":5,"homesteadBlock":1,"daoForkBlock":2,"daoForkSupport":true,"eip150Block":3,"eip155Block":4,
            "eip158Block":5,"byzantiumBlock":6,"constantinopleBlock":7,"petersburgBlock":8,"istanbulBlock":9,
            "muirGlacierBlock":10,"berlinBlock":11,"londonBlock":12,"arrowGlacierBlock":13,"grayGlacierBlock":14,
            "mergeNetsplitBlock":15,"terminalTotalDifficulty":99,"shanghaiTime":200,"cancunTime":210,"pragueTime":220,
            "osakaTime":230,"bpo1Time":240,"bpo2Time":250,"bpo3Time":260,"bpo4Time":270,"bpo5Time":280,
            "amsterdamTime":235}"#,
        )
        .expect("a well-formed schedule");
        let paris = ForkCondition::TTD {
            activation_block_number: 15,
            fork_block: Some(15),
            total_difficulty: U256::from(99),
        };
        let expected = [
            (Fork::Frontier, ForkCondition::Block(0)),
            (Fork::Homestead, ForkCondition::Block(1)),
            (Fork::Dao, ForkCondition::Block(2)),
            (Fork::Tangerine, ForkCondition::Block(3)),
            (Fork::SpuriousDragon, ForkCondition::Block(4)),
            (Fork::Byzantium, ForkCondition::Block(6)),
            (Fork::Constantinople, ForkCondition::Block(7)),
            (Fork::Petersburg, ForkCondition::Block(8)),
            (Fork::Istanbul, ForkCondition::Block(9)),
            (Fork::MuirGlacier, ForkCondition::Block(10)),
            (Fork::Berlin, ForkCondition::Block(11)),
            (Fork::London, ForkCondition::Block(12)),
            (Fork::ArrowGlacier, ForkCondition::Block(13)),
            (Fork::GrayGlacier, ForkCondition::Block(14)),
            (Fork::Paris, paris),
            (Fork::Shanghai, ForkCondition::Timestamp(200)),
            (Fork::Cancun, ForkCondition::Timestamp(210)),
            (Fork::Prague, ForkCondition::Timestamp(220)),
            (Fork::Osaka, ForkCondition::Timestamp(230)),
            (Fork::Bpo1, ForkCondition::Timestamp(240)),
            (Fork::Bpo2, ForkCondition::Timestamp(250)),
            (Fork::Bpo3, ForkCondition::Timestamp(260)),
            (Fork::Bpo4, ForkCondition::Timestamp(270)),
            (Fork::Bpo5, ForkCondition::Timestamp(280)),
            (Fork::Amsterdam, ForkCondition::Timestamp(235)),
        ];
        assert_eq!(forks.iter().collect::<Vec<_>>(), expected);
        for (fork, condition) in expected {
            assert_eq!(forks.activation(fork), condition, "{fork}");
        }
        assert_eq!(forks.activation(Fork::Bogota), ForkCondition::Never);
    }

    #[test]
    fn petersburg_follows_constantinople_and_dao_needs_support() {
        let forks =
            schedule(r#"{"constantinopleBlock":3,"daoForkBlock":0}"#).expect("a well-formed schedule");
        assert_eq!(forks.activation(Fork::Petersburg), ForkCondition::Block(3));
        assert_eq!(forks.activation(Fork::Dao), ForkCondition::Never);
    }

    #[test]
    fn merge_block_is_known_for_mainnet_and_sepolia_or_taken_as_genesis() {
        let block = |json: &str| {
            schedule(json)
                .expect("well formed")
                .activation(Fork::Paris)
                .block_number()
        };
        let ttd = r#""terminalTotalDifficulty":58750000000000000000000"#;
        assert_eq!(block(&format!(r#"{{"chainId":1,{ttd}}}"#)), Some(15_537_394));
        assert_eq!(block(&format!(r#"{{"chainId":2,{ttd}}}"#)), Some(0));
        for netsplit in ["", r#","mergeNetsplitBlock":1735371"#] {
            let json =
                format!(r#"{{"chainId":11155111,"terminalTotalDifficulty":17000000000000000{netsplit}}}"#);
            assert_eq!(block(&json), Some(1_450_409));
        }
        assert_eq!(
            block(r#"{"chainId":2,"terminalTotalDifficulty":7,"mergeNetsplitBlock":9}"#),
            Some(9)
        );
        assert_eq!(block(r#"{"chainId":1}"#), None);
        assert_eq!(block(&format!("{{{TO_LONDON},\"shanghaiTime\":100}}")), Some(0));
    }

    #[test]
    fn schedules_that_no_chain_can_have_are_refused() {
        let order = |earlier, earlier_at, later, later_at| GenesisError::ForkOrder {
            earlier,
            earlier_at,
            later,
            later_at,
        };
        let missing = |fork, requires| GenesisError::ForkMissing { fork, requires };
        let merged = r#""terminalTotalDifficulty":0"#;
        let cases = [
            (
                r#"{"homesteadBlock":5,"eip150Block":4}"#.to_owned(),
                order(Fork::Homestead, 5, Fork::Tangerine, 4),
            ),
            (
                format!(r#"{{{TO_LONDON},{merged},"shanghaiTime":9,"cancunTime":8}}"#),
                order(Fork::Shanghai, 9, Fork::Cancun, 8),
            ),
            (
                format!(r#"{{{TO_LONDON},{merged},"shanghaiTime":9,"pragueTime":9}}"#),
                missing(Fork::Prague, Fork::Cancun),
            ),
            (
                format!(r#"{{{merged},"shanghaiTime":9}}"#),
                missing(Fork::Shanghai, Fork::London),
            ),
            (
                format!(r#"{{{TO_LONDON},"shanghaiTime":101}}"#),
                GenesisError::MergeUnknown { fork: Fork::Shanghai },
            ),
            (
                format!(
                    r#"{{{TO_LONDON},{merged},"shanghaiTime":1,"cancunTime":1,"pragueTime":1,"bpo1Time":2}}"#
                ),
                missing(Fork::Bpo1, Fork::Osaka),
            ),
        ];
        for (json, error) in cases {
            assert_eq!(schedule(&json), Err(error), "{json}");
        }
    }
}
