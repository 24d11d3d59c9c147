//! One chain: its identity, genesis and rules by block.

use std::borrow::Cow;

use alloy_chains::Chain;
use alloy_consensus::{Header, Sealable, Sealed};
use alloy_eips::BlobScheduleBlobParams;
use alloy_evm::eth::spec::EthExecutorSpec;
use alloy_genesis::{ChainConfig, Genesis};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition, ForkId};
use alloy_primitives::{Address, B256};

use crate::{ForkSchedule, GenesisError, REALTIME_CHAIN_ID, genesis::genesis_header};

/// Most blobs that a schedule may allow in a block: 2^20, which is 2^37 blob gas. Blob gas times blobs, the largest
/// product of the excess formula, then needs 57 bits.
pub(crate) const BLOBS_PER_BLOCK_MAX: u64 = 1 << 20;

/// Whether the contracts that collect execution-layer requests must have code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestPredeploys {
    /// A block is invalid from Prague on if a request contract has no code (EIP-7002, EIP-7251).
    Required,
    /// A request contract without code yields no requests. Only the built-in dev chain, whose genesis has Prague
    /// active and deploys nothing.
    Optional,
}

/// A chain. Immutable; share it as an `Arc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainSpec {
    name: Cow<'static, str>,
    genesis: Genesis,
    genesis_header: Sealed<Header>,
    forks: ForkSchedule,
    pub(crate) blob_schedule: BlobScheduleBlobParams,
    request_predeploys: RequestPredeploys,
}

impl ChainSpec {
    /// Builds the chain that a genesis in geth's format describes.
    ///
    /// # Errors
    /// [`GenesisError`] if its forks are out of order or have gaps, or a value cannot be used.
    pub fn from_genesis(genesis: Genesis) -> Result<Self, GenesisError> {
        let forks = ForkSchedule::from_genesis(&genesis)?;
        let blob_schedule = blob_schedule(&genesis.config)?;
        let genesis_header = genesis_header(&genesis, &forks)?.seal_slow();
        let name = chain_name(genesis.config.chain_id);
        let request_predeploys = RequestPredeploys::Required;
        Ok(Self {
            name,
            genesis,
            genesis_header,
            forks,
            blob_schedule,
            request_predeploys,
        })
    }

    pub(crate) fn with_optional_request_predeploys(mut self) -> Self {
        self.request_predeploys = RequestPredeploys::Optional;
        self
    }

    /// Name of the chain by its id ("dev", "realtime", "mainnet"), or the id in decimal. It names the chain's
    /// subfolder of the data directory, so it never contains a path separator.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Chain id (EIP-155).
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.genesis.config.chain_id
    }

    /// The genesis as it was given.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Header of the genesis block with its hash.
    #[must_use]
    pub const fn genesis_header(&self) -> &Sealed<Header> {
        &self.genesis_header
    }

    /// Hash of the genesis block.
    #[must_use]
    pub const fn genesis_hash(&self) -> B256 {
        self.genesis_header.seal()
    }

    /// When the forks activate.
    #[must_use]
    pub const fn forks(&self) -> &ForkSchedule {
        &self.forks
    }

    /// Fork identifier of a head with this number and timestamp (EIP-2124).
    #[must_use]
    pub fn fork_id(&self, number: u64, timestamp: u64) -> ForkId {
        self.forks
            .fork_id(self.genesis_hash(), self.genesis.timestamp, number, timestamp)
    }

    /// Contract whose logs are deposit requests from Prague on (EIP-6110), if the chain has one.
    #[must_use]
    pub const fn deposit_contract(&self) -> Option<Address> {
        self.genesis.config.deposit_contract_address
    }

    /// What a request contract without code means on this chain.
    #[must_use]
    pub const fn request_predeploys(&self) -> RequestPredeploys {
        self.request_predeploys
    }
}

impl EthereumHardforks for ChainSpec {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        self.forks.activation(fork)
    }
}

impl EthExecutorSpec for ChainSpec {
    fn deposit_contract_address(&self) -> Option<Address> {
        self.deposit_contract()
    }
}

fn chain_name(chain_id: u64) -> Cow<'static, str> {
    if chain_id == REALTIME_CHAIN_ID {
        return Cow::Borrowed("realtime");
    }
    Cow::Owned(Chain::from_id(chain_id).to_string())
}

/// Blob parameters by fork. Names of entries follow geth ("amsterdam"), which the reader of the configuration spells
/// with a capital; values that would divide by zero or overflow later are refused here.
fn blob_schedule(config: &ChainConfig) -> Result<BlobScheduleBlobParams, GenesisError> {
    for (fork, params) in &config.blob_schedule {
        let (target, max) = (params.target_blob_count, params.max_blob_count);
        if target > max || max == 0 || max > BLOBS_PER_BLOCK_MAX || params.update_fraction == 0 {
            return Err(GenesisError::BlobSchedule {
                fork: fork.clone(),
                target,
                max,
            });
        }
    }
    let Some(amsterdam) = config.blob_schedule.get("amsterdam") else {
        return Ok(config.blob_schedule_blob_params());
    };
    let mut config = config.clone();
    config.blob_schedule.insert("Amsterdam".to_owned(), *amsterdam);
    Ok(config.blob_schedule_blob_params())
}
