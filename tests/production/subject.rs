//! A block to be made.

use std::{fmt, sync::Arc};

use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256};
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_evm::{BlockHashes, Compiler, environment_of_header};
use rapid_primitives::{BlockEnvironment, Header, SealedBlock, TransactionSigned};

/// What all blocks of a chain have in common.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The forks.
    pub spec: Arc<ChainSpec>,
    /// Code of contracts.
    pub compiler: Compiler,
}

/// A block whose transactions are to be executed.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The chain's.
    pub rules: &'a Rules,
    /// The block's environment.
    pub environment: BlockEnvironment,
    /// Hash of its parent. `None` if there are only transactions: nothing precedes or follows them.
    pub parent_hash: Option<B256>,
    /// Its transactions.
    pub transactions: &'a [TransactionSigned],
    /// Their senders.
    pub senders: &'a [Address],
    /// Its withdrawals; `None` before Shanghai.
    pub withdrawals: Option<&'a [Withdrawal]>,
    /// Its ommers.
    pub ommers: &'a [Header],
    /// Hashes of its ancestors.
    pub hashes: Hashes,
}

impl<'a> Subject<'a> {
    /// What `block` was made of.
    #[must_use]
    pub fn of(rules: &'a Rules, block: &'a SealedBlock, hashes: Hashes) -> Self {
        Self {
            rules,
            environment: environment_of_header(&block.header),
            parent_hash: Some(block.header.parent_hash),
            transactions: &block.body.transactions,
            senders: &block.senders,
            withdrawals: block
                .body
                .withdrawals
                .as_ref()
                .map(|withdrawals| withdrawals.as_slice()),
            ommers: &block.body.ommers,
            hashes,
        }
    }

    /// The same by other rules. From Amsterdam on its number is that of its slot.
    #[must_use]
    pub fn by(&self, rules: &'a Rules) -> Self {
        let mut other = Self {
            rules,
            ..self.clone()
        };
        other.environment.slot_number = other.has_access_list().then_some(other.environment.number);
        other
    }

    /// Whether its header has the hash of an access list (EIP-7928).
    pub(crate) fn has_access_list(&self) -> bool {
        let spec = &self.rules.spec;
        spec.is_amsterdam_active_at_timestamp(self.environment.timestamp)
    }
}

/// Hashes of past blocks by number.
#[derive(Clone)]
pub struct Hashes(Arc<dyn Fn(u64) -> Option<B256> + Send + Sync>);

impl Hashes {
    /// Those that a function knows.
    pub fn new(hash_of: impl Fn(u64) -> Option<B256> + Send + Sync + 'static) -> Self {
        Self(Arc::new(hash_of))
    }
}

impl BlockHashes for Hashes {
    fn block_hash(&self, number: u64) -> Option<B256> {
        (self.0)(number)
    }
}

impl fmt::Debug for Hashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashes")
    }
}
