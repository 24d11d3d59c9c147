//! The loop alone: the test is its committer and its finaliser, and as slow as it likes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, TxKind, U256, bytes};
use alloy_signer::SignerSync;
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use crossbeam_channel::{Receiver, Sender, bounded};
use rapid_chain::{Chain, ChainConfig, Driver};
use rapid_chainspec::ChainSpec;
use rapid_pool::{HeadInfo, Lane, Origin, Pool, PoolConfig};
use rapid_primitives::TransactionSigned;
use tempfile::TempDir;

use crate::{
    BlockPolicy, EmptyBlocks, SequencerConfig, SequencerError, SystemHost, TimestampPolicy,
    auto_interval::CommitTimes,
    committer::{COMMIT_QUEUE_LEN, COMMITTER_BEHIND_FROM},
    control::Control,
    cut::{CommitOrder, Cut},
    finaliser::SealedHash,
    hot_loop::{HotLoop, IDLE_SLEEP, LoopStart, Parent},
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for a loop that would execute something to have done so.
const A_WHILE: Duration = Duration::from_millis(100);

/// A sender of one lane that counts its own nonces.
struct Wallet {
    signer: PrivateKeySigner,
    nonce: u64,
}

impl Wallet {
    fn new(index: u32) -> Self {
        let mnemonic = "test test test test test test test test test test test junk";
        let words = MnemonicBuilder::<English>::default().phrase(mnemonic);
        Self {
            signer: words.index(index).unwrap().build().unwrap(),
            nonce: 0,
        }
    }

    fn transfer(&mut self, chain_id: u64) -> TransactionSigned {
        self.sign(TxEip1559 {
            chain_id,
            gas_limit: 21_000,
            to: TxKind::Call(Address::repeat_byte(1)),
            value: U256::from(1),
            ..TxEip1559::default()
        })
    }

    /// Reads the hash of the parent block.
    fn read_parent_hash(&mut self, chain_id: u64) -> TransactionSigned {
        self.sign(TxEip1559 {
            chain_id,
            gas_limit: 100_000,
            to: TxKind::Create,
            // PUSH1 1, NUMBER, SUB, BLOCKHASH
            input: bytes!("6001430340"),
            ..TxEip1559::default()
        })
    }

    fn sign(&mut self, transaction: TxEip1559) -> TransactionSigned {
        let transaction = TxEip1559 {
            nonce: self.nonce,
            max_fee_per_gas: 5_000_000_000,
            ..transaction
        };
        self.nonce += 1;
        let signature = self.signer.sign_hash_sync(&transaction.signature_hash()).unwrap();
        TransactionSigned::Eip1559(transaction.into_signed(signature))
    }
}

struct LoopAlone {
    _dir: TempDir,
    chain: Chain,
    driver: Arc<Driver>,
    pool: Pool,
    control: Arc<Control>,
    cuts: Receiver<CommitOrder>,
    hashes: Sender<SealedHash>,
    thread: JoinHandle<Result<(), SequencerError>>,
    critical: Wallet,
    normal: Wallet,
}

impl LoopAlone {
    fn start(block_interval: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = ChainConfig::new(dir.path().to_owned());
        config.log.min_free_bytes = 0;
        let opened = Chain::open(Arc::new(ChainSpec::realtime()), &config).unwrap();
        let (chain, driver) = (opened.chain.clone(), Arc::new(opened.driver));
        let (critical, normal) = (Wallet::new(0), Wallet::new(1));
        let mut pool = PoolConfig::new(chain.spec().chain_id());
        pool.lanes
            .senders
            .insert(critical.signer.address(), Lane::Critical);
        let pool = Pool::new(pool, &head_of(&chain));
        let control = Control::new(pool.clone());
        let (to_committer, cuts) = bounded(COMMIT_QUEUE_LEN);
        let (hashes, from_finaliser) = bounded(8);
        let head = Arc::clone(&chain.view().head);
        let start = LoopStart {
            config: SequencerConfig {
                mini_block_interval: Duration::from_millis(1),
                block_policy: BlockPolicy::Interval {
                    interval: block_interval,
                    empty: EmptyBlocks::Skip,
                },
                timestamps: TimestampPolicy::RunAhead,
                ..SequencerConfig::default()
            },
            host: SystemHost,
            chain: chain.clone(),
            driver: Arc::clone(&driver),
            ready: pool.ready_queue().unwrap(),
            control: Arc::clone(&control),
            cuts: to_committer,
            hashes: from_finaliser,
            times: Arc::new(CommitTimes::default()),
            parent: Parent {
                header: head.header.clone(),
                hash: Some(head.hash),
            },
            open: None,
            number: opened.tip.mini_block,
            time_us: opened.tip.time_us,
        };
        Self {
            _dir: dir,
            chain,
            driver,
            pool,
            control,
            cuts,
            hashes,
            thread: thread::spawn(move || HotLoop::new(start)?.run()),
            critical,
            normal,
        }
    }

    fn submit(&mut self, lane: Lane) -> B256 {
        let wallet = match lane {
            Lane::Critical => &mut self.critical,
            _ => &mut self.normal,
        };
        let transaction = wallet.transfer(self.chain.spec().chain_id());
        self.submit_signed(&transaction)
    }

    fn submit_signed(&self, transaction: &TransactionSigned) -> B256 {
        let pooled = self.pool.decode_and_recover(&transaction.encoded_2718()).unwrap();
        let (view, head) = (self.chain.view(), head_of(&self.chain));
        self.pool
            .submit(Origin::Local, pooled, &view.state, &head)
            .unwrap()
    }

    /// The next mini-block.
    fn next_cut(&self) -> Cut {
        let order = self.cuts.recv_timeout(PATIENCE).unwrap();
        if self.cuts.len() < COMMITTER_BEHIND_FROM {
            self.control.wake_if_pressed();
        }
        match order {
            CommitOrder::Commit(cut) => cut,
            CommitOrder::MakeDurable => panic!("nobody paused"),
        }
    }

    /// Mini-blocks until one closes the block; their transactions.
    fn rest_of_block(&self) -> (u64, Vec<B256>) {
        let mut hashes = Vec::new();
        loop {
            let cut = self.next_cut();
            hashes.extend(transactions(&cut));
            if cut.close.is_some() {
                return (cut.environment.number, hashes);
            }
        }
    }

    /// Waits until so many mini-blocks wait for the committer.
    fn wait_for_queue(&self, mini_blocks: usize) {
        let started = Instant::now();
        while self.cuts.len() < mini_blocks {
            assert!(started.elapsed() < PATIENCE, "{} are cut", self.cuts.len());
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn stop(self) {
        self.control.stop();
        self.thread.join().unwrap().unwrap();
        drop(self.cuts);
        Arc::try_unwrap(self.driver).unwrap().shutdown().unwrap();
    }
}

fn head_of(chain: &Chain) -> HeadInfo {
    let environment = chain.simulation_environment(&chain.view(), 0).unwrap();
    HeadInfo::of(chain.spec(), &environment)
}

fn transactions(cut: &Cut) -> Vec<B256> {
    let transactions = cut.content.transactions.iter();
    transactions.map(|transaction| transaction.hash()).collect()
}

#[test]
fn a_block_whose_parent_has_no_hash_yet_stays_open_for_what_is_urgent() {
    let mut alone = LoopAlone::start(Duration::from_millis(200));
    let first = alone.submit(Lane::Normal);
    assert_eq!(alone.rest_of_block(), (1, vec![first]));

    let second = alone.submit(Lane::Normal);
    assert_eq!(transactions(&alone.next_cut()), [second]);
    thread::sleep(Duration::from_millis(300));
    let late = alone.submit(Lane::Normal);
    thread::sleep(A_WHILE);
    let urgent = alone.submit(Lane::Critical);
    let cut = alone.next_cut();
    assert_eq!((transactions(&cut), cut.close.is_some()), (vec![urgent], false));

    let hash = B256::repeat_byte(7);
    alone.hashes.send(SealedHash { number: 1, hash }).unwrap();
    alone.control.wake_loop();
    assert_eq!(alone.rest_of_block(), (2, vec![]));
    let cut = alone.next_cut();
    assert_eq!((transactions(&cut), cut.environment.number), (vec![late], 3));
    alone.stop();
}

#[test]
fn who_waited_for_the_hash_of_the_parent_runs_before_the_block_is_closed() {
    let mut alone = LoopAlone::start(Duration::from_millis(200));
    let first = alone.submit(Lane::Normal);
    assert_eq!(alone.rest_of_block(), (1, vec![first]));

    let reader = alone.critical.read_parent_hash(alone.chain.spec().chain_id());
    let reader = alone.submit_signed(&reader);
    thread::sleep(Duration::from_millis(400));
    let hash = B256::repeat_byte(7);
    alone.hashes.send(SealedHash { number: 1, hash }).unwrap();
    alone.control.wake_loop();
    assert_eq!(alone.rest_of_block(), (2, vec![reader]));
    alone.stop();
}

#[test]
fn while_the_committer_is_behind_only_what_is_urgent_is_executed() {
    let mut alone = LoopAlone::start(Duration::from_secs(3_600));
    for waiting in 1..=COMMITTER_BEHIND_FROM {
        alone.submit(Lane::Normal);
        alone.wait_for_queue(waiting);
    }
    let late = alone.submit(Lane::Normal);
    thread::sleep(A_WHILE);
    assert_eq!(alone.cuts.len(), COMMITTER_BEHIND_FROM);
    let urgent = alone.submit(Lane::Critical);
    alone.wait_for_queue(COMMITTER_BEHIND_FROM + 1);

    let drained = Instant::now();
    let cuts: Vec<_> = (0..COMMITTER_BEHIND_FROM + 2).map(|_| alone.next_cut()).collect();
    let [.., one, other] = &cuts[..] else {
        panic!("there are more")
    };
    assert_eq!(
        (transactions(one), transactions(other)),
        (vec![urgent], vec![late])
    );
    assert!(drained.elapsed() < IDLE_SLEEP / 2, "nobody woke it");
    alone.stop();
}
