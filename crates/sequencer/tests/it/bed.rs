//! A chain, a pool and a sequencer in a temporary directory.

use std::{sync::Arc, time::Duration};

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use rapid_chain::{Chain, ChainConfig, TransactionAt};
use rapid_chainspec::ChainSpec;
use rapid_executor::MiniBlockShadow;
use rapid_log::Durability;
use rapid_pool::{HeadInfo, Origin, Pool, PoolConfig, PoolError};
use rapid_primitives::TransactionSigned;
use rapid_sequencer::{
    BlockPolicy, EmptyBlocks, Sequencer, SequencerConfig, ShadowCounts, SystemHost, TimestampPolicy,
};
use tempfile::TempDir;

/// Longer than anything here takes; a wait that ends by it is a failure.
const PATIENCE: Duration = Duration::from_secs(20);
const MNEMONIC: &str = "test test test test test test test test test test test junk";

pub(crate) struct Bed {
    pub(crate) dir: TempDir,
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) config: SequencerConfig,
    pub(crate) chain: Chain,
    pub(crate) pool: Pool,
    sequencer: Option<Sequencer>,
}

/// One-second blocks; timestamps may run ahead so that tests need not wait.
pub(crate) fn interval_blocks(interval: Duration) -> SequencerConfig {
    SequencerConfig {
        block_policy: BlockPolicy::Interval {
            interval,
            empty: EmptyBlocks::Skip,
        },
        timestamps: TimestampPolicy::RunAhead,
        ..SequencerConfig::default()
    }
}

pub(crate) fn blocks_when_idle() -> SequencerConfig {
    SequencerConfig {
        block_policy: BlockPolicy::WhenIdle,
        timestamps: TimestampPolicy::RunAhead,
        ..SequencerConfig::default()
    }
}

impl Bed {
    pub(crate) fn start(spec: ChainSpec, config: SequencerConfig) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), Arc::new(spec), config)
    }

    /// [`start`](Self::start) with another policy than that of the other tests.
    pub(crate) fn start_durable(spec: ChainSpec, config: SequencerConfig, durability: Durability) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut chain = chain_config(&dir);
        chain.log.durability = durability;
        Self::start_on(dir, &chain, Arc::new(spec), config)
    }

    fn start_in(dir: TempDir, spec: Arc<ChainSpec>, config: SequencerConfig) -> Self {
        let chain = chain_config(&dir);
        Self::start_on(dir, &chain, spec, config)
    }

    fn start_on(
        dir: TempDir,
        chain_config: &ChainConfig,
        spec: Arc<ChainSpec>,
        mut config: SequencerConfig,
    ) -> Self {
        // Whatever a test is about, what it publishes is compared with the reference.
        config.executor.shadow = MiniBlockShadow::one_in(1);
        let opened = Chain::open(Arc::clone(&spec), chain_config).unwrap();
        let chain = opened.chain.clone();
        let pool = pool_of(&chain, &spec);
        let sequencer = Sequencer::start(config.clone(), SystemHost, opened, pool.clone()).unwrap();
        Self {
            dir,
            spec,
            config,
            chain,
            pool,
            sequencer: Some(sequencer),
        }
    }

    /// Stops and starts again on the same directory.
    pub(crate) fn restart(mut self) -> Self {
        self.stop();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        let (spec, config) = (Arc::clone(&self.spec), self.config.clone());
        drop(self);
        Self::start_in(dir, spec, config)
    }

    pub(crate) fn stop(&mut self) {
        self.sequencer.take().unwrap().stop().unwrap();
    }

    pub(crate) fn submit(&self, transaction: &TransactionSigned) -> Result<B256, PoolError> {
        let _ingress = self.pool.ingress();
        let pooled = self.pool.decode_and_recover(&transaction.encoded_2718())?;
        self.pool.submit(
            Origin::Local,
            pooled,
            &self.chain.view().state,
            &head_info(&self.chain),
        )
    }

    /// What came of executing mini-blocks again.
    pub(crate) fn shadow(&self) -> ShadowCounts {
        let sequencer = self.sequencer.as_ref().expect("the sequencer runs");
        sequencer.shadow()
    }

    /// Submits and waits for the receipt.
    pub(crate) async fn execute(&self, transaction: &TransactionSigned) -> TransactionAt {
        let waiter = self.chain.wait_for(*transaction.tx_hash());
        self.submit(transaction).unwrap();
        let included = tokio::time::timeout(PATIENCE, waiter)
            .await
            .expect("no receipt")
            .unwrap();
        self.chain.locate(&included)
    }

    /// Waits until a block is sealed.
    pub(crate) async fn sealed(&self, number: u64) {
        let mut events = self.chain.subscribe();
        while self.chain.view().head.number() < number {
            let _ = tokio::time::timeout(PATIENCE, events.recv())
                .await
                .expect("block was not sealed");
        }
    }
}

