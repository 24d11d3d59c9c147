//! From the name of a fork, or of a change between two, to the rules of a chain.

use std::collections::BTreeMap;

use alloy_genesis::{ChainConfig, Genesis};
use alloy_primitives::{U64, U256, address};
use rapid_chainspec::{BlobParams, ChainSpec};
use serde::Deserialize;

/// The forks that tests name, in historical order.
const FORKS: [&str; 20] = [
    "Frontier",
    "Homestead",
    "EIP150",
    "EIP158",
    "Byzantium",
    "Constantinople",
    "ConstantinopleFix",
    "Istanbul",
    "Berlin",
    "London",
    "Paris",
    "Shanghai",
    "Cancun",
    "Prague",
    "Osaka",
    "BPO1",
    "BPO2",
    "BPO3",
    "BPO4",
    "Amsterdam",
];

/// What a test says of its chain beyond the name of the fork.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Config {
    chainid: Option<U64>,
    #[serde(default)]
    blob_schedule: BTreeMap<String, BlobEntry>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlobEntry {
    target: U64,
    max: U64,
    base_fee_update_fraction: U64,
}

/// When the forks of a network are active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Activations {
    /// Index of the newest fork at genesis.
    first: usize,
    /// Index of the newest fork in the end, and the block number or timestamp from which.
    last: Option<(usize, u64)>,
}

impl Activations {
    /// Reads `Osaka`, `BerlinToLondonAt5` or `PragueToOsakaAtTime15k`.
    fn parse(network: &str) -> Option<Self> {
        let Some((first, rest)) = network.split_once("To") else {
            let first = index(network)?;
            return Some(Self { first, last: None });
        };
        let (last, at) = rest.split_once("At")?;
        let at = at.strip_prefix("Time").unwrap_or(at);
        let at = match at.strip_suffix('k') {
            Some(thousands) => thousands.parse::<u64>().ok()? * 1000,
            None => at.parse().ok()?,
        };
        Some(Self {
            first: index(first)?,
            last: Some((index(last)?, at)),
        })
    }

    /// Block number or timestamp of a fork's activation.
    fn of(self, fork: &str) -> Option<u64> {
        let fork = index(fork).expect("a fork of the table");
        if fork <= self.first {
            return Some(0);
        }
        self.last.filter(|(last, _)| fork <= *last).map(|(_, at)| at)
    }
}

fn index(fork: &str) -> Option<usize> {
    let fork = match fork {
        "Merge" => "Paris",
        "Petersburg" => "ConstantinopleFix",
        other => other,
    };
    FORKS.iter().position(|known| *known == fork)
}

/// A genesis without accounts under the rules of a network.
pub(crate) fn genesis(network: &str, config: &Config) -> Result<Genesis, String> {
    let activations = Activations::parse(network).ok_or_else(|| format!("network {network} is not known"))?;
    let at = |fork| activations.of(fork);
    let blob_schedule = config
        .blob_schedule
        .iter()
        .map(|(fork, entry)| (fork.to_lowercase(), entry.params()));
    let config = ChainConfig {
        chain_id: config.chainid.map_or(1, |id| id.to()),
        homestead_block: at("Homestead"),
        eip150_block: at("EIP150"),
        eip155_block: at("EIP158"),
        eip158_block: at("EIP158"),
        byzantium_block: at("Byzantium"),
        constantinople_block: at("Constantinople"),
        // Without a block of its own, it would be active together with Constantinople.
        petersburg_block: at("ConstantinopleFix").or_else(|| at("Constantinople").map(|_| u64::MAX)),
        istanbul_block: at("Istanbul"),
        berlin_block: at("Berlin"),
        london_block: at("London"),
        merge_netsplit_block: at("Paris"),
        terminal_total_difficulty: at("Paris").map(|_| U256::ZERO),
        shanghai_time: at("Shanghai"),
        cancun_time: at("Cancun"),
        prague_time: at("Prague"),
        osaka_time: at("Osaka"),
        bpo1_time: at("BPO1"),
        bpo2_time: at("BPO2"),
        bpo3_time: at("BPO3"),
        bpo4_time: at("BPO4"),
        amsterdam_time: at("Amsterdam"),
        deposit_contract_address: Some(address!("0x00000000219ab540356cBB839Cbe05303d7705Fa")),
        blob_schedule: blob_schedule.collect(),
        ..ChainConfig::default()
    };
    Ok(Genesis {
        config,
        ..Genesis::default()
    })
}

/// The rules of a network.
pub(crate) fn rules(network: &str, config: &Config) -> Result<ChainSpec, String> {
    ChainSpec::from_genesis(genesis(network, config)?).map_err(|error| error.to_string())
}

impl BlobEntry {
    fn params(self) -> BlobParams {
        BlobParams {
            target_blob_count: self.target.to(),
            max_blob_count: self.max.to(),
            max_blobs_per_tx: self.max.to(),
            update_fraction: u128::from(self.base_fee_update_fraction.to::<u64>()),
            ..BlobParams::cancun()
        }
    }
}