impl Drop for Bed {
    /// A sequencer that nobody stops keeps its chain, and the address space of that, until the process ends.
    fn drop(&mut self) {
        let Some(sequencer) = self.sequencer.take() else {
            return;
        };
        let shadow = sequencer.shadow();
        let _ = sequencer.stop();
        if !std::thread::panicking() {
            assert_eq!(shadow.mismatches, 0, "the reference disagrees");
        }
    }
}

fn head_info(chain: &Chain) -> HeadInfo {
    let environment = chain.simulation_environment(&chain.view(), 0).unwrap();
    HeadInfo::of(chain.spec(), &environment)
}

pub(crate) fn pool_of(chain: &Chain, spec: &ChainSpec) -> Pool {
    Pool::new(PoolConfig::new(spec.chain_id()), &head_info(chain))
}

pub(crate) fn chain_config(dir: &TempDir) -> ChainConfig {
    let mut config = ChainConfig::new(dir.path().to_owned());
    config.log.durability = Durability::Async(Duration::from_millis(10));
    config.log.min_free_bytes = 0;
    config
}

/// A funded account that counts its own nonces.
pub(crate) struct Wallet {
    signer: PrivateKeySigner,
    nonce: u64,
    chain_id: u64,
}

impl Wallet {
    pub(crate) fn dev(index: u32, spec: &ChainSpec) -> Self {
        let signer = MnemonicBuilder::<English>::default()
            .phrase(MNEMONIC)
            .index(index)
            .unwrap()
            .build()
            .unwrap();
        Self {
            signer,
            nonce: 0,
            chain_id: spec.chain_id(),
        }
    }

    pub(crate) const fn address(&self) -> Address {
        self.signer.address()
    }

    pub(crate) fn transfer(&mut self, to: Address, wei: u64) -> TransactionSigned {
        self.sign(TxKind::Call(to), U256::from(wei), Bytes::new(), 21_000)
    }

    pub(crate) fn call(&mut self, to: Address, input: Bytes) -> TransactionSigned {
        self.sign(TxKind::Call(to), U256::ZERO, input, 1_000_000)
    }

    pub(crate) fn create(&mut self, init_code: Bytes) -> TransactionSigned {
        self.create_with_gas(init_code, 1_000_000)
    }

    pub(crate) fn create_with_gas(&mut self, init_code: Bytes, gas_limit: u64) -> TransactionSigned {
        self.sign(TxKind::Create, U256::ZERO, init_code, gas_limit)
    }

    pub(crate) fn sign(
        &mut self,
        to: TxKind,
        value: U256,
        input: Bytes,
        gas_limit: u64,
    ) -> TransactionSigned {
        let transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit,
            max_fee_per_gas: 5_000_000_000,
            max_priority_fee_per_gas: 1,
            to,
            value,
            input,
            ..TxEip1559::default()
        };
        self.nonce += 1;
        let signature = self.signer.sign_hash_sync(&transaction.signature_hash()).unwrap();
        TransactionSigned::Eip1559(transaction.into_signed(signature))
    }
}
